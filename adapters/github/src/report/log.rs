//! A log on its way to GitHub: lines with their times, in one piece when it is short and in many when it is not.

use jiff::Timestamp;

use std::time::Duration;

use tokio::time::Instant;

use crate::GitHubError;
use crate::results::{Kept, Results, Write};
use crate::retry::{Backoff, persist};

/// A log that is longer goes in pieces of this size.
const PIECE: usize = 2 << 20;
/// GitHub's files begin so.
const BOM: &[u8] = b"\xef\xbb\xbf";
/// How long a log is tried to be stored; the job's result does not wait longer for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A log that grows.
#[derive(Debug)]
pub(super) struct LogUpload {
    kept: Kept,
    pending: Vec<u8>,
    lines: u64,
    bytes: u64,
    in_pieces: bool,
    failed: bool,
}

impl LogUpload {
    pub(super) const fn new(kept: Kept) -> Self {
        Self { kept, pending: Vec::new(), lines: 0, bytes: 0, in_pieces: false, failed: false }
    }

    /// Lines so far.
    pub(super) const fn lines(&self) -> u64 {
        self.lines
    }

    /// One more line.
    pub(super) fn line(&mut self, at: Timestamp, text: &str) {
        if self.lines == 0 {
            self.pending.extend_from_slice(BOM);
        }
        let before = self.pending.len();
        // GitHub writes tenths of microseconds.
        let stamp = at.strftime("%Y-%m-%dT%H:%M:%S%.6f0Z ");
        self.pending.extend_from_slice(stamp.to_string().as_bytes());
        self.pending.extend_from_slice(text.as_bytes());
        self.pending.push(b'\n');
        self.lines += 1;
        self.bytes += (self.pending.len() - before) as u64;
    }

    /// Whether a piece is full.
    pub(super) const fn is_full(&self) -> bool {
        self.pending.len() >= PIECE
    }

    /// Sends what is there as a piece.
    pub(super) async fn send_piece(&mut self, results: &Results) -> Result<(), GitHubError> {
        let bytes = std::mem::take(&mut self.pending);
        if self.failed {
            return Ok(());
        }
        let done = self.append(results, bytes, false).await;
        // One message for a log is enough, and half of it is no log.
        self.failed = done.is_err();
        done
    }

    async fn append(&mut self, results: &Results, bytes: Vec<u8>, last: bool) -> Result<(), GitHubError> {
        if !self.in_pieces {
            store(results, self.kept, Write::Begin, Vec::new()).await?;
            self.in_pieces = true;
        }
        store(results, self.kept, Write::Append { last }, bytes).await
    }

    /// Sends the rest, and tells that the log is whole.
    pub(super) async fn finish(mut self, results: &Results) -> Result<(), GitHubError> {
        if self.lines == 0 || self.failed {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.pending);
        if self.in_pieces {
            self.append(results, bytes, true).await?;
        } else {
            store(results, self.kept, Write::Whole, bytes).await?;
        }
        told(results, self.kept, self.lines, self.bytes).await
    }
}

/// Stores a text that is there as a whole.
pub(super) async fn keep(results: &Results, kept: Kept, text: String) -> Result<(), GitHubError> {
    let (lines, bytes) = (text.lines().count() as u64, text.len() as u64);
    store(results, kept, Write::Whole, text.into_bytes()).await?;
    told(results, kept, lines, bytes).await
}

async fn store(results: &Results, kept: Kept, write: Write, bytes: Vec<u8>) -> Result<(), GitHubError> {
    // A piece whose answer was lost may be there already, and would be there twice.
    let tries = !matches!(write, Write::Append { .. });
    let until = if tries { Instant::now() + PATIENCE } else { Instant::now() };
    persist(backoff(), until, || results.store(kept, write, bytes.clone())).await
}

async fn told(results: &Results, kept: Kept, lines: u64, bytes: u64) -> Result<(), GitHubError> {
    persist(backoff(), Instant::now() + PATIENCE, || results.stored(kept, lines, bytes)).await
}

const fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(500), Duration::from_secs(10))
}
