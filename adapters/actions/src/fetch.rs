//! One request, and a file of its answer.

use std::io::Write as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Client, Response, StatusCode};
use tempfile::NamedTempFile;

use crate::SourceError;

/// Bytes of the largest archive.
const MOST_BYTES: u64 = 1 << 30;
/// How often something is tried.
const TRIES: u32 = 3;
/// Before the second try; each further one waits twice as long.
const BACKOFF: Duration = Duration::from_millis(500);

/// Something to ask for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) url: String,
    /// The header that logs in.
    pub(crate) authorization: Option<String>,
    pub(crate) accept: Option<&'static str>,
    /// The setting that says where the server is.
    pub(crate) setting: &'static str,
}

/// Asks servers. Its client reads all of the machine's certificates, so it is made when something is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Fetcher(OnceLock<Client>);

impl Fetcher {
    fn client(&self) -> Result<&Client, SourceError> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .user_agent(concat!("runspan/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| SourceError::Client(error.to_string()))?;
        Ok(self.0.get_or_init(|| client))
    }

    /// The answer, when it is a good one; what may pass is tried again.
    pub(crate) async fn get(&self, wanted: &Wanted) -> Result<Response, SourceError> {
        let client = self.client()?;
        let mut tries = 1;
        loop {
            let mut request = client.get(&wanted.url);
            if let Some(authorization) = &wanted.authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            if let Some(accept) = wanted.accept {
                request = request.header(ACCEPT, accept);
            }
            let trouble = match request.send().await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => refused(wanted, response.status()),
                Err(error) => unreachable(wanted, &error),
            };
            let may_pass = match &trouble {
                SourceError::Refused { status, .. } => *status >= 500,
                _ => true,
            };
            if !may_pass || tries >= TRIES {
                return Err(trouble);
            }
            tokio::time::sleep(BACKOFF * 2_u32.pow(tries - 1)).await;
            tries += 1;
        }
    }

    /// The answer as a file beside where it will be kept.
    pub(crate) async fn download(
        &self,
        wanted: &Wanted,
        directory: &Path,
    ) -> Result<NamedTempFile, SourceError> {
        std::fs::create_dir_all(directory).map_err(SourceError::cache(directory))?;
        let mut file = NamedTempFile::new_in(directory).map_err(SourceError::cache(directory))?;
        let mut response = self.get(wanted).await?;
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(wanted, &error))? {
            bytes += chunk.len() as u64;
            if bytes > MOST_BYTES {
                let reason = format!("it has more than {MOST_BYTES} bytes");
                return Err(SourceError::Odd { url: wanted.url.clone(), what: "archive", reason });
            }
            file.write_all(&chunk).map_err(SourceError::cache(directory))?;
        }
        Ok(file)
    }
}

fn refused(wanted: &Wanted, status: StatusCode) -> SourceError {
    let remedy = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "the login is wrong or may not read it, or the server has had too many requests: set RUNSPAN_ACTIONS_TOKEN"
        }
        StatusCode::NOT_FOUND => {
            "there is no such repository or version, or it is private and RUNSPAN_ACTIONS_TOKEN is not set"
        }
        _ => "try again later",
    };
    SourceError::Refused { url: wanted.url.clone(), status: status.as_u16(), remedy }
}

fn unreachable(wanted: &Wanted, error: &reqwest::Error) -> SourceError {
    let mut reason = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        // The outermost says the address once more.
        reason = error.to_string();
        cause = error.source();
    }
    SourceError::Unreachable { url: wanted.url.clone(), reason, setting: wanted.setting }
}
