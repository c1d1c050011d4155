//! How a batch ends: what its builds made is combined, and what they reported merged.

use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use super::combine::{Made, combined};
use super::run::{Run, State};
use super::{BatchOutcome, BatchPhaseType};
use crate::artifacts::ArtifactError;
use crate::build::{BuildArtifacts, LOCAL_ACCOUNT};
use crate::journal::StoredDelivery;
use crate::lifecycle::{PhaseContext, Status};
use crate::ports::{NewObject, ObjectError, Place, PutError};
use crate::reports::{Execution, Report};
use crate::supervisor::{EngineError, forget, object_link, objects};

impl Run {
    pub(super) async fn complete(
        mut self,
        mut stopped: bool,
        mut stop: watch::Receiver<bool>,
    ) -> Result<BatchOutcome, EngineError> {
        let failed =
            self.states.iter().zip(&self.tasks).any(|(state, task)| {
                !task.ignore_failure && !matches!(state, State::Ended(Status::Succeeded))
            });
        let mut failed = failed;
        if !failed && !stopped {
            tokio::select! {
                combined = self.combine_artifacts() => failed = !combined?,
                // Nobody who can stop it is left when this fails.
                Ok(_) = async { stop.wait_for(|stop| *stop).await.map(|stop| *stop) } => stopped = true,
            }
            if stopped {
                self.discard_combined();
            }
        }
        let (status, phase) = match (stopped, failed) {
            (true, _) => (Status::Stopped, BatchPhaseType::Stopped),
            (false, true) => (Status::Failed, BatchPhaseType::Failed),
            (false, false) => (Status::Succeeded, BatchPhaseType::Succeeded),
        };
        self.record.build_batch_status = status;
        self.record.advance(phase, Timestamp::now());
        self.record.end_time = Some(Timestamp::now());
        self.record.complete = true;
        let reports = self.merged_reports();
        self.record.reports = reports.iter().map(Report::to_json).collect();
        self.supervisor.journal.save_batch(&self.record)?;
        // Only now: who goes on with a batch that is not complete combines them again.
        self.forget_copies()?;
        Ok(BatchOutcome { batch: self.record, reports })
    }

    /// COMBINE_ARTIFACTS, when the project asks for it and there are some. Returns whether nothing failed.
    async fn combine_artifacts(&mut self) -> Result<bool, EngineError> {
        let combined = combined(&self.request, &self.record);
        if combined.is_empty() {
            return Ok(true);
        }
        self.record.advance(BatchPhaseType::CombineArtifacts, Timestamp::now());
        self.supervisor.journal.save_batch(&self.record)?;
        let home_dir = self.supervisor.journal.home().batch_artifacts(self.record.id.uuid());
        let directory = self.request.artifacts_dir.clone().unwrap_or(home_dir);
        let made = tokio::task::spawn_blocking(move || -> Result<Vec<Made>, ArtifactError> {
            combined.into_iter().map(|artifact| artifact.make(&directory)).collect()
        });
        let made = match made.await.map_err(|error| EngineError::Task(error.to_string()))? {
            Ok(made) => self.upload(made).await,
            Err(error) => Err(format!("Failed to combine artifacts: {error}")),
        };
        match made {
            Ok(made) => {
                let (primary, secondary) =
                    made.into_iter().partition(|made| made.artifact_identifier.is_none());
                let primary: Vec<BuildArtifacts> = primary;
                self.record.artifacts = primary.into_iter().next();
                self.record.secondary_artifacts = secondary;
                Ok(true)
            }
            Err(message) => {
                if let Some(phase) = self.record.phases.last_mut() {
                    phase.contexts.push(PhaseContext { status_code: "CLIENT_ERROR".into(), message });
                }
                Ok(false)
            }
        }
    }

    /// Removes what was combined in vain. An upload of it that has begun is taken back when its file is missed.
    fn discard_combined(&self) {
        if self.request.artifacts_dir.is_none() {
            let home_dir = self.supervisor.journal.home().batch_artifacts(self.record.id.uuid());
            // What stays costs room and nothing else.
            let _left = std::fs::remove_dir_all(home_dir);
        }
    }

    /// Takes combined artifacts into their buckets.
    async fn upload(&self, all: Vec<Made>) -> Result<Vec<BuildArtifacts>, String> {
        let mut uploaded = Vec::new();
        for Made { mut artifact, stored, bucket, key, packaging } in all {
            if let (Some(bucket), Some(store)) = (bucket, &self.supervisor.ports.objects) {
                let objects = objects(&bucket, &key, &stored, &self.record.arn);
                let place = Place::new(&bucket.name, &key);
                match store.put(&objects).await {
                    Ok(()) => {}
                    Err(PutError { error: ObjectError::Refused(reason), .. }) => {
                        return Err(format!("Failed to upload artifacts: {reason}"));
                    }
                    Err(failed) => {
                        let (arrived, left) = failed.split(&objects);
                        self.deliver_later(&place, &left, failed.error.to_string())?;
                        forget(arrived);
                    }
                }
                artifact.location = place.arn();
                artifact.link = Some(object_link(&place, packaging, &self.supervisor.region));
            }
            uploaded.push(artifact);
        }
        Ok(uploaded)
    }

    /// Keeps files that cannot be taken into their bucket now.
    fn deliver_later(&self, place: &Place, objects: &[&NewObject], reason: String) -> Result<(), String> {
        let kept =
            |error: &dyn std::error::Error| format!("the artifact {} cannot be kept: {error}", place.arn());
        let work = serde_json::to_string(objects).map_err(|error| kept(&error))?;
        let name = format!("s3-artifact {}", place.arn());
        let delivery = StoredDelivery {
            work: Some(work),
            error: Some(reason),
            ..StoredDelivery::new(self.record.id.uuid(), &name)
        };
        self.supervisor.journal.save_delivery(&delivery).map_err(|error| kept(&error))
    }

    /// Removes what builds kept for each other, save what still waits to be uploaded.
    fn forget_copies(&self) -> Result<(), EngineError> {
        let journal = &self.supervisor.journal;
        for summary in
            self.record.build_groups.iter().filter_map(|group| group.current_build_summary.as_ref())
        {
            let uuid = summary.arn.rsplit(':').next().unwrap_or_default();
            if journal.deliveries(uuid)?.iter().any(|delivery| delivery.work.is_some() && !delivery.done) {
                continue;
            }
            for copy in summary.artifacts().filter_map(|made| made.copy.as_deref()) {
                // What stays costs room and nothing else.
                let _left = std::fs::remove_file(copy).or_else(|_| std::fs::remove_dir_all(copy));
            }
        }
        Ok(())
    }

    fn merged_reports(&mut self) -> Vec<Report> {
        let batch = Execution {
            region: self.supervisor.region.clone(),
            account: LOCAL_ACCOUNT.to_owned(),
            project: self.record.project_name.clone(),
            arn: self.record.arn.clone(),
        };
        let mut merged = Vec::new();
        let mut left = std::mem::take(&mut self.reports);
        while let Some(first) = left.first() {
            let group = first.group.clone();
            let (members, others): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|report| report.group == group);
            left = others;
            let expected = members.len();
            merged.extend(Report::merge(&batch, group, &members, expected, Uuid::new_v4(), Timestamp::now()));
        }
        merged
    }
}
