//! The service itself.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::disk::Store;
use crate::error::StorageError;
use crate::grant::Grant;
use crate::http;
use crate::jobs::Jobs;
use crate::keys::Keys;

/// Connections that wait to be taken; then who hands them on waits.
const WAITING: usize = 64;
/// Connections that are served at once. Each costs the process a file descriptor, and a job can open any number.
const MOST_CONNECTIONS: usize = 512;
/// GitHub is not waited for much longer than its clients wait for us.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const READ_TIMEOUT: Duration = Duration::from_secs(300);

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
    connections: mpsc::Sender<UnixStream>,
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
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
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
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        tokio::spawn(async move { drop(axum::serve(HandedOn { waiting, places }, router).await) });
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
    pub fn connect(&self, stream: std::os::unix::net::UnixStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let _runtime = self.runtime.enter();
        let stream = UnixStream::from_std(stream)?;
        self.connections.blocking_send(stream).map_err(|_| io::ErrorKind::ConnectionRefused.into())
    }
}

/// Connections that come from others.
struct HandedOn {
    waiting: mpsc::Receiver<UnixStream>,
    places: Arc<Semaphore>,
}

/// A connection with its place among those that are served.
struct Served {
    stream: UnixStream,
    _place: Option<OwnedSemaphorePermit>,
}

impl Listener for HandedOn {
    type Io = Served;
    type Addr = ();

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // Nobody closes it.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        match self.waiting.recv().await {
            Some(stream) => (Served { stream, _place: place }, ()),
            // There is no way to say that none will come.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(())
    }
}

impl AsyncRead for Served {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, to)
    }
}

impl AsyncWrite for Served {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
