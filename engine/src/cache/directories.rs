//! Directories that persist from build to build.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::{CacheError, file_name};

/// Directories of `LOCAL_CUSTOM_CACHE`, one for each key.
#[derive(Clone, Debug)]
pub struct Directories {
    root: PathBuf,
}

/// A directory that is this build's alone until the lease goes.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Kept { _lock: File },
    Scratch { _directory: tempfile::TempDir },
}

impl Lease {
    /// The directory on this machine.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is written will be there for the next build.
    pub const fn is_kept(&self) -> bool {
        matches!(self.held, Held::Kept { .. })
    }
}

impl Directories {
    /// Keeps directories under `root`, made where absent.
    ///
    /// # Errors
    /// [`CacheError::Disk`].
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        fs::create_dir_all(root).map_err(|error| CacheError::disk(root, error))?;
        Ok(Self { root: root.to_owned() })
    }

    /// The directory of this key; an empty one that goes with its lease while another build has it.
    ///
    /// # Errors
    /// [`CacheError::Disk`].
    pub fn acquire(&self, key: &str) -> Result<Lease, CacheError> {
        let path = self.root.join(file_name(key));
        let fail = |error| CacheError::disk(&path, error);
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.with_extension("lock"))
            .map_err(fail)?;
        match lock.try_lock() {
            Ok(()) => {
                // Whoever invalidates looks for it.
                lock.write_all(key.as_bytes()).map_err(fail)?;
                fs::create_dir_all(&path).map_err(fail)?;
                Ok(Lease { path, held: Held::Kept { _lock: lock } })
            }
            Err(TryLockError::WouldBlock) => {
                let directory =
                    tempfile::Builder::new().prefix("scratch-").tempdir_in(&self.root).map_err(fail)?;
                Ok(Lease { path: directory.path().to_owned(), held: Held::Scratch { _directory: directory } })
            }
            Err(TryLockError::Error(error)) => Err(fail(error)),
        }
    }

    /// Empties the directories whose keys begin with this; false when a build has one of them, which stays.
    ///
    /// # Errors
    /// [`CacheError::Disk`].
    pub fn invalidate(&self, prefix: &str) -> Result<bool, CacheError> {
        let fail = |error| CacheError::disk(&self.root, error);
        let mut is_all = true;
        for entry in fs::read_dir(&self.root).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.extension().is_none_or(|extension| extension != "lock") {
                continue;
            }
            let mut lock = File::open(&path).map_err(fail)?;
            let mut key = String::new();
            lock.read_to_string(&mut key).map_err(fail)?;
            if !key.starts_with(prefix) {
                continue;
            }
            match lock.try_lock() {
                Ok(()) => match fs::remove_dir_all(path.with_extension("")) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(fail(error)),
                    _ => {}
                },
                Err(TryLockError::WouldBlock) => is_all = false,
                Err(TryLockError::Error(error)) => return Err(fail(error)),
            }
        }
        Ok(is_all)
    }
}
