//! The whole log of a build as one compressed object, when the build is over.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use runspan_engine::log_object;
use runspan_engine::ports::{Encryption, Metadata, NewObject, ObjectStore};
use runspan_engine::project::Switch;
use runspan_engine::request::BuildRequest;
use runspan_engine::sinks::{Delivery, Sink, SinkError};

use crate::account::Account;
use crate::objects::S3;

/// Follows builds to their end.
pub struct S3Logs(S3);

impl S3Logs {
    /// In this account.
    pub const fn new(account: Arc<Account>) -> Self {
        Self(S3::new(account))
    }
}

#[async_trait]
impl Sink for S3Logs {
    fn name(&self) -> &'static str {
        "s3-logs"
    }

    fn wants(&self, request: &BuildRequest) -> bool {
        let config = &request.project.logs_config.s3_logs;
        config.status == Switch::Enabled && config.location.is_some()
    }

    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), SinkError> {
        let project = &delivery.request.project;
        let config = &project.logs_config.s3_logs;
        let Some(location) = config.location.as_ref().filter(|_| delivery.page.last) else { return Ok(()) };
        let dir = delivery.journal.home().build(delivery.build.id.uuid());
        let (log, file) = (dir.log(), dir.outgoing().join("log.gz"));
        compress(log, file.clone()).await?;
        let object = NewObject {
            place: log_object(location, &delivery.build.id),
            file: file.clone(),
            encryption: Encryption::of(config.encryption_disabled, project.encryption_key.as_deref()),
            owner_access: config.bucket_owner_access,
            metadata: Metadata::from([("codebuild-buildarn".to_owned(), delivery.build.arn.clone())]),
            content: Some(("text/plain; charset=utf-8".to_owned(), Some("gzip".to_owned()))),
        };
        let put = self.0.put(&[object]).await.map_err(|error| SinkError::new(error.to_string()));
        // It is made again by the next try.
        let _left = std::fs::remove_file(file);
        put
    }
}

async fn compress(from: PathBuf, to: PathBuf) -> Result<(), SinkError> {
    let shown = to.display().to_string();
    let work = tokio::task::spawn_blocking(move || compress_now(&from, &to)).await;
    work.unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|error| SinkError::new(format!("cannot write {shown}: {error}")))
}

fn compress_now(from: &Path, to: &Path) -> io::Result<()> {
    to.parent().map(std::fs::create_dir_all).transpose()?;
    let mut encoder = GzEncoder::new(File::create(to)?, Compression::fast());
    io::copy(&mut File::open(from)?, &mut encoder)?;
    encoder.finish().map(drop)
}
