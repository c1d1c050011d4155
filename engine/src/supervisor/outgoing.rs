//! Artifacts on their way into a bucket: kept on this machine until they have arrived.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use runspan_agent_protocol::StopReason;
use walkdir::WalkDir;

use super::driver::Driver;
use super::session::Interrupt;
use crate::artifacts::Stored;
use crate::build::Build;
use crate::home::BuildDir;
use crate::journal::StoredDelivery;
use crate::lifecycle::PhaseOutcome;
use crate::plan::Bucket;
use crate::ports::{Metadata, NewObject, ObjectError, Place, PutError};
use crate::project::ArtifactPackaging;

impl Driver {
    /// Where an artifact waits.
    pub(super) fn outgoing(&self, identifier: Option<&str>) -> PathBuf {
        waits_in(&self.dir, identifier)
    }

    /// Takes a stored artifact into its bucket. A bucket that refuses it fails the phase; a store that does not answer
    /// now gets it later, and the build's result stands.
    pub(super) async fn upload_to_bucket(
        &mut self,
        bucket: &Bucket,
        key: &str,
        root: &Path,
        stored: &Stored,
    ) -> Result<Result<(), PhaseOutcome>, Interrupt> {
        let Some(store) = self.supervisor.ports.objects.as_ref().map(Arc::clone) else { return Ok(Ok(())) };
        let objects = objects(bucket, key, stored, &self.build.arn);
        match self.interruptible(store.put(&objects)).await {
            Ok(Ok(())) => {
                // What stays costs room and nothing else. The other builds of a batch may want it.
                if self.request.batch.is_none() {
                    let _left = std::fs::remove_dir_all(root);
                }
                Ok(Ok(()))
            }
            Ok(Err(PutError { error: ObjectError::Refused(reason), .. })) => {
                let message = format!("Failed to upload artifacts: {reason}");
                Ok(Err(PhaseOutcome::failed("CLIENT_ERROR", message)))
            }
            Ok(Err(failed)) => {
                let place = Place::new(&bucket.name, key).arn();
                let reason = failed.error.to_string();
                self.warn(format!("the artifact {place} waits to be uploaded: {reason}"))?;
                let (arrived, left) = failed.split(&objects);
                let name = format!("s3-artifact {place}");
                let work = serde_json::to_string(&left)
                    .map_err(|error| Interrupt::Failed(format!("the artifact cannot be kept: {error}")))?;
                self.supervisor.journal.save_delivery(&StoredDelivery {
                    work: Some(work),
                    error: Some(reason),
                    ..StoredDelivery::new(self.build.id.uuid(), &name)
                })?;
                if self.request.batch.is_none() {
                    forget(arrived);
                }
                Ok(Ok(()))
            }
            Err(PhaseOutcome::TimedOut) => Err(Interrupt::Ended(StopReason::TimedOut)),
            Err(_) => Err(Interrupt::Ended(StopReason::Stopped)),
        }
    }
}

/// Removes the files of objects that have arrived; one that stays costs room and nothing else.
pub(crate) fn forget<'a>(objects: impl IntoIterator<Item = &'a NewObject>) {
    for object in objects {
        let _left = std::fs::remove_file(&object.file);
    }
}

/// Notes again where the artifacts of a batch's build also are on this machine, which no record says.
pub(crate) fn find_copies(dir: &BuildDir, build: &mut Build) {
    for made in build.artifacts.iter_mut().chain(&mut build.secondary_artifacts) {
        if made.copy.is_none()
            && let Some(place) = made.location.strip_prefix("arn:")
        {
            let key = place.split_once('/').map_or("", |(_, key)| key);
            let path = waits_in(dir, made.artifact_identifier.as_deref()).join(key);
            made.copy = path.exists().then(|| path.display().to_string());
        }
    }
}

/// Where an artifact waits.
fn waits_in(dir: &BuildDir, identifier: Option<&str>) -> PathBuf {
    // No identifier of CodeBuild's is empty.
    dir.outgoing().join(identifier.map_or_else(|| "primary".into(), |name| format!("secondary-{name}")))
}

/// The files of a stored artifact as objects, with the metadata of CodeBuild's.
pub(crate) fn objects(bucket: &Bucket, key: &str, stored: &Stored, arn: &str) -> Vec<NewObject> {
    let mut metadata = Metadata::from([("codebuild-buildarn".to_owned(), arn.to_owned())]);
    for (name, sum) in [("codebuild-content-md5", &stored.md5), ("codebuild-content-sha256", &stored.sha256)]
    {
        metadata.extend(sum.clone().map(|sum| (name.to_owned(), sum)));
    }
    let object = |key: String, file: PathBuf| NewObject {
        place: Place::new(&bucket.name, key),
        file,
        encryption: bucket.encryption.clone(),
        owner_access: bucket.owner_access,
        metadata: metadata.clone(),
        content: None,
    };
    if stored.path.is_file() {
        return vec![object(key.to_owned(), stored.path.clone())];
    }
    let prefix = if key.is_empty() { String::new() } else { format!("{key}/") };
    WalkDir::new(&stored.path)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let below = entry.path().strip_prefix(&stored.path).unwrap_or(entry.path());
            object(format!("{prefix}{}", below.to_string_lossy()), entry.path().to_owned())
        })
        .collect()
}

/// The page of an object in S3's console, or of the folder that an unpacked artifact is.
pub(crate) fn object_link(place: &Place, packaging: ArtifactPackaging, region: &str) -> String {
    let (kind, slash) = match packaging {
        ArtifactPackaging::Zip => ("object", ""),
        ArtifactPackaging::None if place.key.is_empty() => ("buckets", ""),
        ArtifactPackaging::None => ("buckets", "/"),
    };
    let Place { bucket, key, .. } = place;
    format!("https://s3.console.aws.amazon.com/s3/{kind}/{bucket}?region={region}&prefix={key}{slash}")
}
