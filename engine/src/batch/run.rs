//! Runs the builds of a batch: in the order of the graph, as many at once as allowed.

use jiff::Timestamp;
use runspan_buildspec::Batch;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use super::combine::{Made, combined};
use super::{BatchPhaseType, BuildBatch, BuildGroup, BuildSummary, Task, expand};
use crate::artifacts::ArtifactError;
use crate::build::{BuildArtifacts, BuildId, LOCAL_ACCOUNT};
use crate::journal::{Position, StoredDelivery};
use crate::lifecycle::{PhaseContext, Status};
use crate::ports::{NewObject, ObjectError, Place};
use crate::project::{EnvironmentVariable, ProjectSource, SourceType};
use crate::reports::{Execution, Report};
use crate::request::{BatchMember, BuildRequest, BuildspecChoice};
use crate::supervisor::{
    Control, EngineError, Outcome, Supervisor, batchspec, object_link, objects, project_name,
};

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

/// What happens in a batch.
#[derive(Debug)]
pub enum BatchProgress {
    /// A build started.
    Started {
        /// Of this task.
        identifier: String,
        /// The build.
        id: BuildId,
        /// How much of log and events there is to follow.
        position: watch::Receiver<Position>,
    },
    /// A task is complete, after its last try.
    Ended {
        /// The task.
        identifier: String,
        /// How.
        status: Status,
    },
    /// A task will not run.
    Skipped {
        /// The task.
        identifier: String,
        /// Why not.
        reason: String,
    },
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
    pub(crate) fn close_batch(&self, mut batch: BuildBatch) -> Result<(), EngineError> {
        let lock = self.journal.home().try_lock_batch(batch.id.uuid());
        if let Ok(Some(_alone)) = lock {
            batch.fail("SUPERVISOR_LOST", "The process that supervised the batch was killed.".to_owned());
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

#[derive(Clone, Debug)]
enum State {
    Waiting,
    Running(Control),
    Ended(Status),
    Skipped,
}

struct Run {
    supervisor: Supervisor,
    request: BuildRequest,
    record: BuildBatch,
    tasks: Vec<Task>,
    states: Vec<State>,
    fast_fail: bool,
    at_once: usize,
    progress: mpsc::UnboundedSender<BatchProgress>,
    reports: Vec<Report>,
}

type Finished = (usize, Result<Outcome, EngineError>);

impl Run {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Result<BatchOutcome, EngineError> {
        let mut running: JoinSet<Finished> = JoinSet::new();
        let mut halted = false;
        let mut stop = false;
        loop {
            if !halted {
                self.start_ready(&mut running)?;
            }
            if running.is_empty() {
                break;
            }
            tokio::select! {
                Some(joined) = running.join_next() => {
                    let (index, outcome) = joined.map_err(|error| EngineError::Task(error.to_string()))?;
                    if self.finish(index, outcome?, &mut running, halted)? && self.fast_fail {
                        halted = true;
                        self.stop_running();
                    }
                }
                Ok(()) = stopped.changed(), if !stop => {
                    (halted, stop) = (true, true);
                    self.stop_running();
                }
            }
        }
        self.complete(stop, stopped).await
    }

    /// Starts what can start; what never can is skipped.
    fn start_ready(&mut self, running: &mut JoinSet<Finished>) -> Result<(), EngineError> {
        loop {
            let mut changed = false;
            for index in 0..self.tasks.len() {
                if !matches!(self.states[index], State::Waiting) {
                    continue;
                }
                match self.readiness(index) {
                    Readiness::Ready if running.len() < self.at_once => {
                        let request = self.member_request(&self.tasks[index]);
                        self.start(index, request, running)?;
                        changed = true;
                    }
                    Readiness::Never(reason) => {
                        self.states[index] = State::Skipped;
                        self.tell(BatchProgress::Skipped {
                            identifier: self.tasks[index].identifier.clone(),
                            reason,
                        });
                        changed = true;
                    }
                    Readiness::Ready | Readiness::Waits => {}
                }
            }
            if !changed {
                return Ok(());
            }
        }
    }

    fn readiness(&self, index: usize) -> Readiness {
        let mut waits = false;
        for needed in &self.tasks[index].depends_on {
            let Some(other) = self.tasks.iter().position(|task| task.identifier == *needed) else { continue };
            match &self.states[other] {
                State::Ended(Status::Succeeded) => {}
                State::Ended(_) if self.tasks[other].ignore_failure => {}
                State::Ended(_) => return Readiness::Never(format!("`{needed}` failed")),
                State::Skipped => return Readiness::Never(format!("`{needed}` did not run")),
                State::Waiting | State::Running(_) => waits = true,
            }
        }
        if waits { Readiness::Waits } else { Readiness::Ready }
    }

    fn start(
        &mut self,
        index: usize,
        request: BuildRequest,
        running: &mut JoinSet<Finished>,
    ) -> Result<(), EngineError> {
        let handle = self.supervisor.start(request)?;
        self.states[index] = State::Running(handle.control.clone());
        self.tell(BatchProgress::Started {
            identifier: self.tasks[index].identifier.clone(),
            id: handle.id.clone(),
            position: handle.position.clone(),
        });
        running.spawn(async move {
            let outcome = handle.outcome.await.map_err(|error| EngineError::Task(error.to_string()));
            (index, outcome.and_then(|outcome| outcome))
        });
        Ok(())
    }

    /// Takes a finished build in, starts its next try if it has one. Returns whether its task failed the batch.
    fn finish(
        &mut self,
        index: usize,
        outcome: Outcome,
        running: &mut JoinSet<Finished>,
        halted: bool,
    ) -> Result<bool, EngineError> {
        let build = outcome.build;
        if let Some(group) = self.record.build_groups.get_mut(index) {
            group.current_build_summary = Some(BuildSummary {
                arn: build.arn.clone(),
                requested_on: build.start_time,
                build_status: build.build_status,
                primary_artifact: build.artifacts.clone(),
                secondary_artifacts: build.secondary_artifacts.clone(),
            });
        }
        if let Some(retry) = outcome.retry.filter(|_| !halted) {
            self.start(index, *retry, running)?;
            self.supervisor.journal.save_batch(&self.record)?;
            return Ok(false);
        }
        self.states[index] = State::Ended(build.build_status);
        self.reports.extend(outcome.reports);
        self.supervisor.journal.save_batch(&self.record)?;
        self.tell(BatchProgress::Ended {
            identifier: self.tasks[index].identifier.clone(),
            status: build.build_status,
        });
        Ok(build.build_status != Status::Succeeded && !self.tasks[index].ignore_failure)
    }

    fn stop_running(&self) {
        for state in &self.states {
            if let State::Running(control) = state {
                control.stop();
            }
        }
    }

    fn member_request(&self, task: &Task) -> BuildRequest {
        let mut request = BuildRequest { idempotency_token: None, ..self.request.clone() };
        let below = |dir: &Option<std::path::PathBuf>| dir.as_ref().map(|dir| dir.join(&task.identifier));
        request.artifacts_dir = below(&self.request.artifacts_dir);
        request.reports_dir = below(&self.request.reports_dir);
        if let Some(text) = &task.buildspec {
            request.buildspec = Some(BuildspecChoice::from_text(text));
        }
        if let Some(image) = &task.env.image {
            request.image = Some(image.clone());
        }
        if let Some(compute_type) = &task.env.compute_type {
            request.compute_type = Some(compute_type.clone());
        }
        if let Some(privileged) = task.env.privileged_mode {
            request.privileged = Some(privileged);
        }
        // A task's own variables make it what it is, so they beat those of the whole batch.
        let own = task.env.variables.iter().map(|(name, value)| EnvironmentVariable::plain(name, value));
        request.environment.extend(own);
        request.debug_session |= task.debug_session;
        request.secondary_sources.extend(self.handed_on(task));
        request.batch = Some(BatchMember {
            arn: self.record.arn.clone(),
            identifier: task.identifier.clone(),
            shard: task.shard,
        });
        request
    }

    /// Artifacts of the builds that come before a task, each as the secondary source of its identifier.
    fn handed_on(&self, task: &Task) -> Vec<(ProjectSource, Option<String>)> {
        let mut before: Vec<&str> = task.depends_on.iter().map(String::as_str).collect();
        let mut next = 0;
        while let Some(identifier) = before.get(next).copied() {
            next += 1;
            for other in self.tasks.iter().filter(|other| other.identifier == identifier) {
                let new = other.depends_on.iter().map(String::as_str).filter(|name| !before.contains(name));
                before.extend(new.collect::<Vec<_>>());
            }
        }
        let groups =
            self.record.build_groups.iter().filter(|group| before.contains(&group.identifier.as_str()));
        let artifact = |group: &BuildGroup| {
            let made = group.current_build_summary.as_ref()?.primary_artifact.as_ref()?;
            let source = ProjectSource {
                kind: SourceType::Directory,
                location: Some(made.local().to_owned()).filter(|location| !location.is_empty()),
                source_identifier: Some(group.identifier.clone()),
                ..ProjectSource::default()
            };
            source.location.is_some().then_some((source, None))
        };
        groups.filter_map(artifact).collect()
    }

    async fn complete(
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
        self.forget_copies()?;
        let reports = self.merged_reports();
        self.record.reports = reports.iter().map(Report::to_json).collect();
        self.supervisor.journal.save_batch(&self.record)?;
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
                    Err(ObjectError::Unavailable(reason)) => self.deliver_later(&place, &objects, reason)?,
                    Err(error) => return Err(format!("Failed to upload artifacts: {error}")),
                }
                artifact.location = place.arn();
                artifact.link = Some(object_link(&place, packaging, &self.supervisor.region));
            }
            uploaded.push(artifact);
        }
        Ok(uploaded)
    }

    /// Keeps files that cannot be taken into their bucket now.
    fn deliver_later(&self, place: &Place, objects: &[NewObject], reason: String) -> Result<(), String> {
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

    fn tell(&self, progress: BatchProgress) {
        // Nobody has to listen.
        let _unheard = self.progress.send(progress);
    }
}

enum Readiness {
    Ready,
    Waits,
    Never(String),
}
