//! Runs the builds of a batch: in the order of the graph, as many at once as allowed.

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::resume::{Member, is_unbegun};
use super::{BatchOutcome, BuildBatch, BuildGroup, BuildSummary, Task};
use crate::build::{Build, BuildId};
use crate::journal::Position;
use crate::lifecycle::Status;
use crate::project::{EnvironmentVariable, ProjectSource, SourceType};
use crate::reports::Report;
use crate::request::{BatchMember, BuildRequest, BuildspecChoice};
use crate::supervisor::{BuildHandle, Control, EngineError, Outcome, Supervisor, find_copies};

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

#[derive(Clone, Debug)]
pub(super) enum State {
    Waiting,
    Running(Control),
    /// In another process.
    Elsewhere(BuildId),
    Ended(Status),
    Skipped,
}

impl State {
    pub(super) fn of(group: &BuildGroup) -> Self {
        group.current_build_summary.as_ref().map_or(Self::Waiting, |made| Self::Ended(made.build_status))
    }
}

pub(super) struct Run {
    pub(super) supervisor: Supervisor,
    pub(super) request: BuildRequest,
    pub(super) record: BuildBatch,
    pub(super) tasks: Vec<Task>,
    pub(super) states: Vec<State>,
    pub(super) fast_fail: bool,
    pub(super) at_once: usize,
    pub(super) progress: mpsc::UnboundedSender<BatchProgress>,
    pub(super) reports: Vec<Report>,
}

type Finished = (usize, Result<Outcome, EngineError>);

impl Run {
    pub(super) async fn run(
        mut self,
        members: Vec<Member>,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<BatchOutcome, EngineError> {
        let mut running: JoinSet<Finished> = JoinSet::new();
        // Of one that was to stop when its process died, nothing more is begun.
        let mut stop = *stopped.borrow_and_update();
        let mut halted = stop;
        for member in members {
            halted |= self.take_up(member, &mut running)? && self.fast_fail;
        }
        if halted {
            self.stop_running();
        }
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
                State::Waiting | State::Running(_) | State::Elsewhere(_) => waits = true,
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
        self.follow(index, handle, running)
    }

    fn follow(
        &mut self,
        index: usize,
        handle: BuildHandle,
        running: &mut JoinSet<Finished>,
    ) -> Result<(), EngineError> {
        self.states[index] = State::Running(handle.control.clone());
        if let Some(stored) = self.supervisor.journal.build(handle.id.as_str())? {
            self.note(index, &stored.build)?;
        }
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

    /// Writes down how the build of a task stands.
    fn note(&mut self, index: usize, build: &Build) -> Result<(), EngineError> {
        if let Some(group) = self.record.build_groups.get_mut(index) {
            group.current_build_summary = Some(BuildSummary {
                arn: build.arn.clone(),
                requested_on: build.start_time,
                build_status: build.build_status,
                primary_artifact: build.artifacts.clone(),
                secondary_artifacts: build.secondary_artifacts.clone(),
            });
        }
        Ok(self.supervisor.journal.save_batch(&self.record)?)
    }

    /// Goes on with a build of a process that died. Returns whether its task failed the batch.
    fn take_up(&mut self, member: Member, running: &mut JoinSet<Finished>) -> Result<bool, EngineError> {
        let Member { identifier, id, handle } = member;
        let Some(index) = self.tasks.iter().position(|task| task.identifier == identifier) else {
            return Ok(false);
        };
        match (handle, self.supervisor.ended(&id)?) {
            (Some(handle), _) => self.follow(index, handle, running)?,
            (None, Some(outcome)) => return self.finish(index, outcome, running, false),
            (None, None) => {
                let end = self.supervisor.clone().end_of(id.clone());
                self.states[index] = State::Elsewhere(id);
                running.spawn(async move { (index, end.await) });
            }
        }
        Ok(false)
    }

    /// Takes a finished build in, starts its next try if it has one. Returns whether its task failed the batch.
    fn finish(
        &mut self,
        index: usize,
        outcome: Outcome,
        running: &mut JoinSet<Finished>,
        halted: bool,
    ) -> Result<bool, EngineError> {
        let mut build = outcome.build;
        find_copies(&self.supervisor.journal.home().build(build.id.uuid()), &mut build);
        self.note(index, &build)?;
        let unbegun = || is_unbegun(&build).then(|| self.member_request(&self.tasks[index]));
        let retry = outcome.retry.map(|retry| *retry).or_else(unbegun);
        if let Some(retry) = retry.filter(|_| !halted) {
            self.start(index, retry, running)?;
            return Ok(false);
        }
        self.states[index] = State::Ended(build.build_status);
        self.reports.extend(outcome.reports);
        self.tell(BatchProgress::Ended {
            identifier: self.tasks[index].identifier.clone(),
            status: build.build_status,
        });
        Ok(build.build_status != Status::Succeeded && !self.tasks[index].ignore_failure)
    }

    fn stop_running(&self) {
        for state in &self.states {
            match state {
                State::Running(control) => control.stop(),
                // Its process looks for this file.
                State::Elsewhere(id) => {
                    drop(self.supervisor.journal.home().build(id.uuid()).stop_order().give());
                }
                State::Waiting | State::Ended(_) | State::Skipped => {}
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
