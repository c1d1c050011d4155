//! One build from SUBMITTED to COMPLETED.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use runspan_agent_protocol::{Exit, PhaseEnd, Reply, RunPhase, StopReason, Verb};
use runspan_buildspec::OnFailure;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::prepare::{Prepared, prepare};
use super::secrets::FetchedSecrets;
use super::session::{Interrupt, Session};
use super::{EngineError, Order, Outcome, Supervisor};
use crate::batch::SUPERVISOR_LOST;
use crate::build::{AutoRetry, Build};
use crate::cache::Lease;
use crate::environment::SourceDirs;
use crate::event::Event;
use crate::executor::Placement;
use crate::home::{BuildDir, StopOrder};
use crate::journal::Recorder;
use crate::lifecycle::{Lifecycle, PhaseOutcome, PhaseType, Status};
use crate::plan::Plan;
use crate::private::FileLock;
use crate::reports::Report;
use crate::request::BuildRequest;
use crate::steps::Job;

/// Between the ids of two requests there is room for repetitions, and for orders, numbered by their microsecond.
pub(super) const REQUEST_STRIDE: u64 = 1 << 40;

pub(super) struct Driver {
    pub(super) supervisor: Supervisor,
    pub(super) build: Build,
    pub(super) request: BuildRequest,
    pub(super) recorder: Arc<Recorder>,
    pub(super) dir: BuildDir,
    pub(super) dirs: SourceDirs,
    orders: mpsc::UnboundedReceiver<Order>,
    poll: tokio::time::Interval,
    /// Whether the standing order to stop was taken.
    is_stopping: bool,
    pub(super) next_request: u64,
    /// The last request before the current phase, or before what of it was not done for good.
    pub(super) phase_request: u64,
    life: Lifecycle,
    pub(super) reports: Vec<Report>,
    /// Cached directories that this build has for itself.
    pub(super) leases: Vec<Lease>,
    /// The cache key, once it was evaluated.
    pub(super) cache_key: Option<String>,
    /// The cache that was restored is the one that would be saved.
    pub(super) cache_is_exact: bool,
    /// What tells the cache without a key that was restored from others.
    pub(super) restored: Option<String>,
    /// How the job of `steps` stands, once a phase had any.
    pub(super) job: Option<Job>,
    retry: Option<Box<BuildRequest>>,
    /// Values on their way from elsewhere, from when the plan is known.
    pub(super) secrets: Option<FetchedSecrets>,
    /// Its right to run beside others.
    slot: Option<OwnedSemaphorePermit>,
    _lock: FileLock,
}

impl Driver {
    pub(super) fn new(
        supervisor: Supervisor,
        build: Build,
        request: BuildRequest,
        recorder: Arc<Recorder>,
        dir: BuildDir,
        orders: mpsc::UnboundedReceiver<Order>,
        lock: FileLock,
    ) -> Self {
        let dirs = SourceDirs::of(&build, &request);
        let life = Lifecycle::resume(build.phases.clone(), build.start_time);
        Self {
            supervisor,
            build,
            request,
            next_request: recorder.phase_request(),
            phase_request: recorder.phase_request(),
            reports: Vec::new(),
            leases: Vec::new(),
            cache_key: None,
            cache_is_exact: false,
            restored: None,
            recorder,
            dir,
            dirs,
            orders,
            poll: tokio::time::interval(StopOrder::POLL),
            is_stopping: false,
            life,
            job: None,
            retry: None,
            secrets: None,
            slot: None,
            _lock: lock,
        }
    }

    /// Runs a new build.
    pub(super) async fn run(mut self) -> Result<Outcome, EngineError> {
        self.recorder.event(&Event::Submitted { build: Box::new(self.build.clone()) }, None)?;
        self.end_phase(&PhaseOutcome::Succeeded, None)?;
        self.queued().await
    }

    /// Runs a build from QUEUED on.
    async fn queued(mut self) -> Result<Outcome, EngineError> {
        if let Err(outcome) = self.wait_for_slot().await {
            self.end_phase(&outcome, None)?;
            return self.complete();
        }
        self.end_phase(&PhaseOutcome::Succeeded, None)?;
        self.recorder.line(&format!("Running on runspan {}", env!("CARGO_PKG_VERSION")))?;
        let ports = self.supervisor.ports.clone();
        let preparing = prepare(self.request.clone(), self.build.clone(), self.dirs.clone(), &ports);
        let prepared = match self.interruptible(preparing).await {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(unprepared)) => {
                self.end_phase(&PhaseOutcome::Succeeded, None)?;
                self.recorder.line("Waiting for DOWNLOAD_SOURCE")?;
                self.recorder.text(&unprepared.details)?;
                self.fail_early(&unprepared.outcome)?;
                return self.complete();
            }
            Err(outcome) => {
                self.end_phase(&outcome, None)?;
                return self.complete();
            }
        };
        self.recorder.save_buildspec(&prepared.text)?;
        self.build.resolved_source_version.clone_from(&prepared.resolved_version);
        self.fetch_secrets(&prepared.plan);
        let session = match self.provision(&prepared.plan).await? {
            Ok(session) => session,
            Err(outcome) => {
                self.end_phase(&outcome, None)?;
                let context = outcome.context();
                self.recorder.line(&format!(
                    "Phase context status code: {} Message: {}",
                    context.status_code, context.message
                ))?;
                return self.complete();
            }
        };
        self.end_phase(&PhaseOutcome::Succeeded, None)?;
        let plan = prepared.plan.clone();
        self.in_container(session, Some(prepared), &plan).await
    }

    /// Goes on with a build whose supervisor died.
    pub(super) async fn adopt(
        mut self,
        buildspec: Option<String>,
        placement: Option<Placement>,
    ) -> Result<Outcome, EngineError> {
        if self.life.current() == PhaseType::Queued && self.supervisor.slots.is_some() {
            return self.queued().await;
        }
        let (Some(text), Some(placement)) = (buildspec, placement) else {
            let attempt = self.build.id.uuid().to_owned();
            // What was being placed carries the label.
            let _left_to_next_sweep = self.supervisor.executor.sweep(&move |other| other != attempt).await;
            return self.abandon().await;
        };
        let prepared = if self.life.current() <= PhaseType::DownloadSource {
            let ports = &self.supervisor.ports;
            prepare(self.request.clone(), self.build.clone(), self.dirs.clone(), ports).await.ok()
        } else {
            None
        };
        self.reports = self.supervisor.journal.kept_reports(&self.build);
        let plan = match &prepared {
            Some(prepared) => prepared.plan.clone(),
            None => match super::prepare::plan_from(&text, &self.request, &self.build) {
                Ok((plan, _)) => plan,
                Err(_) => return self.abandon().await,
            },
        };
        if self.life.current() < PhaseType::DownloadSource {
            self.end_phase(&PhaseOutcome::Succeeded, None)?;
        }
        let session = Session::open(&self, &plan, placement, true)?;
        self.in_container(session, prepared, &plan).await
    }

    /// Closes a build that nobody can go on with, with the reason in its record.
    pub(super) async fn abandon(mut self) -> Result<Outcome, EngineError> {
        let outcome = PhaseOutcome::fault(
            SUPERVISOR_LOST,
            "The process that supervised the build was killed; its container was removed.",
        );
        if self.life.current() != PhaseType::Completed {
            let phase = self.life.current().name();
            self.recorder
                .line(&format!("The supervisor was killed in phase {phase}; the build ends here"))?;
            self.end_phase(&outcome, None)?;
        }
        while self.life.current() != PhaseType::Completed {
            self.end_phase(&PhaseOutcome::Succeeded, None)?;
        }
        self.complete()
    }

    /// DOWNLOAD_SOURCE to COMPLETED, from whatever phase is the current one.
    async fn in_container(
        mut self,
        mut session: Session,
        prepared: Option<Prepared>,
        plan: &Plan,
    ) -> Result<Outcome, EngineError> {
        let ended = match self.phases(&mut session, prepared, plan).await {
            Ok(ended) => ended,
            Err(error) => return self.give_up(session, error).await,
        };
        if let Err(outcome) = ended {
            // The container is gone or must go; nothing more can run in it.
            self.end_phase(&outcome, None)?;
        }
        session.close(&mut self).await;
        if self.life.current() == PhaseType::Finalizing {
            self.end_phase(&PhaseOutcome::Succeeded, None)?;
        }
        self.complete()
    }

    /// Ends a build whose state cannot be written any more, as on a full disk. What its agent had spooled is given back
    /// to the disk first, so that the record can still say what happened.
    async fn give_up(mut self, session: Session, error: EngineError) -> Result<Outcome, EngineError> {
        session.discard(&self).await;
        let _gone = std::fs::remove_dir_all(self.dir.run());
        let mut outcome = PhaseOutcome::fault("STATE_ERROR", error.to_string());
        while self.life.current() != PhaseType::Completed {
            if self.end_phase(&outcome, None).is_err() {
                return Err(error);
            }
            outcome = PhaseOutcome::Succeeded;
        }
        self.complete()
    }

    /// Every phase in the container. The inner error is how the running phase ended when the container was lost.
    async fn phases(
        &mut self,
        session: &mut Session,
        mut prepared: Option<Prepared>,
        plan: &Plan,
    ) -> Result<Result<(), PhaseOutcome>, EngineError> {
        loop {
            let phase = self.life.current();
            let (outcome, on_failure) = match phase {
                PhaseType::DownloadSource => {
                    (self.download_source(session, prepared.take(), plan).await, None)
                }
                PhaseType::UploadArtifacts => (self.upload_artifacts(session, plan).await, None),
                PhaseType::Finalizing | PhaseType::Completed => return Ok(Ok(())),
                _ => {
                    let planned = plan.phases.iter().find(|planned| planned.phase == phase);
                    let on_failure = planned.and_then(|planned| planned.on_failure.clone());
                    (self.run_phase(session, plan, phase).await, on_failure)
                }
            };
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(Interrupt::Failed(message)) => PhaseOutcome::failed("CLIENT_ERROR", message),
                Err(Interrupt::Ended(StopReason::Stopped)) => PhaseOutcome::Stopped,
                Err(Interrupt::Ended(StopReason::TimedOut)) => PhaseOutcome::TimedOut,
                Err(Interrupt::Lost(outcome)) => {
                    self.recorder.line(&phase_complete(phase, &outcome))?;
                    self.recorder.line(&phase_context(&outcome))?;
                    return Ok(Err(outcome));
                }
                Err(Interrupt::Engine(error)) => return Err(error),
            };
            let lines = vec![phase_complete(phase, &outcome), phase_context(&outcome)];
            match session.call(self, Verb::Log(lines)).await {
                Ok(_) | Err(Interrupt::Failed(_) | Interrupt::Ended(_)) => {}
                Err(Interrupt::Lost(lost)) => return Ok(Err(lost)),
                Err(Interrupt::Engine(error)) => return Err(error),
            }
            self.end_phase(&outcome, on_failure.as_ref())?;
        }
    }

    async fn run_phase(
        &mut self,
        session: &mut Session,
        plan: &Plan,
        phase: PhaseType,
    ) -> Result<PhaseOutcome, Interrupt> {
        session.tell(self, vec![format!("Entering phase {}", phase.name())]);
        let Some(planned) = plan.phases.iter().find(|planned| planned.phase == phase) else {
            return Ok(PhaseOutcome::Succeeded);
        };
        let mut outcome = PhaseOutcome::Succeeded;
        if !planned.steps.is_empty() {
            outcome = self.run_steps(session, plan, planned).await?;
        } else if !planned.commands.is_empty() || !planned.finally.is_empty() {
            let run = RunPhase {
                phase: phase.name().to_owned(),
                commands: planned.commands.clone(),
                finally: planned.finally.clone(),
                run_as: planned.run_as.clone(),
                succeeding: self.life.is_succeeding(),
            };
            outcome = match session.call(self, Verb::RunPhase(run)).await? {
                Reply::Phase(PhaseEnd::Succeeded) => PhaseOutcome::Succeeded,
                Reply::Phase(PhaseEnd::Failed { command, exit }) => command_failed(&command, &exit),
                Reply::Phase(PhaseEnd::Ended(reason)) => return Err(Interrupt::Ended(reason)),
                other => return Err(session.unexpected(&other)),
            };
        }
        if phase == PhaseType::PostBuild && !plan.exported.is_empty() {
            self.export(session, plan).await?;
        }
        Ok(outcome)
    }

    /// Whether no phase has failed.
    pub(super) fn is_succeeding(&self) -> bool {
        self.life.is_succeeding()
    }

    /// Waits until the build may run beside others, as long as it may wait.
    async fn wait_for_slot(&mut self) -> Result<(), PhaseOutcome> {
        let Some(slots) = self.supervisor.slots.clone() else { return Ok(()) };
        let passed = Timestamp::now().as_second() - self.build.start_time.as_second();
        let limit = u64::from(self.build.queued_timeout_in_minutes) * 60;
        let left = Duration::from_secs(limit.saturating_sub(passed.max(0).cast_unsigned()));
        tokio::select! {
            biased;
            slot = slots.acquire_owned() => self.slot = slot.ok(),
            () = async { while self.order().await == Order::Resume {} } => return Err(PhaseOutcome::Stopped),
            () = tokio::time::sleep(left) => return Err(PhaseOutcome::TimedOut),
        }
        Ok(())
    }

    /// Counts a build that runs already among those that do, even where it is one too many.
    pub(super) fn keep_slot(&mut self) {
        let slots = self.supervisor.slots.clone();
        self.slot = slots.and_then(|slots| slots.try_acquire_owned().ok());
    }

    /// Seconds until the build times out, which in the queue it does by another clock.
    pub(super) fn seconds_left(&self) -> u64 {
        let queued = self.build.phases.iter().find(|phase| phase.phase_type == PhaseType::Queued);
        let begin = queued.and_then(|queued| queued.end_time).unwrap_or(self.build.start_time);
        let passed = Timestamp::now().as_second() - begin.as_second();
        let minutes = u64::from(self.build.timeout_in_minutes);
        self.request.timeout_seconds.unwrap_or(minutes * 60).saturating_sub(passed.max(0).cast_unsigned())
    }

    /// The next order of this process, or the standing one to stop, which is told once.
    pub(super) async fn order(&mut self) -> Order {
        loop {
            tokio::select! {
                Some(order) = self.orders.recv() => return order,
                _ = self.poll.tick() => {
                    if !self.is_stopping && self.dir.stop_order().is_given() {
                        self.is_stopping = true;
                        return Order::Stop;
                    }
                }
            }
        }
    }

    /// The id of the next request; what a phase asks for has the same ids when it is gone through again.
    pub(super) const fn take_request_id(&mut self) -> u64 {
        self.next_request += REQUEST_STRIDE;
        self.next_request
    }

    /// The id that the next request will have.
    pub(super) const fn upcoming_request_id(&self) -> u64 {
        self.next_request + REQUEST_STRIDE
    }

    /// An id for an order that nobody waits for: after the last request, before the next, and after every order
    /// that this or a dead supervisor gave meanwhile.
    pub(super) fn order_id(&self) -> u64 {
        let passed = Timestamp::now().as_microsecond() - self.build.start_time.as_microsecond();
        self.next_request + 1 + passed.max(0).cast_unsigned() % (REQUEST_STRIDE - 1)
    }

    /// Does something that a stop or the end of the build's time may cut short.
    pub(super) async fn interruptible<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, PhaseOutcome> {
        let left = Duration::from_secs(self.seconds_left());
        tokio::select! {
            done = work => Ok(done),
            () = async { while self.order().await == Order::Resume {} } => Err(PhaseOutcome::Stopped),
            () = tokio::time::sleep(left) => Err(PhaseOutcome::TimedOut),
        }
    }

    /// Ends DOWNLOAD_SOURCE before there was a container.
    fn fail_early(&mut self, outcome: &PhaseOutcome) -> Result<(), EngineError> {
        self.recorder.line(&phase_complete(PhaseType::DownloadSource, outcome))?;
        self.recorder.line(&phase_context(outcome))?;
        self.end_phase(outcome, None)?;
        self.end_phase(&PhaseOutcome::Succeeded, None)
    }

    /// Ends the running phase, begins the next, and writes both down.
    fn end_phase(
        &mut self,
        outcome: &PhaseOutcome,
        on_failure: Option<&OnFailure>,
    ) -> Result<(), EngineError> {
        let retry = self.wants_retry(outcome, on_failure);
        let ended = self.life.phases().len() - 1;
        let next = self.life.end_phase(Timestamp::now(), outcome, on_failure, retry);
        self.build.phases = self.life.phases().to_vec();
        self.build.current_phase = next;
        let mut events: Vec<Event> = self
            .life
            .phases()
            .get(ended)
            .map(|phase| Event::Phase { phase: phase.clone() })
            .into_iter()
            .collect();
        if next != PhaseType::Completed {
            events.push(Event::PhaseStarted { phase: next });
        }
        self.phase_request = self.next_request;
        self.keep(&events)?;
        Ok(())
    }

    /// Decides on another try, and keeps its request.
    fn wants_retry(&mut self, outcome: &PhaseOutcome, on_failure: Option<&OnFailure>) -> bool {
        let (PhaseOutcome::Failed(context), Some(OnFailure::Retry { count, pattern })) =
            (outcome, on_failure)
        else {
            return false;
        };
        // The parser has checked the pattern; one that still cannot be read matches nothing.
        let matches = pattern.as_deref().is_none_or(|pattern| {
            regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(&context.message))
        });
        matches && self.plan_retry(u32::from(*count))
    }

    fn plan_retry(&mut self, limit: u32) -> bool {
        let tried = self.build.auto_retry_config.auto_retry_number;
        if tried >= limit {
            return false;
        }
        // Its token meant this build.
        let mut request = BuildRequest { idempotency_token: None, ..self.request.clone() };
        request.retry = AutoRetry {
            auto_retry_limit: limit,
            auto_retry_number: tried + 1,
            next_auto_retry: None,
            previous_auto_retry: Some(self.build.arn.clone()),
        };
        self.retry = Some(Box::new(request));
        true
    }

    /// Writes down the record as it stands, with what led to it.
    pub(super) fn keep(&self, events: &[Event]) -> Result<(), EngineError> {
        Ok(self.recorder.save(&self.build, events, self.phase_request, self.job.as_ref())?)
    }

    pub(super) fn warn(&self, message: impl Into<String>) -> Result<(), EngineError> {
        Ok(self.recorder.event(&Event::Warning { message: message.into() }, None)?)
    }

    /// Writes down that the build is over.
    fn complete(mut self) -> Result<Outcome, EngineError> {
        self.build.phases = self.life.phases().to_vec();
        self.build.current_phase = PhaseType::Completed;
        self.build.build_status = self.life.status();
        self.build.end_time = Some(Timestamp::now());
        self.build.build_complete = true;
        if let Some(limit) = self.request.project.auto_retry_limit
            && self.build.build_status == Status::Failed
            && self.retry.is_none()
        {
            self.plan_retry(limit);
        }
        let _gone = std::fs::remove_dir_all(self.dir.run());
        let _gone = std::fs::remove_dir_all(self.dir.companions());
        let last = Event::Build { build: Box::new(self.build.clone()) };
        self.job = None;
        self.keep(&[last])?;
        // The build is complete with or without them.
        let _kept = self.recorder.forget_answers();
        self.dir.stop_order().withdraw();
        Ok(Outcome { build: self.build, retry: self.retry, reports: self.reports })
    }
}

/// `Phase complete: BUILD State: SUCCEEDED`.
fn phase_complete(phase: PhaseType, outcome: &PhaseOutcome) -> String {
    format!("Phase complete: {} State: {}", phase.name(), outcome.status().name())
}

/// `Phase context status code:  Message: `, both empty after success.
fn phase_context(outcome: &PhaseOutcome) -> String {
    let context = outcome.context();
    format!("Phase context status code: {} Message: {}", context.status_code, context.message)
}

/// How a phase ends whose command failed.
pub(super) fn command_failed(command: &str, exit: &Exit) -> PhaseOutcome {
    let message = format!("Error while executing command: {command}. Reason: {}", reason(exit));
    PhaseOutcome::failed("COMMAND_EXECUTION_ERROR", message)
}

/// Why a command failed, in CodeBuild's words where it has some.
pub(super) fn reason(exit: &Exit) -> String {
    match exit {
        Exit::Status(status) => format!("exit status {status}"),
        // Go's words, which CodeBuild's agent is written in.
        Exit::Signal(9) => "signal: killed".into(),
        Exit::Signal(15) => "signal: terminated".into(),
        Exit::Signal(signal) => format!("signal: {signal}"),
        Exit::OutOfMemory { limit: Some(limit) } => {
            #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
            let gib = *limit as f64 / f64::from(1 << 30);
            format!("killed: memory limit {gib:.1} GiB")
        }
        Exit::OutOfMemory { limit: None } => "killed: out of memory".into(),
        Exit::Ended(_) => "ended from outside".into(),
        Exit::NotStarted(why) => why.clone(),
    }
}
