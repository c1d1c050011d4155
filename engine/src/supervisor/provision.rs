//! PROVISIONING: the build's container, and what the agent in it is told first.

use std::sync::Arc;
use std::time::Duration;

use runspan_agent_protocol::{Configure, Variable};

use super::EngineError;
use super::driver::Driver;
use super::session::Session;
use crate::environment::codebuild_variables;
use crate::event::Event;
use crate::executor::{Company, Container, ExecutorError, Limits, Network, Progress, RootFs, Tuning};
use crate::lifecycle::PhaseOutcome;
use crate::plan::{Plan, compute};
use crate::project::VariableType;
use crate::steps::Asked;

/// Processes and threads of one build.
pub(super) const PIDS: u32 = 32_768;
/// An agent without a supervisor ends everything after so long.
const ORPHAN: Duration = Duration::from_secs(600);
/// Between two samples of resource use.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

impl Driver {
    /// Gives the build its container, with the agent running in it.
    pub(super) async fn provision(
        &mut self,
        plan: &Plan,
    ) -> Result<Result<Session, PhaseOutcome>, EngineError> {
        let limits = match compute(&self.request) {
            Ok(size) => Limits {
                memory_bytes: size.map(|(memory, _)| memory),
                cpus: size.map(|(_, cpus)| cpus),
                pids: PIDS,
            },
            Err(name) => {
                let message = format!("`{name}` is no compute type; use one as BUILD_GENERAL1_SMALL");
                return Ok(Err(PhaseOutcome::failed("CLIENT_ERROR", message)));
            }
        };
        let wants_privileged = self.build.environment.privileged_mode;
        if wants_privileged && !self.request.grants.privileged {
            self.warn(
                "the build asks for privileged mode and does not get it; grant it with `--privileged`",
            )?;
        }
        self.build.environment.privileged_mode = wants_privileged && self.request.grants.privileged;
        let root = RootFs::named(&self.build.environment.image);
        if root.is_local() && !self.request.grants.local_roots {
            let message = format!("the root `{root}` is this machine's own, which this build may not see");
            return Ok(Err(PhaseOutcome::failed("CLIENT_ERROR", message)));
        }
        let own = match self.request.job.as_ref().and_then(|job| job.container.as_ref()) {
            None => None,
            Some(container) => match Asked::read(container) {
                Ok(asked) => Some((asked, container.registry_login())),
                Err(message) => {
                    let message = format!("`container`: {message}");
                    return Ok(Err(PhaseOutcome::failed("CLIENT_ERROR", message)));
                }
            },
        };
        let (own, mut registry_login) = own.unwrap_or_default();
        if registry_login.is_none() {
            registry_login = match self.registry_login(&root).await? {
                Ok(login) => login,
                Err(outcome) => return Ok(Err(outcome)),
            };
        }
        let has_steps = plan.phases.iter().any(|phase| !phase.steps.is_empty());
        let mut mounts = self.cache_mounts(plan)?;
        if has_steps {
            mounts.push(self.companions_mount()?);
        }
        let hosts = self.names_of_companions(&own);
        let limits = own.limits(limits);
        let container = Container {
            attempt: self.build.id.uuid().to_owned(),
            root,
            registry_login,
            limits,
            privileged: self.build.environment.privileged_mode,
            engine_socket: self.request.grants.engine_socket,
            network: match self.request.grants.host_network {
                true => Network::PrivateOrHost,
                false => Network::Private,
            },
            run_dir: self.dir.run(),
            agent: self.supervisor.agent.clone(),
            mounts,
            tuning: Tuning { hosts, ..own.tuning },
            company: if has_steps { Company::Expected } else { Company::Alone },
        };
        self.recorder.line("Waiting for agent ping")?;
        let executor = Arc::clone(&self.supervisor.executor);
        let report = self.report();
        // The agent dials as soon as it runs, so the line is open before.
        let line = Session::listen(self, plan)?;
        match self.interruptible(executor.place(&container, &report)).await {
            Ok(Ok(placement)) => {
                self.recorder.save_placement(&placement)?;
                Ok(Ok(Session::new(self, line, placement, false)?))
            }
            Ok(Err(error)) => Ok(Err(placing_failed(&error, &container.root.to_string()))),
            Err(outcome) => {
                let attempt = container.attempt.clone();
                // What the dropped call had made carries the label.
                let _left_to_next_sweep = executor.sweep(&move |other| other != attempt).await;
                Ok(Err(outcome))
            }
        }
    }

    /// Tells how placing goes.
    pub(super) fn report(&self) -> impl Fn(Progress) + Send + Sync + use<> {
        let (on_progress, id) = (Arc::clone(&self.supervisor.on_progress), self.build.id.clone());
        let recorder = Arc::clone(&self.recorder);
        move |progress| match progress {
            Progress::Warning(message) => {
                // A journal that is broken says so at the next step.
                let _unsaid = recorder.event(&Event::Warning { message }, None);
            }
            progress => on_progress(&id, progress),
        }
    }

    /// Environment and rules of this build for the agent.
    pub(super) fn configure(
        &self,
        plan: &Plan,
        secrets: Vec<Variable>,
        origin_url: Option<&str>,
    ) -> Configure {
        let own = codebuild_variables(
            &self.build,
            &self.request,
            &self.dirs,
            &self.supervisor.region,
            origin_url.unwrap_or_default(),
        );
        let is_own =
            |name: &str| name.starts_with("CODEBUILD_") && own.iter().any(|(other, _)| other == name);
        let mut environment: Vec<Variable> =
            own.iter().map(|(name, value)| Variable::new(name.as_str(), value.as_str())).collect();
        environment.extend(
            plan.variables
                .iter()
                .filter(|variable| variable.kind == VariableType::Plaintext)
                .filter(|variable| !is_own(&variable.name))
                .map(|variable| Variable::new(variable.name.as_str(), variable.value.as_str())),
        );
        let mut mask: Vec<_> = secrets.iter().map(|variable| variable.value.clone()).collect();
        mask.extend(self.request.masks.iter().cloned());
        let of_job = self.request.job.iter().flat_map(|job| &job.secrets);
        mask.extend(of_job.map(|variable| variable.value.clone()));
        // Access keys are masked wherever they come from.
        let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
        mask.extend(
            environment
                .iter()
                .filter(|v| keys.contains(&v.name.as_str()))
                .map(|variable| variable.value.clone()),
        );
        environment.extend(secrets);
        Configure {
            environment,
            mask,
            shell: plan.shell,
            carry_state: plan.carry_state,
            source_dir: self.dirs.primary.clone(),
            timeout_seconds: self.seconds_left(),
            orphan_seconds: ORPHAN.as_secs(),
            breakpoints: self.request.debug_session,
            pause_on_failure: self.request.shell_on_failure,
            memory_limit: compute(&self.request).ok().flatten().map(|(memory, _)| memory),
            sample_interval_ms: SAMPLE_INTERVAL.as_millis().try_into().unwrap_or(1000),
            offers: self.offers(plan),
        }
    }
}

/// CodeBuild's words for a container that could not be had.
fn placing_failed(error: &ExecutorError, image: &str) -> PhaseOutcome {
    match error {
        ExecutorError::Image { reason } => {
            // The engine's words do not always name the image.
            let named = if reason.contains(image) { String::new() } else { format!(" (image {image})") };
            PhaseOutcome::failed("BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", format!("{error}{named}"))
        }
        ExecutorError::Unreachable { .. } => PhaseOutcome::fault("EXECUTOR_UNREACHABLE", error.to_string()),
        ExecutorError::Start { .. } | ExecutorError::Other { .. } => {
            PhaseOutcome::fault("EXECUTOR_ERROR", error.to_string())
        }
    }
}
