//! Joins a container of an engine on this machine to a private network of ours.

use std::{
    fs::{self, File},
    os::{fd::AsFd, unix::fs::MetadataExt, unix::net::UnixStream},
    sync::Arc,
};

use bollard::query_parameters::InspectContainerOptions;
use runspan_engine::{NetworkError, PrivateNetwork, Resolver};
use rustix::net::sockopt::socket_peercred;

use crate::engine::{self, Engine};

/// Whether the engine at a socket runs on this machine as root, in our own network: only then its containers'
/// namespaces are where we can join them.
pub(crate) fn is_within_reach(socket: &str) -> bool {
    let Ok(stream) = UnixStream::connect(socket) else { return false };
    // Across a boundary of process namespaces the kernel has no number to tell.
    let Ok(peer) = socket_peercred(&stream) else { return false };
    let network =
        |process: &str| fs::metadata(format!("/proc/{process}/ns/net")).map(|found| found.ino()).ok();
    let theirs = network(&peer.pid.as_raw_nonzero().to_string());
    peer.uid.is_root() && theirs.is_some() && theirs == network("self")
}

/// Does what can be done before there is a container; how names are resolved in it.
pub(crate) async fn prepare(network: &Arc<dyn PrivateNetwork>) -> Result<Resolver, NetworkError> {
    let network = Arc::clone(network);
    blocking(move || network.prepare().and_then(|()| network.resolver())).await
}

/// Joins a container that was just started; one that has ended already is left alone.
pub(crate) async fn join(
    engine: &Engine,
    container: &str,
    network: Arc<dyn PrivateNetwork>,
    attempt: String,
) -> Result<(), String> {
    let found = engine.docker.inspect_container(container, None::<InspectContainerOptions>).await;
    let state = found.map_err(|error| engine::words(&error))?.state.unwrap_or_default();
    let (Some(process @ 1..), Some(true)) = (state.pid, state.running) else { return Ok(()) };
    let container = container.to_owned();
    let attach = move || {
        let namespace = match namespace_of(process, &container) {
            Ok(Some(namespace)) => namespace,
            Ok(None) => return Ok(()),
            Err(reason) => return Err(reason),
        };
        network.attach(&attempt, namespace.as_fd()).map(drop).map_err(|error| error.to_string())
    };
    tokio::task::spawn_blocking(attach).await.map_err(|error| error.to_string())?
}

/// Takes an attempt's interface away.
pub(crate) async fn part(network: &Arc<dyn PrivateNetwork>, attempt: &str) -> Result<(), NetworkError> {
    let (network, attempt) = (Arc::clone(network), attempt.to_owned());
    blocking(move || network.detach(&attempt)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NetworkError> + Send + 'static,
) -> Result<T, NetworkError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(NetworkError::Other { doing: "changing a build's network".into(), reason: error.to_string() })
    })
}

/// The network namespace of a container's process; `None` when it has ended. The number is the engine's word, which
/// means nothing where the engine counts otherwise; a container's control group has its id in the name from before its
/// program runs.
fn namespace_of(process: i64, container: &str) -> Result<Option<File>, String> {
    let open = || File::open(format!("/proc/{process}/ns/net")).ok();
    let Some(namespace) = open() else { return Ok(None) };
    let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
    match groups.contains(container) {
        true => Ok(Some(namespace)),
        // In the end a process leaves its groups, but its namespaces too.
        false if open().is_none() => Ok(None),
        false => Err(format!("process {process} is not the container's; the engine is not on this machine")),
    }
}
