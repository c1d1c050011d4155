//! The steps of a phase: what `engine::steps` says is to be done, done by the agent.
//!
//! Like every phase it can be gone through again: what it asks for depends on nothing but answers that are written
//! down.

mod action;
mod archive;
mod checkout;
mod container;
mod evaluate;
mod javascript;
mod known;
mod load;
mod node;
mod process;
mod run;
mod services;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use runspan_agent_protocol::{
    Event as AgentEvent, PhaseEnd, PrepareSteps, Reply, RunPhase, Secret, Stage, StepId, StepResult,
    StopReason, Variable, Verb, layout,
};
use runspan_buildspec::StepAction;
use runspan_expressions::{Template, Value};

use self::known::{EVENT_FILE, github, runner, with_containers};
use self::load::Loaded;
use self::node::Machine;
use super::driver::{Driver, command_failed};
use super::session::{Interrupt, Session};
use crate::lifecycle::{PhaseOutcome, next};
use crate::plan::{Plan, PlannedPhase};
use crate::steps::{Asked, Fixed, Job, JobContexts, JobStatus, Records, Uses, Variables};

/// Why a step goes no further.
enum Stop {
    /// It failed; what is to be said of it.
    Fault(String),
    /// More than the step ends.
    Interrupt(Interrupt),
}

impl From<Interrupt> for Stop {
    fn from(interrupt: Interrupt) -> Self {
        match interrupt {
            Interrupt::Failed(message) => Self::Fault(message),
            other => Self::Interrupt(other),
        }
    }
}

/// The steps of one phase.
struct Steps<'a> {
    driver: &'a mut Driver,
    session: &'a mut Session,
    contexts: JobContexts,
    /// The job is a workflow's, not a buildspec's own.
    from_host: bool,
    fixed: Fixed,
    job: Job,
    run_as: Option<String>,
    /// Told with the next request.
    pending: Vec<AgentEvent>,
    /// Variables that commands before these steps have set, as far as they were asked for.
    carried: BTreeMap<String, Option<String>>,
    loaded: HashMap<String, Arc<Loaded>>,
    machine: Option<Machine>,
    /// What earlier parts of actions saved, by position.
    states: HashMap<u32, Vec<(String, String)>>,
    /// Steps whose last part is registered.
    registered: BTreeSet<u32>,
    /// A process was ended because the time of its step, or of one around it, was over.
    timed_out: bool,
    /// The first failure, for the phase's context.
    failure: Option<(String, String)>,
}

/// Where steps are: in the phase, or in an action.
struct Frame {
    /// Whom everything is told of.
    id: StepId,
    nested: bool,
    depth: usize,
    records: Records,
    inputs: Option<Value>,
    /// `env` of the steps around.
    overlay: Variables,
    /// What `success()` goes by, in an action.
    status: JobStatus,
    /// Members of `github` that say where the action is.
    action: Vec<(&'static str, String)>,
    deadline: Option<std::time::Instant>,
}

impl Driver {
    /// Runs the steps of a phase, and its `finally` commands.
    pub(super) async fn run_steps(
        &mut self,
        session: &mut Session,
        plan: &Plan,
        planned: &PlannedPhase,
    ) -> Result<PhaseOutcome, Interrupt> {
        let job = match &self.job {
            Some(job) => job.clone(),
            None => self.recorder.job()?.unwrap_or_default(),
        };
        let mut steps = Steps::new(self, session, planned, job);
        let outcome = steps.phase(plan, planned).await;
        let job = steps.job;
        let is_cancelled = job.status == JobStatus::Cancelled;
        self.job = Some(job);
        let mut outcome = outcome?;
        if is_cancelled {
            return Err(Interrupt::Ended(StopReason::Stopped));
        }
        if !planned.finally.is_empty() {
            let run = RunPhase {
                phase: planned.phase.name().to_owned(),
                commands: Vec::new(),
                finally: planned.finally.clone(),
                run_as: planned.run_as.clone(),
                succeeding: self.is_succeeding() && outcome == PhaseOutcome::Succeeded,
            };
            match session.call(self, Verb::RunPhase(run)).await? {
                Reply::Phase(PhaseEnd::Succeeded) => {}
                Reply::Phase(PhaseEnd::Failed { command, exit }) if outcome == PhaseOutcome::Succeeded => {
                    outcome = command_failed(&command, &exit);
                }
                Reply::Phase(PhaseEnd::Failed { .. }) => {}
                Reply::Phase(PhaseEnd::Ended(reason)) => return Err(Interrupt::Ended(reason)),
                other => return Err(session.unexpected(&other)),
            }
        }
        Ok(outcome)
    }
}

impl<'a> Steps<'a> {
    fn new(driver: &'a mut Driver, session: &'a mut Session, planned: &PlannedPhase, job: Job) -> Self {
        let from_host = driver.request.job.is_some();
        let mut contexts = driver.request.job.clone().unwrap_or_default();
        contexts.secrets.extend(driver.request.secrets.iter().cloned());
        let github = github(driver, from_host);
        contexts.job =
            with_containers(contexts.job, &driver.build, &contexts.services, contexts.container.is_some());
        // What is wrong with it, PROVISIONING has said.
        let own = contexts.container.as_ref().and_then(|container| Asked::read(container).ok());
        let own = own.unwrap_or_default();
        let fixed = Fixed::new(&contexts, &github, &runner());
        let mut job = job;
        if !job.prepared {
            job.env.extend(own.env);
        }
        if !driver.is_succeeding() {
            job.status = job.status.max(JobStatus::Failure);
        }
        Self {
            driver,
            session,
            contexts,
            from_host,
            fixed,
            job,
            run_as: planned.run_as.clone().or(own.user),
            pending: Vec::new(),
            carried: BTreeMap::new(),
            loaded: HashMap::new(),
            machine: None,
            states: HashMap::new(),
            registered: BTreeSet::new(),
            timed_out: false,
            failure: None,
        }
    }

    async fn phase(&mut self, plan: &Plan, planned: &PlannedPhase) -> Result<PhaseOutcome, Interrupt> {
        let mut root = self.root_frame();
        if let Err(stop) = self.begin(&root, planned).await {
            return self.not_begun(stop).await;
        }
        self.start_services().await?;
        self.pre_steps(&mut root, planned).await?;
        for (index, step) in (0..).zip(&planned.steps) {
            root.id = StepId { index, stage: Stage::Main };
            self.step(&mut root, step).await?;
        }
        self.job.steps = std::mem::take(&mut root.records);
        let mut outcome = self.outcome();
        if self.is_last(plan, planned, &outcome) {
            self.post_steps().await?;
            self.stop_services().await?;
            outcome = self.outcome();
            self.job_outputs().await?;
            // Nobody asks for them any more, and they may hold secrets.
            self.job.env.clear();
            self.job.steps.clear();
        }
        self.tell_pending().await?;
        Ok(outcome)
    }

    fn root_frame(&self) -> Frame {
        Frame {
            id: StepId { index: 0, stage: Stage::Main },
            nested: false,
            depth: 0,
            records: self.job.steps.clone(),
            inputs: None,
            overlay: Variables::new(),
            status: self.job.status,
            action: Vec::new(),
            deadline: None,
        }
    }

    /// Makes what steps find, and fetches the actions they use.
    async fn begin(&mut self, root: &Frame, planned: &PlannedPhase) -> Result<(), Stop> {
        if !self.job.prepared {
            self.prepare().await?;
            self.offer_service().await?;
            for (name, text) in self.contexts.env.clone() {
                let env = self.job.env.clone();
                let value = self.text(root, &env, &text).await?;
                self.job.env.insert(name, value);
            }
            self.job.prepared = true;
        }
        self.point_to_service();
        for step in &planned.steps {
            if let StepAction::Uses { uses, with } = &step.action {
                let parsed = Uses::parse(uses).map_err(Stop::Fault)?;
                if !self.is_own_source(&parsed, with) {
                    self.preload(&parsed, 0).await?;
                }
            }
        }
        Ok(())
    }

    async fn prepare(&mut self) -> Result<(), Stop> {
        let event = self.contexts.github.get("event").cloned().unwrap_or_else(|| serde_json::json!({}));
        let token = |variable: &&Variable| variable.name.contains("TOKEN");
        let tokens = self.contexts.action_variables.iter().filter(token);
        let mask: Vec<Secret> =
            self.contexts.secrets.iter().chain(tokens).map(|variable| variable.value.clone()).collect();
        let directories = [
            layout::STEPS_TEMP.to_owned(),
            format!("{}/_runner_file_commands", layout::STEPS_TEMP),
            format!("{}/_github_home", layout::STEPS_TEMP),
            format!("{}/_github_workflow", layout::STEPS_TEMP),
            layout::STEPS_TOOLS.to_owned(),
            layout::STEPS_ACTIONS.to_owned(),
        ];
        let order = PrepareSteps {
            directories: directories.into(),
            files: vec![(EVENT_FILE.to_owned(), event.to_string())],
            mask,
        };
        self.session.call(self.driver, Verb::PrepareSteps(order)).await?;
        Ok(())
    }

    /// Lets the local service be reached from inside, where the job has variables that say where it is.
    async fn offer_service(&mut self) -> Result<(), Stop> {
        if self.contexts.service_variables.is_empty() || self.driver.supervisor.ports.service.is_none() {
            return Ok(());
        }
        // Only a privileged build has an engine of its own inside, whose containers have another loopback.
        let beyond_loopback =
            self.driver.request.grants.privileged && !self.driver.request.grants.host_network;
        let offer = Verb::OfferService { beyond_loopback };
        self.job.service = match self.session.call(self.driver, offer).await {
            Ok(Reply::Texts(mut texts)) => texts.pop(),
            Ok(other) => return Err(self.session.unexpected(&other).into()),
            // The variables stay what the host made them.
            Err(Interrupt::Failed(_)) => None,
            Err(interrupt) => return Err(interrupt.into()),
        };
        Ok(())
    }

    /// Writes the service's address into the variables that have it.
    fn point_to_service(&mut self) {
        let Some(address) = &self.job.service else { return };
        let names = &self.contexts.service_variables;
        self.contexts.action_variables.retain(|variable| !names.contains(&variable.name));
        let url = format!("http://{address}/");
        let all = names.iter().map(|name| Variable::new(name.as_str(), url.as_str()));
        self.contexts.action_variables.extend(all);
    }

    /// Nothing of the phase could run.
    async fn not_begun(&mut self, stop: Stop) -> Result<PhaseOutcome, Interrupt> {
        match stop {
            Stop::Interrupt(interrupt) => Err(interrupt),
            Stop::Fault(message) => {
                self.driver.say(self.session, [message.clone()]);
                self.job.status = self.job.status.after(StepResult::Failure);
                Ok(PhaseOutcome::failed("CLIENT_ERROR", message))
            }
        }
    }

    fn outcome(&self) -> PhaseOutcome {
        match &self.failure {
            None => PhaseOutcome::Succeeded,
            Some((name, reason)) => PhaseOutcome::failed(
                "COMMAND_EXECUTION_ERROR",
                format!("Error while executing command: {name}. Reason: {reason}"),
            ),
        }
    }

    /// Whether no phase with steps follows one that ends so.
    fn is_last(&self, plan: &Plan, planned: &PlannedPhase, outcome: &PhaseOutcome) -> bool {
        let follows = next(planned.phase, outcome.status(), planned.on_failure.as_ref(), false);
        self.job.status == JobStatus::Cancelled
            || !plan.phases.iter().any(|other| other.phase >= follows && !other.steps.is_empty())
    }

    /// `outputs` of the job; what holds a secret is left out.
    async fn job_outputs(&mut self) -> Result<(), Interrupt> {
        if self.contexts.outputs.is_empty() {
            return Ok(());
        }
        let frame = self.root_frame();
        let mut given = Vec::new();
        for (name, text) in self.contexts.outputs.clone() {
            let env = self.job.env.clone();
            match self.text(&frame, &env, &text).await {
                Ok(value) if !value.is_empty() => given.push((name, value)),
                Ok(_) => {}
                Err(Stop::Interrupt(interrupt)) => return Err(interrupt),
                Err(Stop::Fault(message)) => {
                    self.failure.get_or_insert((format!("output {name} of the job"), message));
                }
            }
        }
        let texts = given.iter().map(|(_, value)| Secret::new(value.as_str())).collect();
        let shown = match self.session.call(self.driver, Verb::Mask(texts)).await? {
            Reply::Texts(texts) => texts,
            other => return Err(self.session.unexpected(&other)),
        };
        let mut outputs = BTreeMap::new();
        for ((name, value), shown) in given.into_iter().zip(shown) {
            if shown == value {
                outputs.insert(name, value);
            } else {
                let line = format!("Skip output '{name}' since it may contain secret.");
                self.driver.say(self.session, [line]);
            }
        }
        self.pending.push(AgentEvent::JobOutputs { outputs });
        Ok(())
    }

    async fn tell_pending(&mut self) -> Result<(), Interrupt> {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            self.session.call(self.driver, Verb::Tell(pending)).await?;
        }
        Ok(())
    }

    /// The build is being stopped: the first time, steps that want to run then still may.
    fn cancel(&mut self, interrupt: Interrupt) -> Result<(), Interrupt> {
        match interrupt {
            Interrupt::Ended(StopReason::Stopped) if self.job.status != JobStatus::Cancelled => {
                self.job.status = JobStatus::Cancelled;
                self.session.grant();
                Ok(())
            }
            other => Err(other),
        }
    }

    /// A step that would run in a cancelled job, too, is not ended by the first stop.
    async fn shield(&mut self, frame: &Frame, env: &Variables, condition: &Template) -> Result<(), Stop> {
        if frame.nested || !condition.asks_status() || self.job.status == JobStatus::Cancelled {
            return Ok(());
        }
        let status = std::mem::replace(&mut self.job.status, JobStatus::Cancelled);
        let survives = self.evaluate(frame, env, condition).await;
        self.job.status = status;
        if survives?.is_truthy() {
            self.session.raise_shield();
        }
        Ok(())
    }

    /// The step is over: a stop that had to wait takes effect.
    fn unshield(&mut self) {
        if self.session.lower_shield() {
            self.job.status = JobStatus::Cancelled;
            self.session.grant();
        }
    }
}
