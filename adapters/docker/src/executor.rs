//! The five verbs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bollard::{
    errors::Error,
    models::ContainerState,
    query_parameters::{InspectContainerOptions, KillContainerOptions, WaitContainerOptions},
};
use futures_util::StreamExt;
use runspan_engine::{
    Check, Company, Container, ContainerEnd, Executor, ExecutorError, Network, Placement, PrivateNetwork,
    Progress, Resolver, RootFs,
};
use tokio::time::Instant;

use crate::{
    check,
    endpoint::{Endpoint, config_dir},
    engine::{self, Engine, Product},
    join,
    making::{self, Making, Plan},
    remove::Kind,
    spec::{self, Connection},
};

/// How long [`Executor::observe`] waits for an engine that went away to come back.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(500);

/// An engine, connected.
#[derive(Clone)]
pub struct DockerExecutor {
    engine: Engine,
    /// Private networks, where the engine's containers can be joined to them.
    network: Option<Arc<dyn PrivateNetwork>>,
}

impl DockerExecutor {
    /// Connects to the engine of this environment: `DOCKER_HOST`, the current docker context, or the usual
    /// sockets of Docker and podman.
    ///
    /// # Errors
    /// [`ExecutorError::Unreachable`], with the remedy.
    pub async fn connect() -> Result<Self, ExecutorError> {
        Ok(Self { engine: Engine::find(&environment).await?, network: None })
    }

    /// Connects to the engine at an address, as in `unix:///var/run/docker.sock`.
    ///
    /// # Errors
    /// [`ExecutorError::Unreachable`], with the remedy.
    pub async fn connect_to(url: &str) -> Result<Self, ExecutorError> {
        Ok(Self { engine: Engine::connect(Endpoint::new(url, "given")).await?, network: None })
    }

    /// Joins builds to private networks, which are made sooner than the engine's own, where the engine is on this
    /// machine. Elsewhere nothing changes.
    pub fn with_network(mut self, network: Arc<dyn PrivateNetwork>) -> Self {
        let is_within_reach = self.engine.endpoint.socket().is_some_and(join::is_within_reach);
        self.network = is_within_reach.then_some(network);
        self
    }

    /// Whether the engine has an image without pulling it.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn has_image(&self, name: &str) -> Result<bool, ExecutorError> {
        self.engine.has(name).await
    }

    /// Private networks and how names are resolved there, where this machine turns out to have all they need. Not
    /// with podman, whose containers without a network have no file of host names.
    async fn private_network(&self) -> Option<(&Arc<dyn PrivateNetwork>, Resolver)> {
        let network = self.network.as_ref()?;
        let (about, resolver) = tokio::join!(self.engine.about(), join::prepare(network));
        (about.ok()?.product == Product::Docker).then_some((network, resolver.ok()?))
    }
}

impl std::fmt::Debug for DockerExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let joins = self.network.is_some();
        f.debug_struct("DockerExecutor").field("engine", &self.engine).field("joins", &joins).finish()
    }
}

/// Where Docker's settings are, with its logins: `DOCKER_CONFIG`, or `.docker` at home.
pub fn settings() -> Option<PathBuf> {
    config_dir(&environment)
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[async_trait]
impl Executor for DockerExecutor {
    fn name(&self) -> &'static str {
        "docker"
    }

    async fn place(
        &self,
        container: &Container,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Placement, ExecutorError> {
        let refused = |reason: String| ExecutorError::Start { image: container.root.to_string(), reason };
        let (RootFs::Image(_) | RootFs::Built { .. }) = &container.root else {
            return Err(refused("a container engine runs images alone; use --executor sandbox".into()));
        };
        let socket = match (container.engine_socket, self.engine.endpoint.socket()) {
            (false, _) => None,
            (true, Some(socket)) => Some(socket),
            (true, None) => {
                return Err(refused(
                    "the engine's socket was granted, but the engine is not on a local one".into(),
                ));
            }
        };
        let settings = settings();
        let login = container.registry_login.as_ref();
        let finding = async {
            match &container.root {
                RootFs::Built { context, dockerfile, name } => {
                    self.engine.build(context, dockerfile, name, &container.attempt, progress).await
                }
                image => self.engine.image(&image.to_string(), login, settings.as_deref(), progress).await,
            }
        };
        let beside = match &container.company {
            Company::Beside(beside) => Some(beside),
            Company::Alone | Company::Expected => None,
        };
        let (image, private) = match container.network {
            Network::Private | Network::PrivateOrHost if beside.is_none() => {
                tokio::join!(finding, self.private_network())
            }
            _ => (finding.await, None),
        };
        let image = image?;
        progress(Progress::Starting);
        let name = match beside {
            Some(beside) => spec::companion_name(&container.attempt, &beside.name),
            None => spec::resource_name(&container.attempt),
        };
        let (network, connection) = match (container.network, private) {
            _ if let Some(beside) = beside => {
                (making::Network::None, Connection::Shared(beside.host.container.clone()))
            }
            (Network::None, _) => (making::Network::None, Connection::None),
            (Network::Host, _) => (making::Network::None, Connection::Host),
            (Network::Private | Network::PrivateOrHost, Some((network, resolver))) => {
                (making::Network::Private(Arc::clone(network)), Connection::Joined(resolver))
            }
            (Network::Private | Network::PrivateOrHost, None) => {
                let network = spec::network(&container.attempt);
                (making::Network::OfEngine(Box::new(network)), Connection::OfEngine(name.clone()))
            }
        };
        let body = spec::container(container, &image, &connection, socket).map_err(refused)?;
        let plan =
            Plan { attempt: container.attempt.clone(), container_name: name, container: body, network };
        Ok(Placement {
            executor: self.name().into(),
            container: Making::begin(self.engine.clone(), plan).finish().await?,
            attempt: container.attempt.clone(),
            image_id: image.id,
            companion: beside.map(|beside| beside.name.clone()),
        })
    }

    async fn observe(&self, placement: &Placement) -> Result<ContainerEnd, ExecutorError> {
        let mut lost_since = None;
        loop {
            match self.engine.end_of(&placement.container).await {
                Ok(Some(end)) => return Ok(end),
                Ok(None) => {
                    lost_since = None;
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) if engine::is_unreachable(&error) => {
                    let since = *lost_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > PATIENCE {
                        return Err(self.engine.failure("waiting for the container's end", &error));
                    }
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(self.engine.failure("waiting for the container's end", &error)),
            }
        }
    }

    async fn cancel(&self, placement: &Placement) -> Result<(), ExecutorError> {
        let id = placement.container.as_str();
        let killed = self.engine.docker.kill_container(id, None::<KillContainerOptions>).await;
        let Err(error) = killed else { return Ok(()) };
        // How engines refuse to kill what does not run differs from one to the next.
        match self.engine.state_of(id).await {
            Ok(None) => Ok(()),
            Ok(Some(state)) if state.running != Some(true) => Ok(()),
            _ => Err(self.engine.failure("killing the container", &error)),
        }
    }

    async fn collect(&self, placement: &Placement) -> Result<(), ExecutorError> {
        self.engine.remove(Kind::Container, &placement.container).await?;
        if placement.companion.is_some() {
            return Ok(());
        }
        for left in self.engine.resources(Some(&placement.attempt)).await? {
            self.engine.remove(left.kind, &left.id).await?;
        }
        if let Some(network) = &self.network {
            let parted = join::part(network, &placement.attempt).await;
            parted.map_err(|error| ExecutorError::Other {
                doing: "removing the build's network".into(),
                reason: error.to_string(),
            })?;
        }
        Ok(())
    }

    async fn sweep(
        &self,
        is_live: &(dyn for<'a> Fn(&'a str) -> bool + Send + Sync),
    ) -> Result<Vec<String>, ExecutorError> {
        let mut removed = Vec::new();
        for left in self.engine.resources(None).await? {
            if is_live(&left.attempt) {
                continue;
            }
            let what = format!("{} {} of build {}", left.kind, left.name, left.attempt);
            removed.push(match self.engine.remove(left.kind, &left.id).await {
                Ok(()) => format!("removed {what}"),
                Err(error @ ExecutorError::Unreachable { .. }) => return Err(error),
                // One stubborn thing does not keep the others.
                Err(error) => format!("could not remove {what}: {error}"),
            });
        }
        if let Some(network) = &self.network {
            match network.sweep(is_live) {
                Ok(lines) => removed.extend(lines),
                Err(error) => removed.push(format!("could not remove networks of builds: {error}")),
            }
        }
        Ok(removed)
    }

    async fn check(&self) -> Vec<Check> {
        check::all(&self.engine).await
    }
}

impl Engine {
    /// Waits once for a container's end; `None` when the wait was cut short and must be repeated.
    async fn end_of(&self, container: &str) -> Result<Option<ContainerEnd>, Error> {
        let gone = ContainerEnd { exit_code: None, out_of_memory: false };
        let waited = self.docker.wait_container(container, None::<WaitContainerOptions>).next().await;
        let code = match waited {
            Some(Ok(end)) => Some(end.status_code),
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Some(code),
            // An engine may say nothing at all until the end.
            Some(Err(Error::RequestTimeoutError)) => None,
            Some(Err(error)) if engine::status(&error) == Some(404) => return Ok(Some(gone)),
            Some(Err(error)) => return Err(error),
            // Shut down in the middle.
            None => None,
        };
        let Some(state) = self.state_of(container).await? else {
            return Ok(Some(ContainerEnd { exit_code: code, ..gone }));
        };
        if state.running == Some(true) {
            return Ok(None);
        }
        Ok(Some(ContainerEnd {
            exit_code: state.exit_code.or(code),
            out_of_memory: state.oom_killed == Some(true),
        }))
    }

    /// A container's state; `None` when it is gone.
    async fn state_of(&self, container: &str) -> Result<Option<ContainerState>, Error> {
        match self.docker.inspect_container(container, None::<InspectContainerOptions>).await {
            Ok(found) => Ok(Some(found.state.unwrap_or_default())),
            Err(error) if engine::status(&error) == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
