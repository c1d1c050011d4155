//! What a tar reader reads: it may not take much into memory for headers, and files may be read past it.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::rc::Rc;

use crate::{ReceiveFile, ReceiveFileError};

/// Names, links, extensions and maps of holes of one entry together, for they are read into memory whole.
const MOST: u64 = 1 << 20;
const UNLIMITED: u64 = u64::MAX;

/// A stream that two may read.
pub(crate) struct Stream<R>(Rc<RefCell<Inner<R>>>);

struct Inner<R> {
    // Smaller than what files are read by, so that only headers pass through it.
    from: BufReader<R>,
    /// What may still be read as a header.
    left: u64,
    /// Bytes that are in their file already, and that the tar reader has yet to pass over.
    past: u64,
}

impl<R: Read> Stream<R> {
    pub(crate) fn new(reader: R) -> Self {
        let from = BufReader::with_capacity(64 << 10, reader);
        Self(Rc::new(RefCell::new(Inner { from, left: UNLIMITED, past: 0 })))
    }

    /// Another reader of the same stream.
    pub(crate) fn share(&self) -> Self {
        Self(Rc::clone(&self.0))
    }

    /// Reads one entry's headers.
    pub(crate) fn limited<T>(&self, read: impl FnOnce() -> T) -> T {
        self.0.borrow_mut().left = MOST;
        let entry = read();
        self.0.borrow_mut().left = UNLIMITED;
        entry
    }
}

impl<R: ReceiveFile> Stream<R> {
    /// Reads so many bytes, those of the entry at hand, into a file. The tar reader finds as many that mean nothing.
    pub(crate) fn receive_file(&self, mut file: &File, bytes: u64) -> Result<(), ReceiveFileError> {
        let inner = &mut *self.0.borrow_mut();
        let ahead = inner.from.buffer();
        let ahead = &ahead[..ahead.len().min(usize::try_from(bytes).unwrap_or(usize::MAX))];
        file.write_all(ahead).map_err(ReceiveFileError::File)?;
        let length = ahead.len();
        inner.from.consume(length);
        inner.from.get_mut().receive_file(file, bytes - length as u64)?;
        inner.past += bytes;
        Ok(())
    }
}

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let inner = &mut *self.0.borrow_mut();
        if inner.past > 0 {
            let passed = into.len().min(usize::try_from(inner.past).unwrap_or(usize::MAX));
            inner.past -= passed as u64;
            return Ok(passed);
        }
        let read = inner.from.read(into)?;
        if inner.left != UNLIMITED {
            let left = inner.left.checked_sub(read as u64);
            inner.left = left.ok_or_else(|| io::Error::other("an entry's headers are longer than 1 MiB"))?;
        }
        Ok(read)
    }
}
