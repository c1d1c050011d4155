//! How a batch begins: its record, and the tasks of its buildspec.

use jiff::Timestamp;
use runspan_buildspec::Batch;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::run::{Run, State};
use super::{BatchPhaseType, BatchProgress, BuildBatch, BuildGroup, SUPERVISOR_LOST, Task, expand};
use crate::build::{BuildId, LOCAL_ACCOUNT};
use crate::lifecycle::Status;
use crate::reports::Report;
use crate::request::BuildRequest;
use crate::supervisor::{EngineError, Supervisor, batchspec, project_name};

/// A batch that runs in this process.
pub struct BatchHandle {
    /// Its id.
    pub id: BuildId,
    /// Builds as they start and end.
    pub progress: mpsc::UnboundedReceiver<BatchProgress>,
    /// Stops it: true once.
    pub stop: watch::Sender<bool>,
    /// How it ended.
    pub outcome: JoinHandle<Result<BatchOutcome, EngineError>>,
}

/// A complete batch.
#[derive(Clone, Debug)]
pub struct BatchOutcome {
    /// Its record.
    pub batch: BuildBatch,
    /// Reports of its builds, those of one group merged.
    pub reports: Vec<Report>,
}

impl Supervisor {
    /// Starts a batch, at most `at_once` builds at a time.
    ///
    /// # Errors
    /// When the project does not allow it, or it cannot be written down.
    pub fn start_batch(
        &self,
        request: BuildRequest,
        batch: &Batch,
        at_once: usize,
    ) -> Result<BatchHandle, EngineError> {
        let tasks = tasks(&request, batch)?;
        let mut record = self.new_batch(&request)?;
        // The buildspec was read before the batch was asked for.
        for phase in
            [BatchPhaseType::Submitted, BatchPhaseType::DownloadBatchspec, BatchPhaseType::InProgress]
        {
            record.advance(phase, Timestamp::now());
        }
        record.build_groups = tasks.iter().map(group).collect();
        self.journal.save_batch(&record)?;
        let (progress_sender, progress) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let id = record.id.clone();
        let run = Run {
            supervisor: self.clone(),
            request,
            record,
            states: tasks.iter().map(|_| State::Waiting).collect(),
            tasks,
            fast_fail: batch.fast_fail.unwrap_or_default(),
            at_once: at_once.max(1),
            progress: progress_sender,
            reports: Vec::new(),
        };
        Ok(BatchHandle { id, progress, stop, outcome: tokio::spawn(run.run(stopped)) })
    }

    /// Starts a batch whose buildspec is still to be fetched; what succeeded in the one `after` is taken over.
    ///
    /// # Errors
    /// When it cannot be written down; from then on, faults are part of its record.
    pub fn open_batch(
        &self,
        request: BuildRequest,
        at_once: usize,
        after: Option<&BuildBatch>,
    ) -> Result<BatchHandle, EngineError> {
        let mut record = self.new_batch(&request)?;
        for phase in [BatchPhaseType::Submitted, BatchPhaseType::DownloadBatchspec] {
            record.advance(phase, Timestamp::now());
        }
        // Taken before there is a record, or whoever comes after a crash would find a batch that nobody has.
        let lock = self.journal.home().try_lock_batch(record.id.uuid());
        let lock = lock.map_err(|source| EngineError::State { build: record.id.to_string(), source })?;
        self.journal.keep_batch_request(record.id.uuid(), &request)?;
        self.journal.save_batch(&record)?;
        let done: Vec<BuildGroup> = after.iter().flat_map(|batch| &batch.build_groups).cloned().collect();
        let (progress_sender, progress) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let (supervisor, id) = (self.clone(), record.id.clone());
        let work = async move {
            let _lock = lock;
            let read = batchspec(request.clone(), &supervisor.ports).await;
            let read = read.and_then(|batch| {
                tasks(&request, &batch).map(|tasks| (batch, tasks)).map_err(|error| error.to_string())
            });
            let (batch, tasks) = match read {
                Ok(read) => read,
                Err(message) => {
                    record.fail("YAML_FILE_ERROR", message);
                    supervisor.journal.save_batch(&record)?;
                    return Ok(BatchOutcome { batch: record, reports: Vec::new() });
                }
            };
            record.advance(BatchPhaseType::InProgress, Timestamp::now());
            record.build_groups = tasks.iter().map(|task| taken_over(group(task), &done)).collect();
            supervisor.journal.save_batch(&record)?;
            let states = record.build_groups.iter().map(|group| match group.current_build_summary {
                Some(_) => State::Ended(Status::Succeeded),
                None => State::Waiting,
            });
            let run = Run {
                states: states.collect(),
                supervisor,
                request,
                record,
                tasks,
                fast_fail: batch.fast_fail.unwrap_or_default(),
                at_once,
                progress: progress_sender,
                reports: Vec::new(),
            };
            run.run(stopped).await
        };
        Ok(BatchHandle { id, progress, stop, outcome: tokio::spawn(work) })
    }

    /// Closes a batch that nobody has any more; its builds are others' to end.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn close_batch(&self, mut batch: BuildBatch) -> Result<(), EngineError> {
        let lock = self.journal.home().try_lock_batch(batch.id.uuid());
        if let Ok(Some(_alone)) = lock {
            batch.fail(SUPERVISOR_LOST, "The process that supervised the batch was killed.".to_owned());
            self.journal.save_batch(&batch)?;
        }
        Ok(())
    }

    fn new_batch(&self, request: &BuildRequest) -> Result<BuildBatch, EngineError> {
        let project = project_name(request);
        let id = BuildId::new(&project);
        Ok(BuildBatch {
            arn: format!("arn:aws:codebuild:{}:{LOCAL_ACCOUNT}:build-batch/{id}", self.region),
            build_batch_number: self.journal.next_number(&project, "batch")?,
            project_name: project,
            start_time: Timestamp::now(),
            end_time: None,
            build_batch_status: Status::InProgress,
            phases: Vec::new(),
            complete: false,
            build_groups: Vec::new(),
            artifacts: None,
            secondary_artifacts: Vec::new(),
            reports: Vec::new(),
            id,
        })
    }
}

fn tasks(request: &BuildRequest, batch: &Batch) -> Result<Vec<Task>, EngineError> {
    let config = request.project.build_batch_config.clone().unwrap_or_default();
    expand(batch, &config.restrictions).map_err(EngineError::Request)
}

/// A group with the build of an earlier batch that succeeded.
fn taken_over(group: BuildGroup, done: &[BuildGroup]) -> BuildGroup {
    let earlier = done.iter().find(|earlier| earlier.identifier == group.identifier);
    let summary = earlier.and_then(|earlier| earlier.current_build_summary.clone());
    let succeeded = summary.filter(|summary| summary.build_status == Status::Succeeded);
    BuildGroup { current_build_summary: succeeded, ..group }
}

fn group(task: &Task) -> BuildGroup {
    BuildGroup {
        identifier: task.identifier.clone(),
        depends_on: task.depends_on.clone(),
        ignore_failure: task.ignore_failure,
        current_build_summary: None,
    }
}
