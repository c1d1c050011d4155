//! A build's log and events for somebody who waits for them.

use std::sync::Arc;

use runspan_engine::journal::{Journal, Position, StoredEvent};
use runspan_github::Piece;
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
    let mut follower = Follower::new(journal, uuid);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut sink = Pieces(pieces);
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
            let gone = sink.0.clone();
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

struct Pieces(mpsc::Sender<Piece>);

impl Sink for Pieces {
    fn log(&mut self, bytes: &[u8]) {
        let _gone = self.0.blocking_send(Piece::Log(bytes.to_vec()));
    }

    fn event(&mut self, event: &StoredEvent) {
        let _gone = self.0.blocking_send(Piece::Event(Box::new(event.clone())));
    }

    fn flush(&mut self) {}
}
