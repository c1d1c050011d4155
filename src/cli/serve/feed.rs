//! A build's log and events for somebody who waits for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runspan_engine::Event;
use runspan_engine::build::Build;
use runspan_engine::journal::{Journal, Position, StoredEvent};
use runspan_github::Piece;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::console::{Follower, Length, Sink};

/// Pieces on their way; the build does not wait for whoever reads them, but its reader does.
const ROOM: usize = 16;

/// Follows a build from its beginning; a build that is over has no position.
pub(super) fn feed(
    journal: Arc<Journal>,
    uuid: &str,
    position: Option<watch::Receiver<Position>>,
) -> mpsc::Receiver<Piece> {
    let (pieces, feed) = mpsc::channel(ROOM);
    let reports = journal.home().build(uuid).reports();
    let mut follower = Follower::new(journal, uuid);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut sink = Pieces { to: pieces, reports };
        let Some(mut position) = position else {
            // What cannot be read is not told; the reader sees that the build's end is missing.
            let _unread = follower.advance(Length::OfFile, &mut sink);
            return;
        };
        loop {
            let now = *position.borrow_and_update();
            match follower.advance(Length::Known(now.log), &mut sink) {
                Ok(false) => {}
                Ok(true) | Err(_) => return,
            }
            let gone = sink.to.clone();
            let more = runtime.block_on(async {
                tokio::select! {
                    changed = position.changed() => changed.is_ok(),
                    () = gone.closed() => false,
                }
            });
            if !more {
                let last = position.borrow().log;
                let _unread = follower.advance(Length::Known(last), &mut sink);
                return;
            }
        }
    });
    feed
}

struct Pieces {
    to: mpsc::Sender<Piece>,
    /// Where the build's reports are.
    reports: PathBuf,
}

impl Pieces {
    fn send(&self, piece: Piece) {
        let _gone = self.to.blocking_send(piece);
    }
}

impl Sink for Pieces {
    fn log(&mut self, bytes: &[u8]) {
        self.send(Piece::Log(bytes.to_vec()));
    }

    fn event(&mut self, event: &StoredEvent) {
        if let Event::Build { build } = &event.event {
            reports(&self.reports, build).into_iter().for_each(|report| self.send(Piece::Report(report)));
        }
        self.send(Piece::Event(Box::new(event.clone())));
    }

    fn flush(&mut self) {}
}

/// The build's reports, in its order, with all that their files say.
fn reports(directory: &Path, build: &Build) -> Vec<Value> {
    if build.report_arns.is_empty() {
        return Vec::new();
    }
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<(usize, Value)> = files
        .filter_map(|file| {
            let report: Value = serde_json::from_slice(&fs::read(file.path()).ok()?).ok()?;
            let arn = report["report"]["arn"].as_str()?;
            Some((build.report_arns.iter().position(|known| known == arn)?, report))
        })
        .collect();
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, report)| report).collect()
}
