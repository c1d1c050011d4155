//! The log on stdout, as it is.

use std::io::{self, Write};

use runspan_engine::journal::StoredEvent;

use super::follow::Sink;
use super::live::Live;
use super::note;

/// Our stdout, which may be closed or full without that being the build's fault.
pub(crate) struct Stdout {
    open: bool,
}

impl Stdout {
    /// The process's.
    pub(crate) const fn new() -> Self {
        Self { open: true }
    }

    /// Writes all of it now. A reader who left is not an error; anything else is said once.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if !self.open || bytes.is_empty() {
            return;
        }
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
            self.open = false;
            if error.kind() != io::ErrorKind::BrokenPipe {
                note(&format!("warning: stdout cannot be written ({error}); the build goes on without it"));
            }
        }
    }
}

/// The log, byte for byte.
pub(crate) struct LogText {
    out: Stdout,
    live: Live,
    /// The start of a line that must not be torn by the live view, which stands on the same terminal.
    line: Vec<u8>,
}

impl LogText {
    /// Beside this live view.
    pub(crate) const fn new(live: Live) -> Self {
        Self { out: Stdout::new(), live, line: Vec::new() }
    }
}

impl Sink for LogText {
    fn log(&mut self, bytes: &[u8]) {
        if !self.live.shares_terminal() {
            self.out.write(bytes);
            return;
        }
        let (whole, rest) =
            bytes.split_at(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
        if !whole.is_empty() {
            self.line.extend_from_slice(whole);
            let lines = std::mem::take(&mut self.line);
            self.live.aside(|| self.out.write(&lines));
        }
        self.line.extend_from_slice(rest);
    }

    fn event(&mut self, event: &StoredEvent) {
        self.live.event(event);
    }

    fn flush(&mut self) {}
}

impl Drop for LogText {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut self.line);
        self.live.aside(|| self.out.write(&rest));
    }
}

/// No log.
pub(crate) struct Silence;

impl Sink for Silence {
    fn log(&mut self, _: &[u8]) {}

    fn event(&mut self, _: &StoredEvent) {}

    fn flush(&mut self) {}
}
