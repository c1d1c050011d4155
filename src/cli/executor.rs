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
use runspan_sandbox::{Expected, OpenNetworks, SandboxExecutor, WarmUp};

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

/// How the program starts itself as a sandbox's first process.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// What was chosen, with what was begun for it.
pub(crate) struct Chosen {
    choice: Choice,
    ahead: Option<WarmUp>,
}

impl Chosen {
    /// Begins at once what the first build would have to wait for, which has probably this image.
    pub(crate) fn begin(choice: Choice, config: &Config, image: Option<&str>) -> Self {
        let root = match image.or(config.image.as_deref()).map(RootFs::named) {
            None | Some(RootFs::Host) => Expected::Host,
            Some(_) => Expected::Image,
        };
        let begin = || WarmUp::begin(OWN_PROGRAM.as_ref(), Networks::of(config).opening(), root);
        Self { choice, ahead: (choice != Choice::Docker).then(begin) }
    }
}

impl From<Choice> for Chosen {
    fn from(choice: Choice) -> Self {
        Self { choice, ahead: None }
    }
}

/// Connects. An engine that does not answer fails a build's PROVISIONING, so that the build has a record.
pub(crate) async fn connect(
    chosen: Chosen,
    config: &Config,
    journal: &Journal,
) -> Result<Arc<dyn Executor>, Failure> {
    let networks = Networks::of(config);
    let sandbox = || {
        let ahead = chosen.ahead.unwrap_or_else(|| WarmUp::none(networks.opening()));
        SandboxExecutor::new(journal.home().root(), OWN_PROGRAM.into(), ahead, config.image_settings())
    };
    Ok(match chosen.choice {
        Choice::Docker => match docker(&networks).await? {
            Ok(docker) => Arc::new(docker),
            Err(unreachable) => Arc::new(unreachable),
        },
        Choice::Sandbox => Arc::new(sandbox()),
        Choice::Auto => Arc::new(Auto::new(sandbox(), networks.clone(), may_have_left_containers(journal)?)),
    })
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
    fn of(config: &Config) -> Self {
        Self(Settings { range: config.network_range, ..Settings::default() })
    }

    fn opening(&self) -> Arc<OpenNetworks> {
        let networks = self.clone();
        Arc::new(move || networks.open())
    }

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
