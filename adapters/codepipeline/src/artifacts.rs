//! A job's artifacts, fetched and put with the credentials that came with the job.

use std::path::Path;
use std::sync::Arc;

use runspan_aws::{Account, S3};
use runspan_engine::ports::{Encryption, Metadata, NewObject, ObjectError, ObjectStore};
use runspan_engine::project::BucketOwnerAccess;

use crate::api::Job;
use crate::order::file_of;
use crate::work::Over;

/// The buckets, as whoever the job lets us be.
fn store(account: &Account, job: &Job) -> Result<S3, ObjectError> {
    let keys = job
        .keys
        .clone()
        .ok_or_else(|| ObjectError::Refused("the job has no credentials for its artifacts".into()))?;
    Ok(S3::new(Arc::new(account.with_keys(keys))))
}

/// Fetches every input artifact into this directory.
pub(crate) async fn fetch(account: &Account, job: &Job, inputs: &Path) -> Result<(), ObjectError> {
    let store = store(account, job)?;
    tokio::fs::create_dir_all(inputs).await.map_err(|error| {
        ObjectError::Unavailable(format!("cannot write into {}: {error}", inputs.display()))
    })?;
    for input in &job.inputs {
        if store.get(&input.place, &file_of(inputs, &input.name)).await?.is_none() {
            let place = input.place.arn();
            return Err(ObjectError::Refused(format!("the input artifact {} is not at {place}", input.name)));
        }
    }
    Ok(())
}

/// Puts every output artifact where the pipeline wants it.
pub(crate) async fn put(account: &Account, job: &Job, over: &Over) -> Result<(), ObjectError> {
    if job.outputs.is_empty() {
        return Ok(());
    }
    let encryption = Encryption::of(None, job.encryption_key.as_deref());
    let mut objects = Vec::new();
    for output in &job.outputs {
        let made = over.artifact(&output.name, job.outputs.len() == 1).ok_or_else(|| {
            ObjectError::Refused(format!(
                "the build made no artifact {}: its buildspec must have `artifacts` and, where the action has several \
                 output artifacts, one of `secondary-artifacts` by the name of each; builds of a batch whose \
                 artifacts are not combined, by `<build>_<name>`",
                output.name
            ))
        })?;
        objects.push(NewObject {
            place: output.place.clone(),
            file: made.location.clone().into(),
            encryption: encryption.clone(),
            owner_access: BucketOwnerAccess::None,
            metadata: Metadata::from([("codebuild-buildarn".to_owned(), over.arn().to_owned())]),
            content: Some(("application/zip".into(), None)),
        });
    }
    store(account, job)?.put(&objects).await.map_err(|failed| failed.error)
}
