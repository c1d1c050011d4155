//! Copies of archives that are kept elsewhere, found by the sum of what is in them, so that nothing comes twice.
//!
//! They are not compressed, and share the store's room with its entries.

use std::fs;
use std::io::{self, Write};

use tempfile::NamedTempFile;

use super::entry::Head;
use super::{CacheError, Hit, Slot, Store};

/// A copy on its way into the store; dropped, it is forgotten.
#[derive(Debug)]
pub struct Copy {
    file: NamedTempFile,
    left: u64,
}

impl Store {
    /// The copy of an archive of this sum that came from there.
    ///
    /// # Errors
    /// [`CacheError::Disk`].
    pub fn copy_of(&self, from: &str, sum: &str, asked: Option<&str>) -> Result<Option<Hit>, CacheError> {
        Self::hit(&self.path(&slot(from), Some(sum)), asked)
    }

    /// Begins a copy of an entry with this key.
    ///
    /// # Errors
    /// [`CacheError::Disk`].
    pub fn begin_copy(&self, key: Option<&str>, created_ms: u64) -> Result<Copy, CacheError> {
        let path = self.temporary();
        let fail = |error| CacheError::disk(&path, error);
        let file = NamedTempFile::new_in(&path).map_err(fail)?;
        file.as_file().lock().map_err(fail)?;
        Head::of_copy(key, created_ms).and_then(|head| head.write(&mut file.as_file())).map_err(fail)?;
        Ok(Copy { file, left: self.max_bytes })
    }

    /// Keeps a whole copy of what came from there and has this sum, then evicts as [`Store::put`] does.
    ///
    /// # Errors
    /// [`CacheError::Disk`].
    pub fn end_copy(&self, copy: Copy, from: &str, sum: &str) -> Result<(), CacheError> {
        let slot = slot(from);
        let path = self.path(&slot, Some(sum));
        fs::create_dir_all(self.directory(&slot)).map_err(|error| CacheError::disk(&path, error))?;
        copy.file.persist(&path).map_err(|error| CacheError::disk(&path, error.error))?;
        self.evict()
    }
}

/// Apart from every slot of a project, whose versions are sums of paths.
fn slot(from: &str) -> Slot {
    Slot { namespace: from.to_owned(), version: "copies".to_owned() }
}

impl Write for Copy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.file.as_file_mut().write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
