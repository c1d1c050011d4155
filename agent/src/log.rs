//! The one door to the spool: output of commands, the agent's own lines, events; all masked, all in order.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runspan_agent_protocol::{Annotation, Event, Exit, Kind, PhaseEnd, Reply, Secret, StepId};

use crate::clock;
use crate::error::AgentError;
use crate::mask::{Mask, StreamMask};
use crate::spool::{HEAD, Writer};
use crate::steps::{Effects, Filter, Sink, fault};

/// Output is read and framed in pieces of at most this size.
const PIECE: usize = 128 << 10;

/// The log and the events of the attempt.
#[derive(Debug)]
pub(crate) struct Log(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    writer: Writer,
    mask: Option<StreamMask>,
    /// What the mask hides.
    secrets: Vec<Secret>,
    /// The commands of the step that runs.
    filter: Option<Filter>,
    /// [`HEAD`] bytes of room and a piece of output.
    raw: Vec<u8>,
    /// [`HEAD`] bytes of room and what is being framed.
    frame: Vec<u8>,
    /// The last line of output has no end yet.
    line_open: bool,
    /// A command ran since the last agent line.
    after_command: bool,
    /// Bytes of output that a full disk cost.
    lost: u64,
}

impl Log {
    /// A log into this spool.
    pub(crate) fn new(writer: Writer) -> Self {
        Self(Mutex::new(Inner {
            writer,
            mask: None,
            secrets: Vec::new(),
            filter: None,
            raw: vec![0; HEAD + PIECE],
            frame: vec![0; HEAD],
            line_open: false,
            after_command: false,
            lost: 0,
        }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, these are masked as well.
    pub(crate) fn add_secrets(&self, secrets: &[Secret]) -> Result<(), AgentError> {
        self.inner().add_secrets(secrets)
    }

    /// Texts as they would be shown.
    pub(crate) fn masked(&self, texts: &[Secret]) -> Vec<String> {
        let inner = self.inner();
        let mask = |text: &Secret| match &inner.mask {
            Some(mask) => mask.mask().text(text.reveal()).into_owned(),
            None => text.reveal().to_owned(),
        };
        texts.iter().map(mask).collect()
    }

    /// The output from now on is that of a step.
    pub(crate) fn begin_step(&self, filter: Filter) {
        self.inner().filter = Some(filter);
    }

    /// The step is over: what its commands set.
    pub(crate) fn end_step(&self) -> Effects {
        let mut inner = self.inner();
        let filter = inner.filter.take();
        filter.map(|filter| filter.finish(&mut *inner)).unwrap_or_default()
    }

    /// Writes down what a step did wrong, and annotates it.
    pub(crate) fn step_faults(&self, step: Option<StepId>, faults: &[String]) {
        for message in faults {
            self.line(message);
            if let Some(step) = step {
                self.event(fault(step, message));
            }
        }
    }

    /// Reads once from the commands' pipe, up to `limit` bytes, and writes it. Reading and writing are one step,
    /// so who has read the pipe empty knows that everything in it is in the log.
    pub(crate) fn read_output(&self, pipe: impl AsFd, limit: usize) -> rustix::io::Result<usize> {
        let mut inner = self.inner();
        let room = HEAD + limit.min(PIECE);
        let read = rustix::io::read(pipe, &mut inner.raw[HEAD..room])?;
        inner.output(read);
        Ok(read)
    }

    /// Writes one line of the agent's own.
    pub(crate) fn line(&self, text: &str) {
        self.inner().line(text, false);
    }

    /// Announces a command: an empty line, then `Running command`.
    pub(crate) fn running(&self, text: &str) {
        self.inner().line(&format!("Running command {}", text.trim_end_matches('\n')), true);
    }

    /// A command is over: the next line of ours stands apart from its output.
    pub(crate) fn command_over(&self) {
        self.inner().after_command = true;
    }

    /// Nothing will be printed any more: shows what the mask kept back.
    pub(crate) fn end_output(&self) {
        self.inner().flush_held();
    }

    /// Writes an event. Its texts are masked, except replies that the engine goes on working with.
    ///
    /// What the mask keeps back stays back: output on both sides of an event is one text to its readers, and a
    /// secret may lie across it. Only a line of our own parts it.
    pub(crate) fn event(&self, event: Event) {
        self.inner().event(event);
    }
}

impl Sink for Inner {
    fn show(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            self.frame.truncate(HEAD);
            match &mut self.mask {
                Some(mask) => mask.push(piece, &mut self.frame),
                None => self.frame.extend_from_slice(piece),
            }
            self.write_frame();
        }
    }

    fn mask(&mut self, secret: Secret) -> Result<(), String> {
        self.add_secrets(&[secret]).map_err(|error| error.to_string())
    }

    fn tell(&mut self, event: Event) {
        self.event(event);
    }
}

impl Inner {
    fn add_secrets(&mut self, secrets: &[Secret]) -> Result<(), AgentError> {
        if secrets.is_empty() {
            return Ok(());
        }
        self.secrets.extend_from_slice(secrets);
        if let Some(mask) = Mask::new(&self.secrets)?.map(Arc::new) {
            match &mut self.mask {
                Some(stream) => stream.replace_mask(mask),
                None => self.mask = Some(StreamMask::new(mask)),
            }
        }
        Ok(())
    }

    fn event(&mut self, mut event: Event) {
        self.tell_loss();
        if let Some(mask) = &self.mask {
            mask_event(&mut event, mask.mask());
        }
        self.frame.truncate(HEAD);
        if let Err(error) = serde_json::to_writer(&mut self.frame, &event) {
            // Our own types always become JSON; a reader would see an event that it cannot decode.
            eprintln!("runspan-agent: cannot encode an event: {error}");
        }
        let Self { writer, frame, .. } = self;
        writer.append(Kind::Event, frame);
    }

    /// Writes the first bytes of `raw`.
    fn output(&mut self, length: usize) {
        if let Some(mut filter) = self.filter.take() {
            let raw = std::mem::take(&mut self.raw);
            filter.push(&raw[HEAD..HEAD + length], self);
            self.raw = raw;
            self.filter = Some(filter);
            return;
        }
        let Some(mask) = &mut self.mask else {
            if length > 0 {
                self.line_open = self.raw[HEAD + length - 1] != b'\n';
                if self.writer.append_output(&mut self.raw[..HEAD + length]).is_err() {
                    self.lost += length as u64;
                }
            }
            return;
        };
        self.frame.truncate(HEAD);
        mask.push(&self.raw[HEAD..HEAD + length], &mut self.frame);
        self.write_frame();
    }

    /// Shows what the mask kept back: a line of ours follows, or nothing, so it cannot become a secret any more.
    fn flush_held(&mut self) {
        if let Some(mask) = &mut self.mask {
            self.frame.truncate(HEAD);
            mask.flush(&mut self.frame);
            self.write_frame();
        }
    }

    fn write_frame(&mut self) {
        if self.frame.len() > HEAD {
            self.line_open = self.frame.last() != Some(&b'\n');
            if self.writer.append_output(&mut self.frame).is_err() {
                self.lost += (self.frame.len() - HEAD) as u64;
            }
        }
    }

    fn line(&mut self, text: &str, apart: bool) {
        self.flush_held();
        self.tell_loss();
        self.frame.truncate(HEAD);
        if self.line_open {
            self.frame.push(b'\n');
        }
        if apart || self.after_command {
            self.frame.push(b'\n');
        }
        self.push_line(text);
    }

    fn push_line(&mut self, text: &str) {
        clock::push_prefix(&mut self.frame, clock::now_us());
        match &self.mask {
            Some(mask) => self.frame.extend_from_slice(mask.mask().text(text).as_bytes()),
            None => self.frame.extend_from_slice(text.as_bytes()),
        }
        self.frame.push(b'\n');
        (self.line_open, self.after_command) = (false, false);
        self.writer.append(Kind::Output, &mut self.frame);
    }

    fn tell_loss(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            self.frame.truncate(HEAD);
            if self.line_open {
                self.frame.push(b'\n');
            }
            self.push_line(&format!(
                "{lost} bytes of output are missing here: no space was left on the disk that holds the log"
            ));
        }
    }
}

fn mask_event(event: &mut Event, mask: &Mask) {
    let hide = |text: &mut String| {
        if let std::borrow::Cow::Owned(masked) = mask.text(text) {
            *text = masked;
        }
    };
    let hide_exit = |exit: &mut Exit| {
        if let Exit::NotStarted(reason) = exit {
            hide(reason);
        }
    };
    match event {
        Event::StepStarted { name, .. } => hide(name),
        Event::StepEnded { name, end, .. } => {
            hide(name);
            end.outputs.values_mut().for_each(hide);
        }
        Event::Annotated { annotation, .. } => {
            let Annotation { message, title, file, .. } = annotation;
            [Some(message), title.as_mut(), file.as_mut()].into_iter().flatten().for_each(hide);
        }
        Event::Summarised { text, .. } => hide(text),
        Event::JobOutputs { outputs } => outputs.values_mut().for_each(hide),
        Event::CommandStarted { text, .. } => hide(text),
        Event::CommandEnded { exit, .. } => hide_exit(exit),
        Event::Done { result, .. } => match result {
            Err(text) => hide(text),
            Ok(Reply::Phase(PhaseEnd::Failed { command, exit })) => {
                hide(command);
                hide_exit(exit);
            }
            Ok(Reply::Collected(collected)) => {
                collected.unmatched.iter_mut().chain(&mut collected.warnings).for_each(hide);
            }
            // The engine works with these values; it knows what is secret in them.
            Ok(Reply::Variables(_) | Reply::Texts(_) | Reply::File(_)) => {}
            Ok(Reply::Step(report)) => {
                hide_exit(&mut report.exit);
                report.faults.iter_mut().for_each(hide);
            }
            Ok(Reply::Nothing | Reply::Unpacked { .. } | Reply::Phase(_)) => {}
        },
        Event::Ready { .. } | Event::StopAsked | Event::Paused(_) | Event::Resumed | Event::Sample(_) => {}
    }
}
