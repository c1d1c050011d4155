//! The executor's verbs.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use runspan_engine::{
    Check, Container, ContainerEnd, Executor, ExecutorError, Network, Placement, Progress, RootFs,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::spawn_blocking;

use crate::cgroup::Hierarchy;
use crate::placing::{Placing, Rooms};
use crate::state::State;
use crate::{check, remove};

/// The search path of programs where an image names none.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The first process writes down the agent's end and ends itself, unless it was killed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Sandboxes of one state directory.
#[derive(Clone, Debug)]
pub struct SandboxExecutor {
    state: State,
    program: PathBuf,
}

impl SandboxExecutor {
    /// Sandboxes live below this state directory. `program` is started as their first process, and must call
    /// [`enter`](crate::enter).
    pub fn new(home: &Path, program: PathBuf) -> Self {
        Self { state: State::new(home), program }
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
        let (rooms, image_id) = match &container.root {
            RootFs::Host => (Rooms::Host, "host".to_owned()),
            RootFs::Directory(path) => (Rooms::Layers(vec![path.clone()]), path.display().to_string()),
            RootFs::Archive(_) | RootFs::Image(_) => {
                return Err(ExecutorError::Image { reason: "images are not in this version".into() });
            }
        };
        progress(Progress::Starting);
        let is_root = rustix::process::geteuid().is_root();
        let own_network = match container.network {
            Network::None => true,
            Network::Host => false,
            Network::PrivateOrHost if is_root => true,
            Network::PrivateOrHost => {
                progress(Progress::Warning(
                    "the build uses this machine's own network: an ordinary user cannot give it another"
                        .into(),
                ));
                false
            }
            Network::Private => true,
        };
        let placing =
            Placing::begin(&self.state, &self.program, container, rooms, own_network, Vec::new()).await?;
        let first = placing.finish(progress).await?;
        Ok(Placement {
            executor: self.name().into(),
            container: first.id().to_string(),
            attempt: container.attempt.clone(),
            image_id,
        })
    }

    async fn observe(&self, placement: &Placement) -> Result<ContainerEnd, ExecutorError> {
        let place = self.state.place(&placement.attempt);
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
        let record = self.state.place(&placement.attempt).record();
        // With PID 1 the kernel kills everything in the sandbox; with the first process it kills PID 1.
        match record.agent.or(record.first) {
            Some(process) => process.kill().map_err(|error| other("killing the sandbox", &error)),
            None => Ok(()),
        }
    }

    async fn collect(&self, placement: &Placement) -> Result<(), ExecutorError> {
        let place = self.state.place(&placement.attempt);
        blocking("removing the sandbox", move || remove::remove(&place)).await
    }

    async fn sweep(
        &self,
        is_live: &(dyn for<'a> Fn(&'a str) -> bool + Send + Sync),
    ) -> Result<Vec<String>, ExecutorError> {
        let failed = |error| other("looking for what builds left", &error);
        let mut lines = Vec::new();
        for attempt in self.state.attempts().map_err(failed)? {
            if is_live(&attempt) {
                continue;
            }
            let place = self.state.place(&attempt);
            let removed = blocking("removing the sandbox", move || remove::remove(&place)).await;
            lines.push(match removed {
                Ok(()) => format!("removed sandbox of build {attempt}"),
                // One stubborn thing does not keep the others.
                Err(error) => format!("could not remove sandbox of build {attempt}: {error}"),
            });
        }
        Ok(lines)
    }

    async fn check(&self) -> Vec<Check> {
        let state = self.state.clone();
        let program = self.program.clone();
        spawn_blocking(move || check::all(&state, &program, Hierarchy::find().as_ref()))
            .await
            .unwrap_or_default()
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
