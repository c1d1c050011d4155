//! What is said on each connection.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufReader};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use runspan_agent_protocol as protocol;
use runspan_agent_protocol::{
    End, HEADER, Hello, Kind, PROTOCOL, Purpose, RecordHead, Request, Welcome, decode, read_frame,
    write_frame, write_json,
};
use tokio::sync::mpsc;

use super::blobs::{self, Blob, ReceiveBlob};
use super::{Answers, Incoming};
use crate::event::Event;
use crate::journal::Recorder;
use crate::ports::LocalService;

/// Bytes that are read at once.
const AHEAD: usize = 256 << 10;
/// An agent that does not take a request for so long is cut off, to dial again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Whoever dials and does not say who it is for so long is none of ours.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// What all connections of a line share.
pub(super) struct Shared {
    pub(super) attempt: String,
    pub(super) recorder: Arc<Recorder>,
    pub(super) outbox: Mutex<Outbox>,
    pub(super) blobs: Mutex<HashMap<u64, Blob>>,
    pub(super) service: Option<Arc<dyn LocalService>>,
    /// Held by the one thread that applies the spool.
    pub(super) applying: Mutex<()>,
    pub(super) driver: mpsc::Sender<Incoming>,
    pub(super) answers: OnceLock<Answers>,
}

/// What goes to the agent.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) stream: Option<UnixStream>,
    pub(super) unanswered: BTreeMap<u64, Request>,
    /// Stops and resumes that the agent was not there for.
    pub(super) orders: Vec<Request>,
    pub(super) acknowledged: u64,
}

impl Shared {
    pub(super) fn new(
        attempt: &str,
        recorder: Arc<Recorder>,
        service: Option<Arc<dyn LocalService>>,
        driver: mpsc::Sender<Incoming>,
    ) -> Self {
        Self {
            attempt: attempt.to_owned(),
            recorder,
            outbox: Mutex::default(),
            blobs: Mutex::default(),
            service,
            applying: Mutex::default(),
            driver,
            answers: OnceLock::new(),
        }
    }

    pub(super) fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
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
                blobs::receive(stream, receive)
            }
            Purpose::Download { request } => {
                let blob = lock(&self.blobs).remove(&request);
                let Some(Blob::Download(send)) = blob else { return Ok(()) };
                blobs::send(stream, send)
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
        let mut from = BufReader::with_capacity(AHEAD, stream);
        let mut payload = Vec::new();
        while let Some(kind) = read_frame(&mut from, &mut payload)? {
            offset += (HEADER + payload.len()) as u64;
            self.apply(kind, &payload, offset)?;
        }
        Ok(())
    }

    /// Writes one record into the journal, then tells the driver.
    pub(super) fn apply(&self, kind: Kind, payload: &[u8], offset: u64) -> io::Result<()> {
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

impl Outbox {
    /// Whether an answer is awaited, and none to this request.
    fn waits_for_others_than(&self, request: u64) -> bool {
        !self.unanswered.is_empty() && !self.unanswered.contains_key(&request)
    }

    /// Whether it went out.
    pub(super) fn write(&mut self, kind: Kind, value: &impl serde::Serialize) -> bool {
        serde_json::to_vec(value).is_ok_and(|payload| self.write_raw(kind, &payload))
    }

    pub(super) fn write_raw(&mut self, kind: Kind, payload: &[u8]) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let is_sent = write_frame(stream, kind, payload).is_ok();
        if !is_sent {
            let _gone = stream.shutdown(Shutdown::Both);
            self.stream = None;
        }
        is_sent
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

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
