//! The supervisor's end of the agent's line: a unix socket in the build's run directory.
//!
//! One thread reads the events connection and writes what it reads into the [`Recorder`], so that output costs no
//! hop; only events go on to the driver. Blobs have connections and threads of their own.

mod accept;
mod blobs;
mod shared;

use std::fs::{File, OpenOptions};
use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use runspan_agent_protocol as protocol;
use runspan_agent_protocol::{Answer, HEADER, Kind, Question, Reply, Request, Verb, layout, parse_header};
use tokio::sync::mpsc;

use crate::journal::{JournalError, Recorder};
use crate::ports::LocalService;

use accept::{accept, spawn};
use blobs::Blob;
pub use blobs::{ReceiveBlob, SendBlob};
use shared::{Shared, lock};

/// Events that may wait for the driver; a build that makes more waits itself.
const QUEUE: usize = 1024;

/// What the line tells the driver; by then it is in the journal.
#[derive(Debug)]
pub enum Incoming {
    /// An event of the agent's, other than an answer.
    Event(protocol::Event),
    /// The answer to a request.
    Done(u64, Result<Reply, String>),
    /// The journal cannot be written, so nothing more is read.
    Broken(JournalError),
}

/// Answers a question of the build's, or says why not; may take its time.
pub type Answers = Box<dyn Fn(Question) -> Result<Answer, String> + Send + Sync>;

/// The line to one agent.
pub struct Link {
    shared: Arc<Shared>,
    /// What the agent tells.
    pub incoming: mpsc::Receiver<Incoming>,
    stop: Arc<UnixListener>,
}

impl Link {
    /// Listens in this run directory for the agent of this attempt, which may hand on connections to a service.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn listen(
        run_dir: &Path,
        attempt: &str,
        recorder: Arc<Recorder>,
        service: Option<Arc<dyn LocalService>>,
    ) -> io::Result<Self> {
        // Through the directory's descriptor, as a path may be longer than a socket address holds.
        let dir = File::open(run_dir)?;
        let path = format!("/proc/self/fd/{}/{}", dir.as_raw_fd(), layout::SUPERVISOR_SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = Arc::new(UnixListener::bind(&path)?);
        let (driver, incoming) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::new(attempt, recorder, service, driver));
        let (accepting, serving) = (Arc::clone(&listener), Arc::clone(&shared));
        // A connection that breaks is dialled again by the agent, so its error needs no reader.
        let serve = move |stream| drop(serving.serve(stream));
        spawn("agent-accept", move || accept(&accepting, serve))?;
        Ok(Self { shared, incoming, stop: listener })
    }

    /// Answers the build's questions so; before this is called, and without it, there is no answer.
    pub fn answer(&self, answers: Answers) {
        let _set_before = self.shared.answers.set(answers);
    }

    /// Sends a request, now or as soon as the agent is there, and again when it comes back before it answered.
    pub fn send(&self, request: Request) {
        let mut outbox = lock(&self.shared.outbox);
        let is_sent = outbox.write(Kind::Request, &request);
        if !matches!(request.verb, Verb::Stop(_) | Verb::Resume) {
            outbox.unanswered.insert(request.id, request);
        } else if !is_sent {
            outbox.orders.push(request);
        }
    }

    /// Takes the upload of this request when it comes.
    pub fn expect_upload(&self, request: u64, receive: ReceiveBlob) {
        lock(&self.shared.blobs).insert(request, Blob::Upload(receive));
    }

    /// Serves the download of this request when it is asked for.
    pub fn expect_download(&self, request: u64, send: SendBlob) {
        lock(&self.shared.blobs).insert(request, Blob::Download(send));
    }

    /// Takes the upload of a request when it comes for another one; `false` when it has come already.
    pub fn readdress_upload(&self, from: u64, to: u64) -> bool {
        let mut blobs = lock(&self.shared.blobs);
        let waiting = blobs.remove(&from);
        let is_waiting = waiting.is_some();
        blobs.extend(waiting.map(|blob| (to, blob)));
        is_waiting
    }

    /// Forgets a blob that will not be asked for.
    pub fn forget_blob(&self, request: u64) {
        lock(&self.shared.blobs).remove(&request);
    }

    /// Commits what was recorded and tells the agent that it may drop it.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn settle(&self) -> Result<(), JournalError> {
        let offset = self.shared.recorder.settle()?;
        let mut outbox = lock(&self.shared.outbox);
        if outbox.acknowledged != offset {
            outbox.acknowledged = offset;
            outbox.write_raw(Kind::Ack, &offset.to_le_bytes());
        }
        Ok(())
    }

    /// Reads the spool of a dead agent, on a thread of its own.
    pub fn drainer(&self) -> Drainer {
        Drainer { shared: Arc::clone(&self.shared) }
    }
}

/// Applies what a dead agent left behind.
pub struct Drainer {
    shared: Arc<Shared>,
}

impl Drainer {
    /// Applies every whole record of the spool that was not applied yet; one cut by the agent's death is left out.
    ///
    /// # Errors
    /// Those of the file; no spool at all is not one.
    pub fn drain(&self, run_dir: &Path) -> io::Result<()> {
        if let Some(stream) = &lock(&self.shared.outbox).stream {
            let _gone = stream.shutdown(Shutdown::Both);
        }
        let _applying = lock(&self.shared.applying);
        let path = run_dir.join(layout::SPOOL);
        // The container could have put anything here, so nothing is followed and only a plain file is read.
        let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
        let spool = match OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        if !spool.metadata()?.is_file() {
            return Ok(());
        }
        let mut offset = self.shared.recorder.spool_offset();
        let mut payload = Vec::new();
        loop {
            let mut head = [0; HEADER];
            if spool.read_exact_at(&mut head, offset).is_err() {
                return Ok(());
            }
            let (kind, length) = parse_header(head)?;
            payload.resize(length, 0);
            if spool.read_exact_at(&mut payload, offset + HEADER as u64).is_err() {
                return Ok(());
            }
            offset += (HEADER + length) as u64;
            self.shared.apply(kind, &payload, offset)?;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(stream) = &lock(&self.shared.outbox).stream {
            let _gone = stream.shutdown(Shutdown::Both);
        }
        let _gone = rustix::net::shutdown(&*self.stop, rustix::net::Shutdown::Both);
    }
}
