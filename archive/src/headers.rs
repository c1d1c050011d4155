//! A bound on what a tar's headers may take, for they are read into memory whole.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

/// Names, links, extensions and maps of holes of one entry together.
const MOST: u64 = 1 << 20;
const UNLIMITED: u64 = u64::MAX;

/// What may still be read as a header.
pub(crate) struct Headers(Rc<Cell<u64>>);

/// The reader that keeps to it.
pub(crate) struct Bounded<R> {
    // Smaller than what files are read by, so that only headers pass through it.
    inner: BufReader<R>,
    left: Rc<Cell<u64>>,
}

impl Headers {
    pub(crate) fn new<R: Read>(reader: R) -> (Self, Bounded<R>) {
        let left = Rc::new(Cell::new(UNLIMITED));
        (Self(Rc::clone(&left)), Bounded { inner: BufReader::with_capacity(64 << 10, reader), left })
    }

    /// Reads one entry's headers.
    pub(crate) fn limited<T>(&self, read: impl FnOnce() -> T) -> T {
        self.0.set(MOST);
        let entry = read();
        self.0.set(UNLIMITED);
        entry
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        let left = self.left.get();
        if left != UNLIMITED {
            let left = left.checked_sub(read as u64);
            self.left.set(left.ok_or_else(|| io::Error::other("an entry's headers are longer than 1 MiB"))?);
        }
        Ok(read)
    }
}
