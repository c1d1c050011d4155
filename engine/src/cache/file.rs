//! An entry in a file of its own, as it comes from and goes to an object store.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::entry::{self, Failure, Head};
use super::store::{Hit, Reader, Store};
use super::{CacheError, Copy, hex};

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// Bytes on disk, compressed.
    pub bytes: u64,
    /// SHA-256 of the archive as it was before, which is the same when nothing in it has changed.
    pub sha256: String,
    /// The copy, unless that did not succeed.
    pub copy: Option<Copy>,
}

/// Writes an entry, and a copy of it for this store.
///
/// # Errors
/// [`CacheError`]; none of the copy.
pub fn write_file(
    path: &Path,
    key: Option<&str>,
    stream: &mut dyn Read,
    copies: Option<&Store>,
) -> Result<Written, CacheError> {
    let fail = |error| CacheError::disk(path, error);
    let head = Head::new(key);
    let copy = copies.and_then(|copies| copies.begin_copy(key, head.created_ms).ok());
    let mut hashed = Hashed { from: stream, digest: Sha256::new(), copy };
    let mut file = File::create(path).map_err(fail)?;
    match entry::write(&head, &mut hashed, &mut file) {
        Ok(()) => {}
        Err(Failure::Stream(error)) => return Err(CacheError::Stream(error)),
        Err(Failure::Disk(error)) => return Err(fail(error)),
    }
    let bytes = file.metadata().map_err(fail)?.len();
    Ok(Written { bytes, sha256: hex(&hashed.digest.finalize()), copy: hashed.copy })
}

/// Writes a copy of what an entry holds; returns the SHA-256 of that.
///
/// # Errors
/// Those of both.
pub fn copy_entry(hit: &mut Hit, copy: &mut Copy) -> io::Result<String> {
    let mut hashed = Hashed { from: &mut hit.reader, digest: Sha256::new(), copy: None };
    let mut buffer = vec![0; 256 << 10];
    loop {
        match hashed.read(&mut buffer)? {
            0 => return Ok(hex(&hashed.digest.finalize())),
            read => copy.write_all(&buffer[..read])?,
        }
    }
}

/// Opens an entry that was asked for under this key.
///
/// # Errors
/// [`CacheError::Disk`], also when it is no entry.
pub fn open_file(path: &Path, asked: Option<&str>) -> Result<Hit, CacheError> {
    let fail = |error| CacheError::disk(path, error);
    let (head, reader) = entry::open(path).map_err(fail)?;
    let bytes = reader.get_ref().metadata().map_err(fail)?.len();
    // Copies are for the machine that made them.
    let head = Head { boot: None, ..head };
    let (age, created_ms) = (head.age(), head.created_ms);
    let reader = Reader::new(&head, reader).map_err(fail)?;
    Ok(Hit { asked: asked.map(str::to_owned), key: head.key, bytes, age, created_ms, reader })
}

struct Hashed<'a> {
    from: &'a mut dyn Read,
    digest: Sha256,
    copy: Option<Copy>,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.digest.update(&buffer[..read]);
        if self.copy.as_mut().is_some_and(|copy| copy.write_all(&buffer[..read]).is_err()) {
            self.copy = None;
        }
        Ok(read)
    }
}
