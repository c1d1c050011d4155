//! The service itself.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use axum::serve::Listener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::disk::Store;
use crate::error::StorageError;
use crate::grant::Grant;
use crate::http;
use crate::jobs::Jobs;
use crate::keys::Keys;

/// Connections that wait to be taken; then who hands them on waits.
const WAITING: usize = 64;

/// Where artifacts are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Artifacts {
    /// At GitHub, where its pages show them.
    #[default]
    GitHub,
    /// Here.
    Local,
}

/// How the storage behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything is kept.
    pub root: PathBuf,
    /// Bytes that may be kept; what was not used for longest goes first.
    pub limit: u64,
    /// Where artifacts are kept.
    pub artifacts: Artifacts,
}

/// The artifact and cache services of this machine.
#[derive(Clone)]
pub struct Storage {
    service: Arc<Service>,
    connections: mpsc::Sender<tokio::net::UnixStream>,
    runtime: Handle,
}

pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) keys: Keys,
    pub(crate) jobs: Jobs,
    pub(crate) artifacts: Artifacts,
    client: OnceLock<reqwest::Client>,
}

impl Service {
    /// Asks GitHub. It reads all of the machine's certificates, so it is made when something is first asked for.
    pub(crate) fn client(&self) -> Result<&reqwest::Client, StorageError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| StorageError::Upstream(error.to_string()))?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl Storage {
    /// Opens the storage and serves it on the current tokio runtime.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(settings: Settings) -> Result<Self, StorageError> {
        let Settings { root, limit, artifacts } = settings;
        let store = Store::open(&root, limit)?;
        let keys = Keys::open(&root.join("key"))?;
        let service =
            Arc::new(Service { store, keys, jobs: Jobs::default(), artifacts, client: OnceLock::new() });
        let (connections, waiting) = mpsc::channel(WAITING);
        let router = http::router(Arc::clone(&service));
        // It ends when nobody can hand on a connection any more.
        tokio::spawn(async move { drop(axum::serve(HandedOn(waiting), router).await) });
        Ok(Self { service, connections, runtime: Handle::current() })
    }

    /// Admits a job, until [`Self::dismiss`].
    pub fn admit(&self, grant: Grant) {
        self.service.jobs.admit(grant);
    }

    /// The job is over: its token is worth nothing any more, and what it had not finished is removed.
    pub fn dismiss(&self, job: &str) {
        self.service.jobs.dismiss(job);
        let (service, job) = (Arc::clone(&self.service), job.to_owned());
        tokio::task::spawn_blocking(move || service.store.abandon(&job));
    }

    /// Serves a connection that somebody else has accepted, on a thread that may wait.
    ///
    /// # Errors
    /// When it is no connection, or the service has ended.
    pub fn connect(&self, stream: UnixStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let _runtime = self.runtime.enter();
        let stream = tokio::net::UnixStream::from_std(stream)?;
        self.connections.blocking_send(stream).map_err(|_| io::ErrorKind::ConnectionRefused.into())
    }
}

/// Connections that come from others.
struct HandedOn(mpsc::Receiver<tokio::net::UnixStream>);

impl Listener for HandedOn {
    type Io = tokio::net::UnixStream;
    type Addr = ();

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.0.recv().await {
            Some(stream) => (stream, ()),
            // There is no way to say that none will come.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(())
    }
}
