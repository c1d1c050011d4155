//! One step: whether it runs, what it runs, what becomes of the job.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::{Duration, Instant};

use runspan_agent_protocol::{Event as AgentEvent, Stage, StepEnd, StepId, StepResult};
use runspan_buildspec::{Step, StepAction};

use super::process::Process;
use super::{Frame, Steps, Stop};
use crate::steps::{PostWork, Record, Variables, condition, shell};
use crate::supervisor::session::Interrupt;

/// What a step has come to, before `continue-on-error`.
pub(super) struct Done {
    pub(super) outcome: StepResult,
    pub(super) outputs: BTreeMap<String, String>,
    /// Why it failed.
    pub(super) reason: Option<String>,
}

impl Done {
    pub(super) fn of(outputs: Vec<(String, String)>, failure: Option<String>) -> Self {
        let outcome = if failure.is_none() { StepResult::Success } else { StepResult::Failure };
        Self { outcome, outputs: outputs.into_iter().collect(), reason: failure }
    }

    pub(super) const fn ended(outcome: StepResult) -> Self {
        Self { outcome, outputs: BTreeMap::new(), reason: None }
    }
}

/// What holds for a step while it runs.
pub(super) struct Running {
    pub(super) name: String,
    pub(super) env: Variables,
    pub(super) deadline: Option<Instant>,
    /// `continue-on-error`.
    pub(super) may_fail: bool,
}

impl Steps<'_> {
    /// Runs a step in its frame, and keeps what came of it there. Actions hold steps, so this holds itself.
    pub(super) fn step<'s>(
        &'s mut self,
        frame: &'s mut Frame,
        step: &'s Step,
    ) -> Pin<Box<dyn Future<Output = Result<StepResult, Interrupt>> + Send + 's>> {
        Box::pin(async move {
            let begin = Instant::now();
            let name = self.name(frame, step).await?;
            let mut running = Running {
                name: name.clone(),
                env: self.env(frame),
                deadline: frame.deadline,
                may_fail: false,
            };
            let tried = self.try_step(frame, step, &mut running).await;
            if !frame.nested {
                self.unshield();
            }
            let done = self.settled(frame, tried).await?;
            let conclusion = match done.outcome {
                StepResult::Failure if running.may_fail => StepResult::Success,
                outcome => outcome,
            };
            let duration_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
            let end = StepEnd { outcome: done.outcome, conclusion, outputs: done.outputs, duration_ms };
            if let Some(id) = &step.id {
                frame.records.insert(id.clone(), Record::from(&end));
            }
            if frame.nested {
                frame.status = frame.status.after(conclusion);
            } else {
                self.conclude(frame.id, name, end, done.reason);
            }
            Ok(conclusion)
        })
    }

    /// What came of a try: a fault is told in the log and beside the step.
    pub(super) async fn settled(
        &mut self,
        frame: &Frame,
        tried: Result<Done, Stop>,
    ) -> Result<Done, Interrupt> {
        match tried {
            Ok(done) => Ok(done),
            Err(Stop::Fault(message)) => {
                self.driver.say(self.session, [message.clone()]);
                self.annotate(frame, &message);
                Ok(Done::of(Vec::new(), Some(message)))
            }
            Err(Stop::Interrupt(interrupt)) => {
                self.cancel(interrupt)?;
                Ok(Done::ended(StepResult::Cancelled))
            }
        }
    }

    /// The end of what an action does before or after its step, which has no outputs.
    pub(super) fn conclude_part(&mut self, part: StepId, name: String, begin: Instant, done: Done) {
        let duration_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let outcome = done.outcome;
        let end = StepEnd { outcome, conclusion: outcome, outputs: BTreeMap::new(), duration_ms };
        self.conclude(part, name, end, done.reason);
    }

    /// The end of a step of the phase itself.
    fn conclude(&mut self, step: StepId, name: String, end: StepEnd, reason: Option<String>) {
        self.job.status = self.job.status.after(end.conclusion);
        if end.conclusion == StepResult::Failure {
            let reason = reason.unwrap_or_else(|| "the step failed".into());
            self.failure.get_or_insert((name.clone(), reason));
        }
        self.pending.push(AgentEvent::StepEnded { step, name, end });
    }

    /// `env` around a step.
    pub(super) fn env(&self, frame: &Frame) -> Variables {
        let mut env = self.job.env.clone();
        env.extend(frame.overlay.iter().map(|(name, value)| (name.clone(), value.clone())));
        env
    }

    async fn name(&mut self, frame: &Frame, step: &Step) -> Result<String, Interrupt> {
        let text = match (&step.name, &step.action) {
            (Some(name), _) => name.clone(),
            (None, StepAction::Uses { uses, .. }) => format!("Run {uses}"),
            // All of it: an expression may be longer than its first line.
            (None, StepAction::Run { run, .. }) => format!("Run {}", run.trim()),
        };
        let first_line = |text: &str| text.lines().next().unwrap_or_default().trim_end().to_owned();
        let env = self.env(frame);
        match self.text(frame, &env, &text).await {
            Ok(name) => Ok(first_line(&name)),
            // What is wrong with it does not matter when the step is skipped.
            Err(Stop::Fault(_)) => Ok(first_line(&text)),
            Err(Stop::Interrupt(interrupt)) => {
                self.cancel(interrupt)?;
                Ok(first_line(&text))
            }
        }
    }

    async fn try_step(&mut self, frame: &Frame, step: &Step, running: &mut Running) -> Result<Done, Stop> {
        let mut env = running.env.clone();
        for (name, text) in &step.env {
            let value = self.text(frame, &running.env, text).await?;
            env.insert(name.clone(), value);
        }
        let holds = condition(step.condition.as_deref(), "success()").map_err(Stop::Fault)?;
        if !self.evaluate(frame, &env, &holds).await?.is_truthy() {
            return Ok(Done::ended(StepResult::Skipped));
        }
        self.shield(frame, &env, &holds).await?;
        running.env = env;
        if !frame.nested {
            self.pending.push(AgentEvent::StepStarted { step: frame.id, name: running.name.clone() });
        }
        if let Some(text) = &step.continue_on_error {
            running.may_fail = match text.as_str() {
                "false" => false,
                text => {
                    let value = self.value(frame, &running.env, text).await?;
                    value.is_truthy() && &*value.to_text() != "false"
                }
            };
        }
        let minutes = match &step.timeout_minutes {
            None => 0,
            Some(text) => {
                let number = self.value(frame, &running.env, text).await?.to_number();
                if number.is_nan() {
                    return Err(Stop::Fault(format!("`timeout-minutes: {text}` is no number")));
                }
                // A fraction of a minute counts for nothing, as at GitHub.
                number.clamp(0.0, 1e6) as u64
            }
        };
        if minutes > 0 {
            let own = Instant::now().checked_add(Duration::from_secs(minutes * 60));
            running.deadline = own.into_iter().chain(frame.deadline).min();
        }
        let done = match &step.action {
            StepAction::Run { run, shell, working_directory } => {
                self.script(frame, running, run, shell.as_deref(), working_directory.as_deref()).await?
            }
            StepAction::Uses { uses, with } => self.uses(frame, running, step, uses, with).await?,
        };
        if minutes > 0 && std::mem::take(&mut self.timed_out) {
            let message = format!("The action '{}' has timed out after {minutes} minutes.", running.name);
            self.annotate(frame, &message);
            return Ok(Done { reason: Some(message), ..done });
        }
        Ok(done)
    }

    async fn script(
        &mut self,
        frame: &Frame,
        running: &Running,
        run: &str,
        named: Option<&str>,
        directory: Option<&str>,
    ) -> Result<Done, Stop> {
        let defaults =
            if frame.nested { crate::steps::Defaults::default() } else { self.contexts.defaults.clone() };
        let named = named.map(str::to_owned).or(defaults.shell);
        let directory = directory.map(str::to_owned).or(defaults.working_directory);
        let text = self.text(frame, &running.env, run).await?;
        let named = match named {
            Some(named) => Some(self.text(frame, &running.env, &named).await?),
            None => None,
        };
        let directory = match directory {
            Some(directory) => {
                Some(self.text(frame, &running.env, &directory).await?).filter(|dir| !dir.is_empty())
            }
            None => None,
        };
        let shelled = shell(named.as_deref(), &text).map_err(Stop::Fault)?;
        let process = Process {
            title: running.name.clone(),
            commands: shelled.commands,
            script: Some(shelled.script),
            environment: Vec::new(),
            directory,
            deadline: running.deadline,
            may_fail: running.may_fail,
            is_action: false,
        };
        let finished = self.process(frame, &running.env, process).await?;
        Ok(Done::of(finished.report.outputs, finished.failure))
    }

    /// The last parts of actions, the last registered first.
    pub(super) async fn post_steps(&mut self) -> Result<(), Interrupt> {
        while let Some(post) = self.job.posts.pop() {
            let begin = Instant::now();
            let mut frame = self.root_frame();
            frame.id = StepId { index: post.index, stage: Stage::Post };
            let name = format!("Post {}", post.name);
            let env = self.env(&frame);
            let tried = self.try_post(&frame, &env, &name, &post).await;
            self.unshield();
            let done = self.settled(&frame, tried).await?;
            self.conclude_part(frame.id, name, begin, done);
        }
        Ok(())
    }

    async fn try_post(
        &mut self,
        frame: &Frame,
        env: &Variables,
        name: &str,
        post: &crate::steps::Post,
    ) -> Result<Done, Stop> {
        let holds = condition(post.condition.as_deref(), "always()").map_err(Stop::Fault)?;
        if !self.evaluate(frame, env, &holds).await?.is_truthy() {
            return Ok(Done::ended(StepResult::Skipped));
        }
        self.shield(frame, env, &holds).await?;
        self.pending.push(AgentEvent::StepStarted { step: frame.id, name: name.to_owned() });
        let mut environment = post.environment.clone();
        environment.extend(super::action::state(&post.state));
        let commands = match &post.work {
            PostWork::Node { version, file } => vec![vec![self.node(*version).await?, file.clone()]],
            PostWork::Container(run) => {
                let running =
                    Running { name: name.to_owned(), env: env.clone(), deadline: None, may_fail: false };
                let finished = self.run_beside(frame, &running, name, run, environment).await?;
                return Ok(Done::of(Vec::new(), finished.failure));
            }
        };
        let process = Process {
            title: name.to_owned(),
            commands,
            script: None,
            environment,
            directory: None,
            deadline: None,
            may_fail: false,
            is_action: true,
        };
        let finished = self.process(frame, env, process).await?;
        Ok(Done::of(Vec::new(), finished.failure))
    }
}
