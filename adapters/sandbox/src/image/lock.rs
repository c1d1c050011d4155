//! Locks between processes, which the kernel gives back however their holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a lock that another process has is tried again.
const AGAIN: Duration = Duration::from_millis(2);

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Lock(File);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Shared,
    Exclusive,
}

impl Lock {
    /// Takes the lock at this path when nobody is in the way.
    pub(super) fn try_at(path: &Path, mode: Mode) -> io::Result<Option<Self>> {
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            let Some(lock) = Self::try_on(file, mode)? else { return Ok(None) };
            // Who had it before may have removed the file with it.
            if lock.0.metadata()?.nlink() > 0 {
                return Ok(Some(lock));
            }
        }
    }

    /// Takes the lock on an open file or directory when nobody is in the way.
    pub(super) fn try_on(file: File, mode: Mode) -> io::Result<Option<Self>> {
        let tried = match mode {
            Mode::Shared => file.try_lock_shared(),
            Mode::Exclusive => file.try_lock(),
        };
        match tried {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes the lock at this path, waiting for whoever has it; for locks that are held for moments.
    pub(super) fn wait_at(path: &Path, mode: Mode) -> io::Result<Self> {
        loop {
            match Self::try_at(path, mode)? {
                Some(lock) => return Ok(lock),
                None => std::thread::sleep(AGAIN),
            }
        }
    }

    /// Makes an exclusive lock a shared one. Another process may have it exclusively in between.
    pub(super) fn share(self) -> io::Result<Option<Self>> {
        Self::try_on(self.0, Mode::Shared)
    }
}

/// The right to use an image's layers, across processes: a shared `flock`, which the kernel gives back when its holder
/// is gone. Another process keeps the layers too once it has a shared lock on the same file.
#[derive(Debug)]
pub struct Lease(Option<(Lock, PathBuf)>);

impl Lease {
    pub(super) const fn on(lock: Lock, path: PathBuf) -> Self {
        Self(Some((lock, path)))
    }

    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// The file that is locked; none for a plain directory, which nobody evicts.
    pub fn path(&self) -> Option<&Path> {
        self.0.as_ref().map(|(_, path)| path.as_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_and_writers_do_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let first = Lock::try_at(&path, Mode::Shared).unwrap();
        let second = Lock::try_at(&path, Mode::Shared).unwrap();
        assert!(first.is_some() && second.is_some());
        assert!(Lock::try_at(&path, Mode::Exclusive).unwrap().is_none());
        drop((first, second));
        let only = Lock::try_at(&path, Mode::Exclusive).unwrap().unwrap();
        assert!(Lock::try_at(&path, Mode::Shared).unwrap().is_none());
        let shared = only.share().unwrap();
        assert!(shared.is_some() && Lock::try_at(&path, Mode::Shared).unwrap().is_some());
    }
}
