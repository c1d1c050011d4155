//! An entry in a file of its own, as it comes from and goes to an object store.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::entry::{self, Failure, Head};
use super::store::{Hit, Reader};
use super::{CacheError, hex};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes on disk, compressed.
    pub bytes: u64,
    /// SHA-256 of the archive as it was before, which is the same when nothing in it has changed.
    pub sha256: String,
}

/// Writes an entry.
///
/// # Errors
/// [`CacheError`].
pub fn write_file(path: &Path, key: Option<&str>, stream: &mut dyn Read) -> Result<Written, CacheError> {
    let fail = |error| CacheError::disk(path, error);
    let mut hashed = Hashed { from: stream, digest: Sha256::new() };
    let mut file = File::create(path).map_err(fail)?;
    match entry::write(&Head::new(key), &mut hashed, &mut file) {
        Ok(()) => {}
        Err(Failure::Stream(error)) => return Err(CacheError::Stream(error)),
        Err(Failure::Disk(error)) => return Err(fail(error)),
    }
    let bytes = file.metadata().map_err(fail)?.len();
    Ok(Written { bytes, sha256: hex(&hashed.digest.finalize()) })
}

/// Opens an entry that was asked for under this key.
///
/// # Errors
/// [`CacheError::Disk`], also when it is no entry.
pub fn open_file(path: &Path, asked: Option<&str>) -> Result<Hit, CacheError> {
    let fail = |error| CacheError::disk(path, error);
    let (head, reader) = entry::open(path).map_err(fail)?;
    let bytes = reader.get_ref().metadata().map_err(fail)?.len();
    let age = head.age();
    let reader = Reader::new(reader).map_err(fail)?;
    Ok(Hit { asked: asked.map(str::to_owned), key: head.key, bytes, age, reader })
}

struct Hashed<'a> {
    from: &'a mut dyn Read,
    digest: Sha256,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}
