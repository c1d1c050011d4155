//! A batch whose process died: another one goes on with it, or closes it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::begin::Held;
use super::{BatchHandle, Batchspec, BuildBatch, SUPERVISOR_LOST};
use crate::build::{Build, BuildId};
use crate::journal::Stored;
use crate::lifecycle::PhaseType;
use crate::supervisor::{BuildHandle, EngineError, Outcome, Supervisor};

/// Between two looks at a build that another process has.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A build that a process before this one began.
pub(super) struct Member {
    /// Of this task.
    pub(super) identifier: String,
    pub(super) id: BuildId,
    /// Where it runs in this process.
    pub(super) handle: Option<BuildHandle>,
}

impl Supervisor {
    /// Goes on with a batch whose process died. What it has built is not built again, and what runs goes on: the
    /// batch's own of the builds that were `adopted` before are taken from there, the others adopted.
    ///
    /// # Errors
    /// When it is complete, unknown, or another process has it; when there is not all that it takes to go on.
    pub fn resume_batch(
        &self,
        name: &str,
        at_once: usize,
        adopted: &mut Vec<BuildHandle>,
    ) -> Result<BatchHandle, EngineError> {
        let find =
            |name: &str| self.journal.find_batch(name)?.ok_or_else(|| EngineError::Unknown(name.to_owned()));
        let id = find(name)?.id;
        let lock = self.take_batch(&id)?;
        // It may have ended between the look and the lock.
        let record = find(id.as_str())?;
        if record.complete {
            return Err(EngineError::Complete(id.to_string()));
        }
        let unknown = || EngineError::Request(format!("what batch {id} was asked for with is not known"));
        let request = self.journal.batch_request(id.uuid())?.ok_or_else(unknown)?;
        let text = self.journal.batch_buildspec(id.uuid())?;
        let spec = text.map(|text| Batchspec::read(text.as_bytes(), "the buildspec")).transpose();
        let spec = spec.map_err(EngineError::Request)?;
        let members = self.members(&record, adopted)?;
        Ok(Held { supervisor: self.clone(), request, record, lock }.run(spec, members, at_once))
    }

    /// The newest build of each task that has one.
    fn members(
        &self,
        batch: &BuildBatch,
        adopted: &mut Vec<BuildHandle>,
    ) -> Result<Vec<Member>, EngineError> {
        let mut newest = BTreeMap::new();
        for id in self.journal.builds_of_batch(&batch.arn)? {
            let stored = self.journal.build(id.as_str())?;
            if let Some(identifier) = stored.and_then(|stored| stored.build.batch_identifier) {
                newest.insert(identifier, id);
            }
        }
        let member = |(identifier, id): (String, BuildId)| {
            let handle = match adopted.iter().position(|handle| handle.id == id) {
                Some(index) => Some(adopted.swap_remove(index)),
                None => match self.attach(id.as_str()) {
                    Ok(handle) => Some(handle),
                    Err(EngineError::Complete(_) | EngineError::Supervised(_)) => None,
                    Err(error) => return Err(error),
                },
            };
            Ok(Member { identifier, id, handle })
        };
        newest.into_iter().map(member).collect()
    }

    /// Closes a batch that nobody has any more; its builds are others' to end. Returns whether it was one.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn close_batch(&self, id: &BuildId) -> Result<bool, EngineError> {
        let _alone = match self.take_batch(id) {
            Err(EngineError::Supervised(_)) => return Ok(false),
            lock => lock?,
        };
        let Some(mut batch) = self.journal.find_batch(id.as_str())?.filter(|batch| !batch.complete) else {
            return Ok(false);
        };
        for made in batch.build_groups.iter_mut().filter_map(|group| group.current_build_summary.as_mut()) {
            let id = made.arn.rsplit_once('/').map_or("", |(_, id)| id);
            if let Some(stored) = self.journal.build(id)? {
                made.build_status = stored.build.build_status;
            }
        }
        batch.fail(SUPERVISOR_LOST, "The process that supervised the batch was killed.".to_owned());
        self.journal.save_batch(&batch)?;
        Ok(true)
    }

    /// How a build ended, if it has.
    pub(super) fn ended(&self, id: &BuildId) -> Result<Option<Outcome>, EngineError> {
        let stored = self.journal.build(id.as_str())?.filter(|stored| stored.build.build_complete);
        Ok(stored.map(|Stored { build, .. }| Outcome {
            reports: self.journal.kept_reports(&build),
            build,
            retry: None,
        }))
    }

    /// Waits for the end of a build that another process has.
    pub(super) async fn end_of(self, id: BuildId) -> Result<Outcome, EngineError> {
        loop {
            if let Some(outcome) = self.ended(&id)? {
                return Ok(outcome);
            }
            match self.attach(id.as_str()) {
                Ok(handle) => {
                    return handle.outcome.await.map_err(|error| EngineError::Task(error.to_string()))?;
                }
                Err(EngineError::Complete(_)) => {}
                Err(EngineError::Supervised(_)) => tokio::time::sleep(LOOK_AGAIN).await,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether a build ended with its process before there was a container that anything could have run in.
pub(super) fn is_unbegun(build: &Build) -> bool {
    build.phases.iter().any(|phase| {
        phase.phase_type <= PhaseType::Provisioning
            && phase.contexts.iter().any(|context| context.status_code == SUPERVISOR_LOST)
    })
}
