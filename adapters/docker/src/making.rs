//! Container, network, start: all of it or nothing, also when the caller stops waiting.

use std::sync::Arc;

use bollard::{
    errors::Error,
    models::{ContainerCreateBody, NetworkCreateRequest},
    query_parameters::{CreateContainerOptions, StartContainerOptions},
};
use runspan_engine::{ExecutorError, PrivateNetwork};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    engine::{self, Engine, Product},
    join,
    remove::Kind,
};

/// What to make.
pub(crate) struct Plan {
    pub(crate) attempt: String,
    pub(crate) container_name: String,
    pub(crate) container: ContainerCreateBody,
    pub(crate) network: Network,
}

/// What is made beside the container.
pub(crate) enum Network {
    None,
    /// A network of the engine.
    OfEngine(Box<NetworkCreateRequest>),
    /// Ours, which the running container is joined to.
    Private(Arc<dyn PrivateNetwork>),
}

/// Ids of what was made so far.
#[derive(Default)]
struct Made {
    network: Option<String>,
    container: Option<String>,
    /// The network that the attempt may have been joined to.
    joined: Option<(Arc<dyn PrivateNetwork>, String)>,
}

/// A plan being carried out in a task of its own, so that a caller who goes away in the middle of a request does not
/// leave something half made: what comes of it is then removed.
pub(crate) struct Making {
    engine: Engine,
    task: Option<JoinHandle<Result<Made, ExecutorError>>>,
}

impl Making {
    pub(crate) fn begin(engine: Engine, plan: Plan) -> Self {
        let task = tokio::spawn(carry_out(engine.clone(), plan));
        Self { engine, task: Some(task) }
    }

    /// Waits for the container to run; its id.
    pub(crate) async fn finish(mut self) -> Result<String, ExecutorError> {
        let broken = |reason: String| ExecutorError::Other { doing: "starting a container".into(), reason };
        let Some(task) = &mut self.task else { return Err(broken("it was started already".into())) };
        let made = task.await.map_err(|error| broken(error.to_string()));
        self.task = None;
        made??.container.ok_or_else(|| broken("the engine gave it no id".into()))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let (Some(task), Ok(runtime)) = (self.task.take(), tokio::runtime::Handle::try_current()) {
            let engine = self.engine.clone();
            runtime.spawn(async move {
                if let Ok(Ok(made)) = task.await {
                    made.discard(&engine).await;
                }
            });
        }
    }
}

async fn carry_out(engine: Engine, plan: Plan) -> Result<Made, ExecutorError> {
    let mut made = Made::default();
    match made.make(&engine, plan).await {
        Ok(()) => Ok(made),
        Err(error) => {
            made.discard(&engine).await;
            Err(error)
        }
    }
}

impl Made {
    async fn make(&mut self, engine: &Engine, plan: Plan) -> Result<(), ExecutorError> {
        let Plan { attempt, container_name, container, network } = plan;
        let image = container.image.clone().unwrap_or_default();
        let fail = |error: Error| {
            if engine::is_unreachable(&error) {
                return engine.failure("starting a container", &error);
            }
            ExecutorError::Start { image: image.clone(), reason: refusal(&error) }
        };
        let options = CreateContainerOptions { name: Some(container_name), ..Default::default() };
        let is_made = Notify::new();
        let make_network = async {
            let made = match &network {
                Network::OfEngine(network) => {
                    engine.docker.create_network((**network).clone()).await.map(|made| Some(made.id))
                }
                Network::Private(_) | Network::None => Ok(None),
            };
            is_made.notify_one();
            made
        };
        let make_container = async {
            // Docker looks the network up when the container starts, podman when it is made.
            if engine.about().await?.product == Product::Podman {
                is_made.notified().await;
            }
            engine.docker.create_container(Some(options), container).await
        };
        let (made, container) = tokio::join!(make_network, make_container);
        self.network = made.as_ref().ok().cloned().flatten();
        self.container = container.as_ref().ok().map(|made| made.id.clone());
        made.map_err(fail)?;
        let container = container.map_err(fail)?.id;
        if let Network::Private(network) = &network {
            self.joined = Some((Arc::clone(network), attempt.clone()));
        }
        engine.docker.start_container(&container, None::<StartContainerOptions>).await.map_err(fail)?;
        if let Network::Private(network) = network {
            join::join(engine, &container, network, attempt)
                .await
                .map_err(|reason| ExecutorError::Start { image: image.clone(), reason })?;
        }
        Ok(())
    }

    /// Removes what was made; a sweep finds what cannot be removed now.
    async fn discard(&self, engine: &Engine) {
        for (kind, id) in [(Kind::Container, &self.container), (Kind::Network, &self.network)] {
            if let Some(id) = id {
                let _ = engine.remove(kind, id).await;
            }
        }
        if let Some((network, attempt)) = &self.joined {
            let _ = join::part(network, attempt).await;
        }
    }
}

/// The engine's words, with what to do where they leave it open.
fn refusal(error: &Error) -> String {
    let words = engine::words(error);
    let remedy = if words.contains("bind source path does not exist") {
        "; the engine must run on this machine and see its files"
    } else if words.contains("could not find an available") || words.contains("all predefined address pools")
    {
        "; remove unused networks (`docker network prune`) or widen default-address-pools in /etc/docker/daemon.json"
    } else {
        ""
    };
    format!("{words}{remedy}")
}
