//! Which executor a build gets.

use std::sync::Arc;

use clap::ValueEnum;
use runspan_docker::DockerExecutor;
use runspan_engine::journal::Journal;
use runspan_engine::{
    Check, Container, ContainerEnd, Executor, ExecutorError, Placement, PrivateNetwork, Progress, RootFs,
};
use runspan_network::{HostNetwork, Settings};
use runspan_sandbox::SandboxExecutor;
use runspan_sandbox::image::Settings as ImageSettings;

use super::auto::Auto;
use crate::failure::Failure;

/// Name of the executor on a container engine.
pub(super) const DOCKER: &str = "docker";

/// `--executor`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// What this machine has.
    #[default]
    Auto,
    /// Docker, or podman's compatible socket.
    Docker,
    /// Namespaces and overlays of this very program; no container engine.
    Sandbox,
}

/// Connects. An engine that does not answer fails a build's PROVISIONING, so that the build has a record.
pub(crate) async fn connect(choice: Choice, journal: &Journal) -> Result<Arc<dyn Executor>, Failure> {
    Ok(match choice {
        Choice::Docker => match docker().await? {
            Ok(docker) => Arc::new(docker),
            Err(unreachable) => Arc::new(unreachable),
        },
        Choice::Sandbox => Arc::new(sandbox(journal)),
        Choice::Auto => Arc::new(Auto::new(sandbox(journal), may_have_left_containers(journal)?)),
    })
}

fn sandbox(journal: &Journal) -> SandboxExecutor {
    let images = ImageSettings { docker_config: runspan_docker::settings(), ..ImageSettings::default() };
    let networks = || Ok(Arc::new(HostNetwork::open(Settings::default())?) as Arc<dyn PrivateNetwork>);
    let sandbox =
        SandboxExecutor::new(journal.home().root(), "/proc/self/exe".into(), Arc::new(networks), images);
    sandbox.warm_up();
    sandbox
}

/// The container engine of this environment.
pub(super) async fn docker() -> Result<Result<DockerExecutor, Unreachable>, ExecutorError> {
    match DockerExecutor::connect().await {
        Ok(docker) => Ok(Ok(docker)),
        Err(ExecutorError::Unreachable { engine, reason, remedy }) => {
            Ok(Err(Unreachable { engine, reason, remedy }))
        }
        Err(error) => Err(error),
    }
}

/// Whether a build that has not ended may have something on a container engine.
fn may_have_left_containers(journal: &Journal) -> Result<bool, Failure> {
    Ok(journal.unfinished()?.iter().any(|stored| match &stored.placement {
        Some(placement) => placement.executor == DOCKER,
        None => !RootFs::named(&stored.build.environment.image).is_local(),
    }))
}

/// An engine that does not answer.
pub(super) struct Unreachable {
    engine: String,
    reason: String,
    remedy: String,
}

impl Unreachable {
    fn error(&self) -> ExecutorError {
        let Self { engine, reason, remedy } = self;
        ExecutorError::Unreachable { engine: engine.clone(), reason: reason.clone(), remedy: remedy.clone() }
    }
}

#[async_trait::async_trait]
impl Executor for Unreachable {
    fn name(&self) -> &'static str {
        DOCKER
    }

    async fn place(
        &self,
        _: &Container,
        _: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Placement, ExecutorError> {
        Err(self.error())
    }

    async fn observe(&self, _: &Placement) -> Result<ContainerEnd, ExecutorError> {
        Err(self.error())
    }

    async fn cancel(&self, _: &Placement) -> Result<(), ExecutorError> {
        Err(self.error())
    }

    async fn collect(&self, _: &Placement) -> Result<(), ExecutorError> {
        Err(self.error())
    }

    /// The build itself says that the engine does not answer.
    async fn sweep(
        &self,
        _: &(dyn for<'a> Fn(&'a str) -> bool + Send + Sync),
    ) -> Result<Vec<String>, ExecutorError> {
        Ok(Vec::new())
    }

    async fn check(&self) -> Vec<Check> {
        vec![runspan_docker::unreachable(&self.error())]
    }
}
