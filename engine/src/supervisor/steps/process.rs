//! One process of a step.

use std::time::Instant;

use runspan_agent_protocol::{
    Annotation, Event as AgentEvent, Exit, Reply, RunStep, Script, StepReport, StopReason, Variable, Verb,
    layout,
};

use super::{Frame, Steps, Stop};
use crate::steps::Variables;
use crate::supervisor::session::Interrupt;

/// What is to be run.
pub(super) struct Process {
    pub(super) title: String,
    pub(super) commands: Vec<Vec<String>>,
    pub(super) script: Option<Script>,
    /// Beside those of the step: inputs and state of an action.
    pub(super) environment: Vec<(String, String)>,
    pub(super) directory: Option<String>,
    pub(super) deadline: Option<Instant>,
    pub(super) may_fail: bool,
    /// An action, which may use the service's own interfaces.
    pub(super) is_action: bool,
}

/// How it went.
pub(super) struct Finished {
    pub(super) report: StepReport,
    /// Why it failed.
    pub(super) failure: Option<String>,
}

impl Steps<'_> {
    /// Runs a process and takes what it sets.
    pub(super) async fn process(
        &mut self,
        frame: &Frame,
        env: &Variables,
        process: Process,
    ) -> Result<Finished, Stop> {
        let (environment, defaults) = self.variables(frame, env, &process);
        let is_action = process.is_action;
        let left = |deadline: Instant| {
            let left = deadline.saturating_duration_since(Instant::now());
            left.as_secs() + u64::from(left.subsec_nanos() > 0)
        };
        let order = RunStep {
            tell: std::mem::take(&mut self.pending),
            step: Some(frame.id),
            title: process.title,
            commands: process.commands,
            script: process.script,
            environment,
            defaults,
            working_directory: process.directory,
            run_as: self.run_as.clone(),
            timeout_seconds: process.deadline.map(left).map(|seconds| seconds.max(1)),
            may_fail: process.may_fail,
        };
        let begin = self.driver.recorder.follow().borrow().log;
        let report = match self.session.call(self.driver, Verb::RunStep(Box::new(order))).await? {
            Reply::Step(report) => *report,
            other => return Err(self.session.unexpected(&other).into()),
        };
        self.settle(frame, &report, begin).await?;
        let timed_out = match &report.exit {
            Exit::Ended(StopReason::TimedOut) if self.driver.seconds_left() > 0 => true,
            Exit::Ended(reason) => return Err(Interrupt::Ended(*reason).into()),
            _ => false,
        };
        self.timed_out |= timed_out;
        let failure = match &report.exit {
            Exit::Status(0) => report.faults.first().cloned(),
            Exit::Status(status) => {
                // An action says itself what went wrong.
                if !is_action {
                    self.annotate(frame, &format!("Process completed with exit code {status}."));
                }
                Some(format!("exit status {status}"))
            }
            other => {
                let reason = crate::supervisor::driver::reason(other);
                if !timed_out {
                    self.annotate(frame, &reason);
                }
                Some(reason)
            }
        };
        Ok(Finished { report, failure })
    }

    /// An error that is told with the next request.
    pub(super) fn annotate(&mut self, frame: &Frame, message: &str) {
        let annotation = Annotation { message: message.to_owned(), ..Annotation::default() };
        self.pending.push(AgentEvent::Annotated { step: frame.id, annotation });
    }

    async fn settle(&mut self, frame: &Frame, report: &StepReport, begin: u64) -> Result<(), Interrupt> {
        for (name, value) in &report.environment {
            self.job.env.insert(name.clone(), value.clone());
        }
        for change in &report.matchers {
            if let Err(message) = self.job.matchers.apply(change) {
                self.annotate(frame, &message);
            }
        }
        if self.job.matchers.is_empty() {
            return Ok(());
        }
        let end = self.driver.recorder.follow().borrow().log;
        let (path, matchers) = (self.driver.dir.log(), self.job.matchers.clone());
        let found =
            tokio::task::spawn_blocking(move || super::archive::read_lines(&path, begin, end, &matchers))
                .await;
        // A log that cannot be read has no remarks in it.
        for annotation in found.unwrap_or_default() {
            self.pending.push(AgentEvent::Annotated { step: frame.id, annotation });
        }
        Ok(())
    }

    /// Variables of a process, and those it gets where it has none of the name.
    fn variables(&self, frame: &Frame, env: &Variables, process: &Process) -> (Vec<Variable>, Vec<Variable>) {
        let mut github: Vec<(String, String)> = self.fixed.github();
        github.extend(frame.action.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let github = github
            .into_iter()
            .map(|(name, value)| Variable::new(format!("GITHUB_{}", name.to_ascii_uppercase()), value));
        let runner = self
            .fixed
            .runner()
            .into_iter()
            .map(|(name, value)| Variable::new(format!("RUNNER_{}", name.to_ascii_uppercase()), value));
        let succeeding = self.driver.is_succeeding() && self.job.status == crate::steps::JobStatus::Success;
        let mut defaults = vec![
            Variable::new("CI", "true"),
            Variable::new("GITHUB_ACTION", "__run"),
            Variable::new("RUNNER_TOOL_CACHE", layout::STEPS_TOOLS),
            Variable::new("AGENT_TOOLSDIRECTORY", layout::STEPS_TOOLS),
        ];
        let mut environment: Vec<Variable> =
            env.iter().map(|(name, value)| Variable::new(name.as_str(), value.as_str())).collect();
        // In a buildspec, the variables that a translation has set are the better ones.
        if self.from_host {
            environment.extend(github);
        } else {
            let own = |variable: &Variable| variable.name.starts_with("GITHUB_ACTION");
            let (always, where_absent): (Vec<_>, Vec<_>) = github.partition(own);
            environment.extend(always);
            defaults.extend(where_absent);
        }
        environment.extend(runner.filter(|variable| variable.name != "RUNNER_TOOL_CACHE"));
        environment.push(Variable::new("GITHUB_ACTIONS", "true"));
        environment.push(Variable::new("CODEBUILD_BUILD_SUCCEEDING", if succeeding { "1" } else { "0" }));
        let for_scripts =
            |name: &str| name.starts_with("ACTIONS_ID_TOKEN_") || name == "ACTIONS_ORCHESTRATION_ID";
        let services = self.contexts.action_variables.iter();
        environment
            .extend(services.filter(|variable| process.is_action || for_scripts(&variable.name)).cloned());
        environment.extend(
            process.environment.iter().map(|(name, value)| Variable::new(name.as_str(), value.as_str())),
        );
        (environment, defaults)
    }
}
