//! Files written on a thread of its own, while whoever unpacks reads what follows.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use crate::ArchiveError;
use crate::dress::{Attributes, Dress};

/// Bytes that go over together.
const PIECE: usize = 256 << 10;
/// Bytes that may be on their way through the pipe.
const PIPE: usize = 1 << 20;
/// Orders that may wait.
const AHEAD: usize = 24;

/// What comes of a file, in this order.
enum Order {
    Begin(File, Vec<u8>),
    Piece(Vec<u8>, usize),
    /// So many bytes come through the pipe.
    Piped(u64),
    End(Attributes),
}

/// The thread's other end.
pub(crate) struct Writer {
    orders: SyncSender<Order>,
    spare: Receiver<Vec<u8>>,
    pipe: File,
    thread: JoinHandle<Result<(), ArchiveError>>,
}

/// The writer failed; [`Writer::end`] says why.
pub(crate) struct Stopped;

impl Writer {
    /// Starts it; `None` where there can be no thread or no pipe.
    pub(crate) fn start(dress: Dress) -> Option<Self> {
        let (orders, received) = sync_channel(AHEAD);
        let (used, spare) = channel();
        let (pipe, into_pipe) = io::pipe().ok()?;
        // Else it is smaller.
        let _size = rustix::pipe::fcntl_setpipe_size(&into_pipe, PIPE);
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
                    (Order::Piped(bytes), Some((file, name))) => {
                        // When there are fewer, whoever reads has failed. By `splice`, where the file system has it.
                        io::copy(&mut (&pipe).take(bytes), file)
                            .map_err(|error| ArchiveError::disk("write", name, error))?;
                    }
                    (Order::End(attributes), Some((file, name))) => {
                        dress
                            .put_on(file, &attributes)
                            .map_err(|error| ArchiveError::disk("set the attributes of", name, error))?;
                        current = None;
                    }
                    (Order::Piece(..) | Order::Piped(_) | Order::End(_), None) => {}
                }
            }
            Ok(())
        };
        let thread = thread::Builder::new().name("unpack-write".into()).spawn(work).ok()?;
        Some(Self { orders, spare, pipe: File::from(OwnedFd::from(into_pipe)), thread })
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

    /// So many bytes follow through the pipe, which is for the caller to fill.
    pub(crate) fn piped(&self, bytes: u64) -> Result<&File, Stopped> {
        self.send(Order::Piped(bytes))?;
        Ok(&self.pipe)
    }

    pub(crate) fn dress(&self, attributes: Attributes) -> Result<(), Stopped> {
        self.send(Order::End(attributes))
    }

    fn send(&self, order: Order) -> Result<(), Stopped> {
        self.orders.send(order).map_err(|_| Stopped)
    }

    /// Waits until everything is written; an error is that of the first file that was not.
    pub(crate) fn end(self) -> Result<(), ArchiveError> {
        drop((self.orders, self.pipe));
        self.thread.join().unwrap_or_else(|_| {
            Err(ArchiveError::Stream(std::io::Error::other("the thread that writes files died")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Owner;

    fn writer() -> Writer {
        Writer::start(Dress { owner: Owner::Unpacker, mode_mask: 0o777, privileged: false }).unwrap()
    }

    #[test]
    fn whoever_fills_the_pipe_of_a_file_that_takes_nothing_is_not_kept_waiting() {
        let writer = writer();
        let full = File::options().write(true).open("/dev/full").unwrap();
        assert!(writer.begin(full, b"full").is_ok());
        let Ok(mut pipe) = writer.piped(8 << 20) else { panic!("it has stopped early") };
        let gone = pipe.write_all(&vec![0; 8 << 20]).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
        assert!(writer.end().unwrap_err().is_disk_full());
    }

    #[test]
    fn a_pipe_that_is_not_filled_ends_with_whoever_was_to_fill_it() {
        let writer = writer();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("short");
        assert!(writer.begin(File::create(&path).unwrap(), b"short").is_ok());
        let Ok(mut pipe) = writer.piped(100) else { panic!("it has stopped early") };
        pipe.write_all(b"not a hundred").unwrap();
        writer.end().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"not a hundred");
    }
}
