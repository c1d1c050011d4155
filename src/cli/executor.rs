//! Which executor a build gets.

use std::sync::Arc;

use clap::ValueEnum;
use runspan_docker::DockerExecutor;
use runspan_engine::{
    Check, Container, ContainerEnd, Executor, ExecutorError, NetworkError, Placement, PrivateNetwork,
    Progress,
};
use runspan_network::{HostNetwork, Settings};

use crate::config::Config;
use crate::failure::Failure;

/// `--executor`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// What this machine has.
    #[default]
    Auto,
    /// Docker, or podman's compatible socket.
    Docker,
    /// No container engine at all (not in this version).
    Sandbox,
}

/// Connects. An engine that does not answer fails a build's PROVISIONING, so that the build has a record.
pub(crate) async fn connect(choice: Choice, config: &Config) -> Result<Arc<dyn Executor>, Failure> {
    match choice {
        Choice::Sandbox => Err(Failure::input("the sandbox executor is not in this version")
            .help("use --executor docker, with Docker or podman running")),
        Choice::Auto | Choice::Docker => match DockerExecutor::connect().await {
            Ok(docker) => Ok(Arc::new(match private_network(config) {
                Ok(network) => docker.with_network(network),
                // The engine has networks of its own.
                Err(_) => docker,
            })),
            Err(ExecutorError::Unreachable { engine, reason, remedy }) => {
                Ok(Arc::new(Unreachable { engine, reason, remedy }))
            }
            Err(error) => Err(error.into()),
        },
    }
}

/// Private networks, where this user and machine can have them.
pub(super) fn private_network(config: &Config) -> Result<Arc<dyn PrivateNetwork>, NetworkError> {
    let settings = Settings { range: config.network_range, ..Settings::default() };
    Ok(Arc::new(HostNetwork::open(settings)?))
}

/// An engine that does not answer.
struct Unreachable {
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
        "docker"
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
