//! How a batch begins: its record, and the tasks of its buildspec.

use jiff::Timestamp;
use runspan_buildspec::{Batch, Diagnostic, parse_bytes};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::resume::Member;
use super::run::{Run, State};
use super::{BatchPhaseType, BatchProgress, BuildBatch, BuildGroup, Task, expand};
use crate::build::{BuildId, LOCAL_ACCOUNT};
use crate::home::StopOrder;
use crate::lifecycle::Status;
use crate::private::FileLock;
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

/// A buildspec with a `batch`.
#[derive(Clone, Debug)]
pub struct Batchspec {
    /// The whole of it.
    pub text: String,
    /// Its `batch`.
    pub batch: Batch,
}

impl Batchspec {
    /// Reads a buildspec of this name.
    ///
    /// # Errors
    /// What is wrong with it, in CodeBuild's words.
    pub fn read(bytes: &[u8], name: &str) -> Result<Self, String> {
        let parsed = parse_bytes(bytes);
        let Some(buildspec) = parsed.buildspec else {
            let first = parsed.diagnostics.iter().find(|diagnostic| diagnostic.status().is_some());
            return Err(first.map(Diagnostic::codebuild_message).unwrap_or_default());
        };
        let batch = buildspec.batch.ok_or_else(|| format!("{name} has no `batch`"))?;
        Ok(Self { text: String::from_utf8_lossy(bytes).into_owned(), batch })
    }
}

impl Supervisor {
    /// Starts a batch, at most `at_once` builds at a time.
    ///
    /// # Errors
    /// When the project does not allow it, or it cannot be written down.
    pub fn start_batch(
        &self,
        request: BuildRequest,
        spec: Batchspec,
        at_once: usize,
    ) -> Result<BatchHandle, EngineError> {
        tasks(&request, &spec.batch).map_err(EngineError::Request)?;
        Ok(self.new_batch(request, Vec::new())?.run(Some(spec), Vec::new(), at_once))
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
        let has_succeeded = |group: &&BuildGroup| {
            group.current_build_summary.as_ref().is_some_and(|made| made.build_status == Status::Succeeded)
        };
        let done = after.iter().flat_map(|batch| &batch.build_groups).filter(has_succeeded).cloned();
        Ok(self.new_batch(request, done.collect())?.run(None, Vec::new(), at_once))
    }

    /// Writes a new batch down; builds of these groups are not built again.
    fn new_batch(&self, request: BuildRequest, done: Vec<BuildGroup>) -> Result<Held, EngineError> {
        let project = project_name(&request);
        let id = BuildId::new(&project);
        let mut record = BuildBatch {
            arn: format!("arn:aws:codebuild:{}:{LOCAL_ACCOUNT}:build-batch/{id}", self.region),
            build_batch_number: self.journal.next_number(&project, "batch")?,
            project_name: project,
            start_time: Timestamp::now(),
            end_time: None,
            build_batch_status: Status::InProgress,
            phases: Vec::new(),
            complete: false,
            build_groups: done,
            artifacts: None,
            secondary_artifacts: Vec::new(),
            reports: Vec::new(),
            id,
        };
        for phase in [BatchPhaseType::Submitted, BatchPhaseType::DownloadBatchspec] {
            record.advance(phase, Timestamp::now());
        }
        // Taken before there is a record, or whoever comes after a crash would find a batch that nobody has.
        let lock = self.take_batch(&record.id)?;
        self.journal.keep_batch_request(record.id.uuid(), &request)?;
        self.journal.save_batch(&record)?;
        Ok(Held { supervisor: self.clone(), request, record, lock })
    }

    /// The batch's lock.
    pub(super) fn take_batch(&self, id: &BuildId) -> Result<FileLock, EngineError> {
        let lock = self.journal.home().try_lock_batch(id.uuid());
        lock.map_err(|source| EngineError::State { build: id.to_string(), source })?
            .ok_or_else(|| EngineError::Supervised(id.to_string()))
    }
}

/// A batch that this process has.
pub(super) struct Held {
    pub(super) supervisor: Supervisor,
    pub(super) request: BuildRequest,
    pub(super) record: BuildBatch,
    pub(super) lock: FileLock,
}

impl Held {
    /// Runs it to its end. `members` are builds that it has already; a buildspec that is not known is fetched.
    pub(super) fn run(self, spec: Option<Batchspec>, members: Vec<Member>, at_once: usize) -> BatchHandle {
        let (progress_sender, progress) = mpsc::unbounded_channel();
        let id = self.record.id.clone();
        let order = self.supervisor.journal.home().batch_stop_order(id.uuid());
        let (stop, stopped) = watch::channel(order.is_given());
        let Self { supervisor, request, mut record, lock } = self;
        let work = async move {
            let _lock = lock;
            let spec = match spec {
                Some(spec) => Ok(spec),
                None => batchspec(request.clone(), &supervisor.ports).await,
            };
            let read = spec.and_then(|spec| Ok((tasks(&request, &spec.batch)?, spec)));
            let (tasks, spec) = match read {
                Ok(read) => read,
                Err(message) => {
                    record.fail("YAML_FILE_ERROR", message);
                    supervisor.journal.save_batch(&record)?;
                    return Ok(BatchOutcome { batch: record, reports: Vec::new() });
                }
            };
            supervisor.journal.keep_batch_buildspec(record.id.uuid(), &spec.text)?;
            record.advance(BatchPhaseType::InProgress, Timestamp::now());
            record.build_groups = tasks.iter().map(|task| group(task, &record.build_groups)).collect();
            supervisor.journal.save_batch(&record)?;
            let run = Run {
                states: record.build_groups.iter().map(State::of).collect(),
                supervisor,
                request,
                record,
                tasks,
                fast_fail: spec.batch.fast_fail.unwrap_or_default(),
                at_once: at_once.max(1),
                progress: progress_sender,
                reports: Vec::new(),
            };
            run.run(members, stopped).await
        };
        let outcome = tokio::spawn(obeying(order, stop.clone(), work));
        BatchHandle { id, progress, stop, outcome }
    }
}

/// Does work that stops when it is told to, which the standing order does too.
async fn obeying<T>(order: StopOrder, stop: watch::Sender<bool>, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let ended = tokio::select! {
        ended = &mut work => ended,
        () = order.given() => {
            let _ended = stop.send(true);
            work.await
        }
    };
    order.withdraw();
    ended
}

fn tasks(request: &BuildRequest, batch: &Batch) -> Result<Vec<Task>, String> {
    let config = request.project.build_batch_config.clone().unwrap_or_default();
    expand(batch, &config.restrictions)
}

/// The group of a task, with its build if one of these groups has it.
fn group(task: &Task, known: &[BuildGroup]) -> BuildGroup {
    let known = known.iter().find(|group| group.identifier == task.identifier);
    BuildGroup {
        identifier: task.identifier.clone(),
        depends_on: task.depends_on.clone(),
        ignore_failure: task.ignore_failure,
        current_build_summary: known.and_then(|group| group.current_build_summary.clone()),
    }
}
