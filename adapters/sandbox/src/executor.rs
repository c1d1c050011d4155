//! The executor's verbs.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use runspan_engine::{
    Check, Company, Container, ContainerEnd, Executor, ExecutorError, Placement, Progress, RootFs,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::spawn_blocking;

use crate::ahead::WarmUp;
use crate::check;
use crate::image::{self, ImageError, Store};
use crate::network::Networks;
use crate::placing::{Placing, Plan, Rooms};
use crate::state::{Place, State};

/// Only a process stuck in the kernel takes longer to die.
const DYING: Duration = Duration::from_secs(10);

/// The first process writes down the agent's end and ends itself, unless it was killed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Sandboxes of one state directory.
#[derive(Clone)]
pub struct SandboxExecutor {
    sandboxes: Sandboxes,
}

/// Where sandboxes are kept, and what they are made with.
#[derive(Clone)]
pub(crate) struct Sandboxes {
    pub(crate) state: State,
    pub(crate) program: PathBuf,
    pub(crate) networks: Networks,
    pub(crate) images: Images,
    pub(crate) ahead: Arc<WarmUp>,
}

/// The store of images, opened once it is needed.
#[derive(Clone)]
pub(crate) struct Images {
    directory: PathBuf,
    settings: image::Settings,
    opened: Arc<OnceLock<Store>>,
}

impl Images {
    fn open(&self) -> Result<&Store, ImageError> {
        if let Some(store) = self.opened.get() {
            return Ok(store);
        }
        let store = Store::open(&self.directory, self.settings.clone())?;
        Ok(self.opened.get_or_init(|| store))
    }
}

impl SandboxExecutor {
    /// Sandboxes live below this state directory. `program` is started as their first process, and must call
    /// [`enter`](crate::enter).
    pub fn new(home: &Path, program: PathBuf, ahead: WarmUp, images: image::Settings) -> Self {
        let (state, networks) = (State::new(home), ahead.networks.clone());
        let images = Images { directory: home.join("images"), settings: images, opened: Arc::default() };
        Self { sandboxes: Sandboxes { state, program, networks, images, ahead: Arc::new(ahead) } }
    }

    /// What the sandbox's root is made of, and its id.
    async fn rooms(
        &self,
        container: &Container,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(Rooms, String), ExecutorError> {
        if let RootFs::Built { dockerfile, .. } = &container.root {
            let reason = format!(
                "`{dockerfile}` must be built by a container engine: run the build with `--executor docker`"
            );
            return Err(ExecutorError::Image { reason });
        }
        if container.root == RootFs::Host {
            return Ok((Rooms::Host, "host".to_owned()));
        }
        let login = container.registry_login.as_ref();
        let store = self.sandboxes.images.open()?;
        let image = store.resolve(&container.root.to_string(), login, progress).await?;
        let id = image.id.clone();
        Ok((Rooms::Image(Box::new(image)), id))
    }

    /// Whether an image can be used without asking anybody for it.
    pub fn has_image(&self, name: &str) -> bool {
        self.sandboxes.images.open().and_then(|store| store.present(name)).is_ok_and(|image| image.is_some())
    }

    fn place_of(&self, placement: &Placement) -> Place {
        self.sandboxes.state.place(&placement.attempt).of(placement.companion.as_deref())
    }

    async fn remove(&self, place: Place) -> Result<(), ExecutorError> {
        let sandboxes = self.sandboxes.clone();
        blocking("removing the sandbox", move || sandboxes.remove(&place)).await
    }
}

impl Sandboxes {
    /// Removes everything of an attempt: processes, control groups, directory; not an error when it is gone. Its network
    /// goes with its last process: the kernel takes the interfaces away itself, and nobody waits for that.
    pub(crate) fn remove(&self, place: &Place) -> io::Result<()> {
        let record = place.record();
        for process in [record.agent, record.first].into_iter().flatten() {
            process.kill()?;
        }
        for process in [record.agent, record.first].into_iter().flatten() {
            if !process.wait(DYING)? {
                let id = process.id();
                return Err(io::Error::other(format!("process {id} does not die; see /proc/{id}/stack")));
            }
        }
        record.groups.remove()?;
        place.remove(&record)
    }

    pub(crate) fn is_alive(&self, place: &Place) -> bool {
        let record = place.record();
        record.first.is_some_and(|first| first.open().is_ok_and(|open| open.is_some()))
    }
}

#[async_trait]
impl Executor for SandboxExecutor {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    async fn place(
        &self,
        container: &Container,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Placement, ExecutorError> {
        let refused = |reason: String| ExecutorError::Start { image: container.root.to_string(), reason };
        if container.privileged || container.engine_socket {
            return Err(refused(
                "a sandbox gives no rights over the machine; use --executor docker for privileged builds"
                    .into(),
            ));
        }
        let (rooms, image_id) = self.rooms(container, progress).await?;
        progress(Progress::Starting);
        let plan = Plan { container: container.clone(), rooms, is_rehearsal: false };
        let placed = Placing::carry_out(&self.sandboxes, plan, progress).await?;
        Ok(Placement {
            executor: self.name().into(),
            container: placed.first.id().to_string(),
            attempt: container.attempt.clone(),
            image_id,
            companion: match &container.company {
                Company::Beside(beside) => Some(beside.name.clone()),
                Company::Alone | Company::Expected => None,
            },
        })
    }

    async fn observe(&self, placement: &Placement) -> Result<ContainerEnd, ExecutorError> {
        let place = self.place_of(placement);
        let record = place.record();
        for (process, patience) in [(record.agent, None), (record.first, Some(LAST_WORDS))] {
            let failed = |error| other("waiting for the sandbox's end", &error);
            let Some(open) =
                process.map(crate::process::Process::open).transpose().map_err(failed)?.flatten()
            else {
                continue;
            };
            let open = watched(open).map_err(failed)?;
            match patience {
                None => drop(open.readable().await.map_err(failed)?),
                Some(patience) => drop(tokio::time::timeout(patience, open.readable()).await),
            }
        }
        Ok(ContainerEnd { exit_code: place.exit_code(), out_of_memory: record.groups.out_of_memory() })
    }

    async fn cancel(&self, placement: &Placement) -> Result<(), ExecutorError> {
        let record = self.place_of(placement).record();
        // With PID 1 the kernel kills everything in the sandbox; with the first process it kills PID 1.
        match record.agent.or(record.first) {
            Some(process) => process.kill().map_err(|error| other("killing the sandbox", &error)),
            None => Ok(()),
        }
    }

    async fn collect(&self, placement: &Placement) -> Result<(), ExecutorError> {
        let own = self.place_of(placement);
        if !own.is_companion() {
            let places =
                self.sandboxes.state.places().map_err(|error| other("looking for companions", &error))?;
            for place in places {
                if place.is_companion() && place.attempt() == own.attempt() {
                    self.remove(place).await?;
                }
            }
        }
        self.remove(own).await
    }

    async fn sweep(
        &self,
        is_live: &(dyn for<'a> Fn(&'a str) -> bool + Send + Sync),
    ) -> Result<Vec<String>, ExecutorError> {
        let failed = |error| other("looking for what builds left", &error);
        let mut lines = Vec::new();
        for place in self.sandboxes.state.places().map_err(failed)? {
            if is_live(place.attempt()) {
                continue;
            }
            let name = place.name();
            lines.push(match self.remove(place).await {
                Ok(()) => format!("removed sandbox of build {name}"),
                // One stubborn thing does not keep the others.
                Err(error) => format!("could not remove sandbox of build {name}: {error}"),
            });
        }
        // What the kernel itself took away with a build is not looked for where nothing is left of any.
        if let Some(Ok(network)) = (!lines.is_empty()).then(|| self.sandboxes.networks.open()) {
            lines.extend(network.sweep(is_live).map_err(|error| failed(io::Error::other(error)))?);
        }
        Ok(lines)
    }

    async fn check(&self) -> Vec<Check> {
        check::all(&self.sandboxes).await
    }
}

/// Lets the runtime watch for the end of a process.
#[expect(unsafe_code, reason = "the call says below why it is sound")]
fn watched(process: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by what watches it, and so is open for as long.
    Ok(unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) }?)
}

pub(crate) fn other(doing: &str, error: &dyn std::error::Error) -> ExecutorError {
    ExecutorError::Other { doing: doing.to_owned(), reason: error.to_string() }
}

pub(crate) async fn blocking<T: Send + 'static>(
    doing: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ExecutorError> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| other(doing, &error)),
        Err(error) => Err(other(doing, &error)),
    }
}
