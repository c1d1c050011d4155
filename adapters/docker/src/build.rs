//! Makes an image of a Dockerfile.

use std::{collections::VecDeque, path::Path};

use bollard::{body_try_stream, query_parameters::BuildImageOptions};
use futures_util::{StreamExt, stream};
use runspan_engine::{ExecutorError, Progress, image::ImageName};
use tokio::{fs::File, io::AsyncReadExt as _};

use crate::{
    engine::{self, Engine},
    pull::Image,
    spec,
};

const PIECE: usize = 256 << 10;
/// Lines of a failed build that are shown.
const SHOWN: usize = 20;

impl Engine {
    /// The image of a Dockerfile in a tar file, under this name and with the attempt's label.
    pub(crate) async fn build(
        &self,
        context: &Path,
        dockerfile: &str,
        name: &str,
        attempt: &str,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Image, ExecutorError> {
        let unreadable = |error: std::io::Error| ExecutorError::Other {
            doing: format!("reading {}", context.display()),
            reason: error.to_string(),
        };
        let file = File::open(context).await.map_err(unreadable)?;
        let pieces = stream::unfold(Some(file), |file| async {
            let mut file = file?;
            let mut piece = vec![0; PIECE];
            match file.read(&mut piece).await {
                Ok(0) => None,
                Ok(read) => {
                    piece.truncate(read);
                    Some((Ok(piece.into()), Some(file)))
                }
                Err(error) => Some((Err(error), None)),
            }
        });
        let options = BuildImageOptions {
            dockerfile: dockerfile.to_owned(),
            t: Some(name.to_owned()),
            rm: true,
            forcerm: true,
            labels: Some(spec::labels(attempt)),
            ..BuildImageOptions::default()
        };
        progress(Progress::Starting);
        let mut said = VecDeque::new();
        let mut steps = self.docker.build_image(options, None, Some(body_try_stream(pieces)));
        let failed = |reason: String, said: VecDeque<String>| {
            let said: Vec<String> = said.into();
            let reason = format!("docker build failed: {reason}\n{}", said.join("\n"));
            ExecutorError::Image { reason: reason.trim_end().to_owned() }
        };
        while let Some(step) = steps.next().await {
            match step {
                Ok(info) => {
                    let text = info.stream.unwrap_or_default();
                    said.extend(
                        text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned),
                    );
                    said.drain(..said.len().saturating_sub(SHOWN));
                    if let Some(message) = info.error_detail.and_then(|detail| detail.message) {
                        return Err(failed(message, said));
                    }
                }
                Err(error) if engine::is_unreachable(&error) => {
                    return Err(self.failure("building an image", &error));
                }
                Err(error) => return Err(failed(engine::words(&error), said)),
            }
        }
        let parsed = ImageName::parse(name).map_err(|reason| ExecutorError::Image { reason })?;
        self.local(&parsed).await?.ok_or_else(|| failed("the image is not there".into(), said))
    }
}
