//! Which executor a build gets.

use std::sync::Arc;

use clap::ValueEnum;
use runspan_docker::DockerExecutor;
use runspan_engine::journal::Journal;
use runspan_engine::{
    Check, Container, ContainerEnd, Executor, ExecutorError, NetworkError, Placement, PrivateNetwork,
    Progress, RootFs,
};
use runspan_network::{HostNetwork, Settings};
use runspan_sandbox::SandboxExecutor;

use super::auto::Auto;
use crate::config::Config;
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
pub(crate) async fn connect(
    choice: Choice,
    config: &Config,
    journal: &Journal,
) -> Result<Arc<dyn Executor>, Failure> {
    let networks = Networks(Settings { range: config.network_range, ..Settings::default() });
    Ok(match choice {
        Choice::Docker => match docker(&networks).await? {
            Ok(docker) => Arc::new(docker),
            Err(unreachable) => Arc::new(unreachable),
        },
        Choice::Sandbox => Arc::new(sandbox(config, journal, networks)),
        Choice::Auto => {
            let sandbox = sandbox(config, journal, networks.clone());
            Arc::new(Auto::new(sandbox, networks, may_have_left_containers(journal)?))
        }
    })
}

fn sandbox(config: &Config, journal: &Journal, networks: Networks) -> SandboxExecutor {
    let open = move || networks.open();
    let images = config.image_settings();
    let sandbox =
        SandboxExecutor::new(journal.home().root(), "/proc/self/exe".into(), Arc::new(open), images);
    sandbox.warm_up();
    sandbox
}

/// The container engine of this environment.
pub(super) async fn docker(
    networks: &Networks,
) -> Result<Result<DockerExecutor, Unreachable>, ExecutorError> {
    match DockerExecutor::connect().await {
        Ok(docker) => Ok(Ok(match networks.open() {
            Ok(network) => docker.with_network(network),
            // The engine has networks of its own.
            Err(_) => docker,
        })),
        Err(ExecutorError::Unreachable { engine, reason, remedy }) => {
            Ok(Err(Unreachable { engine, reason, remedy }))
        }
        Err(error) => Err(error),
    }
}

/// Private networks, opened when something needs one.
#[derive(Clone, Debug)]
pub(super) struct Networks(Settings);

impl Networks {
    fn open(&self) -> Result<Arc<dyn PrivateNetwork>, NetworkError> {
        Ok(Arc::new(HostNetwork::open(self.0.clone())?))
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
