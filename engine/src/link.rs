//! The supervisor's end of the agent's line: a unix socket in the build's run directory.
//!
//! One thread reads the events connection and writes what it reads into the [`Recorder`], so that output costs no
//! hop; only events go on to the driver. Blobs have connections and threads of their own.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use runspan_agent_protocol as protocol;
use runspan_agent_protocol::{
    Answer, BlobReader, CarryError, End, HEADER, Hello, Kind, PROTOCOL, Purpose, Question, RecordHead, Reply,
    Request, Verb, Welcome, decode, layout, parse_header, read_frame, send_file, write_frame, write_json,
};
use runspan_archive::{ReceiveFile, ReceiveFileError, SendFile, Sent};
use tokio::sync::mpsc;

use crate::event::Event;
use crate::journal::{JournalError, Recorder};
use crate::ports::LocalService;

/// Events that may wait for the driver; a build that makes more waits itself.
const QUEUE: usize = 1024;
/// Bytes of one data frame.
const CHUNK: usize = 128 << 10;
/// An agent that does not take a request for so long is cut off, to dial again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Whoever dials and does not say who it is for so long is none of ours.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at once. Anything in the container can dial, and each costs the supervisor a thread.
const MOST_LINES: usize = 256;
/// After an error of the listener, as when no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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

/// Reads an upload; its result tells the driver what was stored.
pub type ReceiveBlob = Box<dyn FnOnce(&mut dyn ReceiveFile) + Send>;
/// Answers a question of the build's, or says why not; may take its time.
pub type Answers = Box<dyn Fn(Question) -> Result<Answer, String> + Send + Sync>;
/// Writes a download.
pub type SendBlob = Box<dyn FnOnce(&mut dyn SendFile) -> io::Result<()> + Send>;

enum Blob {
    Upload(ReceiveBlob),
    Download(SendBlob),
}

/// The line to one agent.
pub struct Link {
    shared: Arc<Shared>,
    /// What the agent tells.
    pub incoming: mpsc::Receiver<Incoming>,
    stop: Arc<UnixListener>,
}

struct Shared {
    attempt: String,
    recorder: Arc<Recorder>,
    outbox: Mutex<Outbox>,
    blobs: Mutex<HashMap<u64, Blob>>,
    service: Option<Arc<dyn LocalService>>,
    /// Held by the one thread that applies the spool.
    applying: Mutex<()>,
    driver: mpsc::Sender<Incoming>,
    answers: OnceLock<Answers>,
}

#[derive(Default)]
struct Outbox {
    stream: Option<UnixStream>,
    unanswered: BTreeMap<u64, Request>,
    /// Stops and resumes that the agent was not there for.
    orders: Vec<Request>,
    acknowledged: u64,
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
        let shared = Arc::new(Shared {
            attempt: attempt.to_owned(),
            recorder,
            outbox: Mutex::default(),
            blobs: Mutex::default(),
            service,
            applying: Mutex::default(),
            driver,
            answers: OnceLock::new(),
        });
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

impl Outbox {
    /// Whether an answer is awaited, and none to this request.
    fn waits_for_others_than(&self, request: u64) -> bool {
        !self.unanswered.is_empty() && !self.unanswered.contains_key(&request)
    }

    /// Whether it went out.
    fn write(&mut self, kind: Kind, value: &impl serde::Serialize) -> bool {
        serde_json::to_vec(value).is_ok_and(|payload| self.write_raw(kind, &payload))
    }

    fn write_raw(&mut self, kind: Kind, payload: &[u8]) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let is_sent = write_frame(stream, kind, payload).is_ok();
        if !is_sent {
            let _gone = stream.shutdown(Shutdown::Both);
            self.stream = None;
        }
        is_sent
    }
}

/// Serves whoever dials, until the listener is shut down.
fn accept(listener: &UnixListener, serve: impl Fn(UnixStream) + Clone + Send + 'static) {
    let lines = Arc::new(());
    loop {
        match listener.accept() {
            // Cut off; the agent dials again.
            Ok(_) if Arc::strong_count(&lines) > MOST_LINES => {}
            Ok((stream, _)) => {
                let (serve, line) = (serve.clone(), Arc::clone(&lines));
                // Without a thread it is cut off, too.
                let _cut = spawn("agent-line", move || {
                    serve(stream);
                    drop(line);
                });
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            Err(_) => std::thread::sleep(ACCEPT_PAUSE),
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
        let mut payload = Vec::new();
        stream.set_read_timeout(Some(HELLO_TIMEOUT))?;
        if read_frame(&mut stream, &mut payload)? != Some(Kind::Hello) {
            return Ok(());
        }
        stream.set_read_timeout(None)?;
        let hello: Hello = decode(&payload)?;
        if hello.protocol != PROTOCOL || hello.attempt != self.attempt {
            return Ok(());
        }
        match hello.purpose {
            Purpose::Events => self.serve_events(stream),
            Purpose::Upload { request } => {
                let blob = lock(&self.blobs).remove(&request);
                let receive: ReceiveBlob = match blob {
                    Some(Blob::Upload(receive)) => receive,
                    // A dead supervisor wanted it, and the agent does nothing else before it is rid of it.
                    _ if lock(&self.outbox).waits_for_others_than(request) => Box::new(|_| {}),
                    _ => return Ok(()),
                };
                let answer = stream.try_clone()?;
                let mut blob = Upload(BlobReader::new(stream));
                receive(&mut blob);
                // The sender must not find the line cut because somebody needed only the beginning.
                io::copy(&mut blob, &mut io::sink())?;
                write_json(&mut &answer, Kind::End, &End::Complete)
            }
            Purpose::Download { request } => {
                let blob = lock(&self.blobs).remove(&request);
                let Some(Blob::Download(send)) = blob else { return Ok(()) };
                let mut to = Download(BufWriter::with_capacity(CHUNK, Frames(stream)));
                let end = match send(&mut to).and_then(|()| to.flush()) {
                    Ok(()) => End::Complete,
                    Err(error) => End::Failed(error.to_string()),
                };
                let (frames, _) = to.0.into_parts();
                write_json(&mut &frames.0, Kind::End, &end)
            }
            Purpose::Ask(question) => {
                let answer = self.answers.get().map_or_else(
                    || Err("this build has nobody to ask".to_owned()),
                    |answers| answers(question),
                );
                match answer {
                    Ok(answer) => write_json(&mut stream, Kind::Data, &answer),
                    Err(reason) => write_json(&mut stream, Kind::End, &End::Failed(reason)),
                }
            }
            Purpose::Service => match &self.service {
                Some(service) => service.connect(stream),
                None => Ok(()),
            },
            Purpose::Shell { .. } => Ok(()),
        }
    }

    fn serve_events(&self, stream: UnixStream) -> io::Result<()> {
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        if let Some(old) = lock(&self.outbox).stream.take() {
            let _gone = old.shutdown(Shutdown::Both);
        }
        let _applying = lock(&self.applying);
        let mut offset = match self.recorder.settle() {
            Ok(offset) => offset,
            Err(error) => {
                self.tell(Incoming::Broken(error));
                return Ok(());
            }
        };
        {
            let mut outbox = lock(&self.outbox);
            let mut writer = stream.try_clone()?;
            write_json(&mut writer, Kind::Welcome, &Welcome { resume_from: offset })?;
            outbox.stream = Some(writer);
            outbox.acknowledged = offset;
            let unanswered: Vec<Request> = outbox.unanswered.values().cloned().collect();
            for request in &unanswered {
                outbox.write(Kind::Request, request);
            }
            for order in std::mem::take(&mut outbox.orders) {
                if !outbox.write(Kind::Request, &order) {
                    outbox.orders.push(order);
                }
            }
        }
        let mut from = BufReader::with_capacity(2 * CHUNK, stream);
        let mut payload = Vec::new();
        while let Some(kind) = read_frame(&mut from, &mut payload)? {
            offset += (HEADER + payload.len()) as u64;
            self.apply(kind, &payload, offset)?;
        }
        Ok(())
    }

    /// Writes one record into the journal, then tells the driver.
    fn apply(&self, kind: Kind, payload: &[u8], offset: u64) -> io::Result<()> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "broken record");
        let (_, body) = RecordHead::split(payload).ok_or_else(broken)?;
        let written = match kind {
            Kind::Output => self.recorder.output(body, offset),
            Kind::Event => match decode(body)? {
                protocol::Event::Done { request, result } => {
                    lock(&self.outbox).unanswered.remove(&request);
                    let written = self.recorder.reply(request, &result, offset);
                    if written.is_ok() {
                        self.tell(Incoming::Done(request, result));
                    }
                    written
                }
                event => {
                    let written = match journaled(&event) {
                        Some(event) => self.recorder.event(&event, Some(offset)),
                        None => Ok(()),
                    };
                    if written.is_ok() {
                        self.tell(Incoming::Event(event));
                    }
                    written
                }
            },
            _ => return Err(broken()),
        };
        written.map_err(|error| {
            let text = error.to_string();
            self.tell(Incoming::Broken(error));
            io::Error::other(text)
        })
    }

    fn tell(&self, incoming: Incoming) {
        // A driver that is gone needs no news.
        let _gone = self.driver.blocking_send(incoming);
    }
}

fn journaled(event: &protocol::Event) -> Option<Event> {
    use protocol::Event as E;
    Some(match event.clone() {
        E::CommandStarted { index, finally, text } => Event::CommandStarted { index, finally, command: text },
        E::CommandEnded { index, finally, exit, duration_ms } => {
            Event::CommandEnded { index, finally, exit, duration_ms }
        }
        E::StepStarted { step, name } => Event::StepStarted { step, name },
        E::StepEnded { step, name, end } => Event::StepEnded { step, name, end },
        E::Annotated { step, annotation } => Event::Annotation { step, annotation },
        E::Summarised { step, text } => Event::StepSummary { step, text },
        E::JobOutputs { outputs } => Event::JobOutputs { outputs },
        E::Paused(reason) => Event::Paused { reason },
        E::Resumed => Event::Resumed,
        E::Sample(sample) => Event::Sample(sample),
        E::Ready { .. } | E::StopAsked | E::Done { .. } => return None,
    })
}

/// A blob from the agent.
struct Upload(BlobReader);

impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl ReceiveFile for Upload {
    fn receive_file(&mut self, file: &File, bytes: u64) -> Result<(), ReceiveFileError> {
        self.0.receive_file(file, bytes).map_err(|error| match error {
            CarryError::File(error) => ReceiveFileError::File(error),
            CarryError::Line(error) => ReceiveFileError::Stream(error),
        })
    }
}

/// A blob to the agent, in frames of some size.
struct Download(BufWriter<Frames>);

struct Frames(UnixStream);

impl Write for Download {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl SendFile for Download {
    fn send_file(&mut self, file: &File, bytes: u64) -> io::Result<Sent> {
        self.flush()?;
        match send_file(&self.0.get_ref().0, file, bytes) {
            Ok(had) if had == bytes => Ok(Sent::Whole),
            Ok(_) => Ok(Sent::Shrunk),
            Err(CarryError::File(error) | CarryError::Line(error)) => Err(error),
        }
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = &bytes[..bytes.len().min(CHUNK)];
        write_frame(&mut self.0, Kind::Data, chunk)?;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_dials_too_often_is_cut_off_and_others_still_get_through() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let listener = Arc::new(UnixListener::bind(&socket).unwrap());
        let accepting = Arc::clone(&listener);
        let echo = |mut stream: UnixStream| {
            let mut byte = [0];
            let _gone = stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte));
        };
        let thread = std::thread::spawn(move || accept(&accepting, echo));
        let dial = || UnixStream::connect(&socket).unwrap();
        let is_served = || {
            let mut stream = dial();
            stream.write_all(&[7]).and_then(|()| stream.read_exact(&mut [0])).is_ok()
        };
        let silent: Vec<UnixStream> = (0..MOST_LINES).map(|_| dial()).collect();
        assert!(!is_served(), "no line is left");
        drop(silent);
        let end = std::time::Instant::now() + Duration::from_secs(30);
        while !is_served() {
            assert!(std::time::Instant::now() < end, "nobody gets through any more");
            std::thread::sleep(Duration::from_millis(5));
        }
        rustix::net::shutdown(&*listener, rustix::net::Shutdown::Both).unwrap();
        thread.join().unwrap();
    }
}
