//! The line to the supervisor: the spool goes out, requests and acknowledgements come in.

use std::collections::HashSet;
use std::io::{self, Read as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use runspan_agent_protocol::{
    Hello, Kind, PROTOCOL, Purpose, Request, Stop, StopReason, Verb, Welcome, decode, read_frame, write_json,
};
use rustix::fs::sendfile;

use crate::shared::Shared;

const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_millis(250);
/// How long we wait for a supervisor that has not told us how long to wait.
const FIRST_ORPHAN_SECONDS: u64 = 300;
/// Bytes given to one `sendfile`.
const SEND: u64 = 1 << 20;
/// A supervisor that does not answer a greeting is no supervisor.
const GREETING_TIME: Duration = Duration::from_secs(30);

/// What the line tells the main thread.
#[derive(Debug)]
pub(crate) enum Message {
    /// Carry this out.
    Request(Request),
    /// Nobody came back for this many seconds.
    Orphaned(u64),
}

/// The line to the supervisor.
#[derive(Debug)]
pub(crate) struct Link {
    shared: Arc<Shared>,
    messages: Sender<Message>,
    orphan_seconds: Arc<AtomicU64>,
    /// Ids of all requests seen: one that comes again is a repetition. They need not grow, as a supervisor that takes
    /// another one's place may want something again before what that one had asked for last.
    seen: Mutex<HashSet<u64>>,
}

impl Link {
    /// Starts the line's thread. The returned number is how long, in seconds, to wait for a lost supervisor.
    pub(crate) fn start(shared: Arc<Shared>, messages: Sender<Message>) -> io::Result<Arc<AtomicU64>> {
        let orphan_seconds = Arc::new(AtomicU64::new(FIRST_ORPHAN_SECONDS));
        let link =
            Self { shared, messages, orphan_seconds: Arc::clone(&orphan_seconds), seen: Mutex::default() };
        std::thread::Builder::new().name("link".into()).spawn(move || link.run())?;
        Ok(orphan_seconds)
    }

    fn run(&self) {
        let mut last_seen = Instant::now();
        let mut retry = FIRST_RETRY;
        loop {
            if let Ok((stream, welcome)) = self.greet() {
                retry = FIRST_RETRY;
                self.serve(&stream, welcome.resume_from);
                last_seen = Instant::now();
            }
            let patience = self.orphan_seconds.load(Ordering::Relaxed);
            if last_seen.elapsed() >= Duration::from_secs(patience) {
                self.shared.control.stop(u64::MAX, Stop { reason: StopReason::Stopped, grace_ms: 0 });
                self.shared.processes.wake();
                self.shared.spool.abandon();
                let _ = self.messages.send(Message::Orphaned(patience));
                return;
            }
            std::thread::sleep(retry);
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    fn greet(&self) -> io::Result<(UnixStream, Welcome)> {
        let mut stream = dial(&self.shared, Purpose::Events)?;
        stream.set_read_timeout(Some(GREETING_TIME))?;
        let mut payload = Vec::new();
        let welcome: Welcome = match read_frame(&mut stream, &mut payload)? {
            Some(Kind::Welcome) => decode(&payload)?,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        stream.set_read_timeout(None)?;
        if !self.shared.spool.holds(welcome.resume_from) {
            return Err(io::Error::other("the supervisor asks for bytes that it has acknowledged"));
        }
        Ok((stream, welcome))
    }

    /// Serves one connection until it breaks.
    fn serve(&self, stream: &UnixStream, from: u64) {
        let broken = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = self.receive(stream);
                broken.store(true, Ordering::Release);
                self.shared.spool.wake();
            });
            let _ = self.send(stream, from, &broken);
            let _ = stream.shutdown(Shutdown::Both);
        });
    }

    fn send(&self, stream: &UnixStream, from: u64, broken: &AtomicBool) -> io::Result<()> {
        let spool = &self.shared.spool;
        let mut sent = from;
        while let Some(end) = spool.wait_beyond(sent, || broken.load(Ordering::Acquire)) {
            while sent < end {
                // The kernel moves `sent` on.
                let piece = usize::try_from((end - sent).min(SEND)).unwrap_or(usize::MAX);
                match sendfile(stream, spool.file(), Some(&mut sent), piece) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn receive(&self, stream: &UnixStream) -> io::Result<()> {
        let mut from = io::BufReader::new(stream);
        let mut payload = Vec::new();
        while let Some(kind) = read_frame(&mut from, &mut payload)? {
            match kind {
                Kind::Ack => {
                    let mut offset = [0; 8];
                    payload.as_slice().read_exact(&mut offset)?;
                    self.shared.spool.acknowledge(u64::from_le_bytes(offset));
                }
                Kind::Request => self.take(decode(&payload)?),
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        Ok(())
    }

    fn take(&self, request: Request) {
        if !self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(request.id) {
            return;
        }
        match request.verb {
            Verb::Stop(stop) => {
                self.shared.control.stop(request.id, stop);
                self.shared.processes.wake();
            }
            Verb::Resume => self.shared.control.resume(),
            _ => {
                // The main thread is gone only when the agent is.
                let _ = self.messages.send(Message::Request(request));
            }
        }
    }
}

/// Opens a connection to the supervisor.
pub(crate) fn dial(shared: &Shared, purpose: Purpose) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(shared.layout.supervisor_socket())?;
    let hello = Hello { protocol: PROTOCOL, attempt: shared.attempt.clone(), purpose };
    write_json(&mut stream, Kind::Hello, &hello)?;
    Ok(stream)
}
