//! Follows a build: its log from the file, its events from the journal, in the one order they happened in.
//!
//! The build never waits for whoever looks at it: everything is read back from disk, at the reader's own pace.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use runspan_engine::Event;
use runspan_engine::journal::{Journal, JournalError, StoredEvent};

/// Bytes of the log handed on at once.
const PIECE: u64 = 256 << 10;

/// Takes what a follower finds.
pub(crate) trait Sink: Send {
    /// More of the log.
    fn log(&mut self, bytes: &[u8]);
    /// An event, after all of the log that came before it.
    fn event(&mut self, event: &StoredEvent);
    /// Nothing more is there for now.
    fn flush(&mut self);
}

/// How much of the log there is to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    /// So many bytes.
    Known(u64),
    /// What the file holds.
    OfFile,
}

/// Reads one build from its start.
pub(crate) struct Follower {
    journal: Arc<Journal>,
    uuid: String,
    log: Option<File>,
    shown: u64,
    seen: u64,
    over: bool,
    piece: Vec<u8>,
}

impl Follower {
    /// Of this build.
    pub(crate) fn new(journal: Arc<Journal>, uuid: &str) -> Self {
        Self { journal, uuid: uuid.to_owned(), log: None, shown: 0, seen: 0, over: false, piece: Vec::new() }
    }

    /// Hands on what is new; true when the build's last event was.
    ///
    /// The length must have been known before the call: an event that is written meanwhile then lies behind it.
    pub(crate) fn advance(&mut self, length: Length, sink: &mut dyn Sink) -> Result<bool, FollowError> {
        let length = match length {
            Length::Known(length) => length,
            Length::OfFile => self.log()?.map_or(Ok(0), |log| log.metadata().map(|found| found.len()))?,
        };
        loop {
            let events = self.journal.events(&self.uuid, self.seen)?;
            let Some(last) = events.last() else { break };
            self.seen = last.number;
            for event in &events {
                self.show_log(event.log_offset, sink)?;
                sink.event(event);
                self.over |= matches!(event.event, Event::Build { .. });
            }
        }
        self.show_log(length, sink)?;
        sink.flush();
        Ok(self.over)
    }

    fn show_log(&mut self, to: u64, sink: &mut dyn Sink) -> io::Result<()> {
        while self.shown < to {
            let want = (to - self.shown).min(PIECE);
            let mut piece = std::mem::take(&mut self.piece);
            piece.clear();
            let read = match self.log()? {
                Some(log) => log.take(want).read_to_end(&mut piece)?,
                None => 0,
            };
            sink.log(&piece);
            self.piece = piece;
            self.shown += read as u64;
            if read == 0 {
                break;
            }
        }
        Ok(())
    }

    fn log(&mut self) -> io::Result<Option<&File>> {
        if self.log.is_none() {
            self.log = match File::open(self.journal.home().build(&self.uuid).log()) {
                Ok(log) => Some(log),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        Ok(self.log.as_ref())
    }
}

/// Why a build cannot be followed.
#[derive(Debug)]
pub(crate) enum FollowError {
    /// The journal cannot be read.
    Journal(JournalError),
    /// The log cannot be read.
    Log(io::Error),
}

impl From<JournalError> for FollowError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<io::Error> for FollowError {
    fn from(error: io::Error) -> Self {
        Self::Log(error)
    }
}

impl From<FollowError> for crate::failure::Failure {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Journal(error) => error.into(),
            FollowError::Log(error) => Self::machine("the build's log cannot be read").because(&error),
        }
    }
}
