//! Files written on a thread of its own, while whoever unpacks reads what follows.

use std::fs::File;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use crate::ArchiveError;
use crate::dress::{Attributes, Dress};

/// Bytes that go over together.
const PIECE: usize = 256 << 10;
/// Orders that may wait.
const AHEAD: usize = 24;

/// What comes of a file, in this order.
enum Order {
    Begin(File, Vec<u8>),
    Piece(Vec<u8>, usize),
    End(Attributes),
}

/// The thread's other end.
pub(crate) struct Writer {
    orders: SyncSender<Order>,
    spare: Receiver<Vec<u8>>,
    thread: JoinHandle<Result<(), ArchiveError>>,
}

/// The writer failed; [`Writer::end`] says why.
pub(crate) struct Stopped;

impl Writer {
    /// Starts it; `None` where there can be no thread.
    pub(crate) fn start(dress: Dress) -> Option<Self> {
        let (orders, received) = sync_channel(AHEAD);
        let (used, spare) = channel();
        let work = move || {
            let mut current: Option<(File, Vec<u8>)> = None;
            for order in received {
                match (order, &mut current) {
                    (Order::Begin(file, name), current) => *current = Some((file, name)),
                    (Order::Piece(bytes, length), Some((file, name))) => {
                        file.write_all(&bytes[..length])
                            .map_err(|error| ArchiveError::disk("write", name, error))?;
                        // Whoever reads may be through.
                        let _unwanted = used.send(bytes);
                    }
                    (Order::End(attributes), Some((file, name))) => {
                        dress
                            .put_on(file, &attributes)
                            .map_err(|error| ArchiveError::disk("set the attributes of", name, error))?;
                        current = None;
                    }
                    (Order::Piece(..) | Order::End(_), None) => {}
                }
            }
            Ok(())
        };
        let thread = thread::Builder::new().name("unpack-write".into()).spawn(work).ok()?;
        Some(Self { orders, spare, thread })
    }

    /// An empty piece, to be filled.
    pub(crate) fn piece(&self) -> Vec<u8> {
        self.spare.try_recv().unwrap_or_else(|_| vec![0; PIECE])
    }

    pub(crate) fn begin(&self, file: File, name: &[u8]) -> Result<(), Stopped> {
        self.send(Order::Begin(file, name.to_vec()))
    }

    pub(crate) fn write(&self, piece: Vec<u8>, length: usize) -> Result<(), Stopped> {
        self.send(Order::Piece(piece, length))
    }

    pub(crate) fn dress(&self, attributes: Attributes) -> Result<(), Stopped> {
        self.send(Order::End(attributes))
    }

    fn send(&self, order: Order) -> Result<(), Stopped> {
        self.orders.send(order).map_err(|_| Stopped)
    }

    /// Waits until everything is written; an error is that of the first file that was not.
    pub(crate) fn end(self) -> Result<(), ArchiveError> {
        drop(self.orders);
        self.thread.join().unwrap_or_else(|_| {
            Err(ArchiveError::Stream(std::io::Error::other("the thread that writes files died")))
        })
    }
}
