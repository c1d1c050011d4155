//! Lists in files that only their owner can read; a change appears whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;

/// A list in a file; no file is an empty one.
#[derive(Clone, Debug)]
pub(crate) struct PrivateFile {
    path: PathBuf,
}

impl PrivateFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<Vec<T>, StoreError> {
        match fs::read(&self.path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(io::Error::from).map_err(|source| self.failed(source))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Changes the list while nobody else does; returns what the change says.
    pub(crate) fn change<T, R>(&self, change: impl FnOnce(&mut Vec<T>) -> R) -> Result<R, StoreError>
    where
        T: Serialize + DeserializeOwned,
    {
        let open =
            |path: &Path| OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
        let alone = open(&self.path.with_extension("lock")).map_err(|source| self.failed(source))?;
        alone.lock().map_err(|source| self.failed(source))?;
        let mut list = self.read()?;
        let said = change(&mut list);
        let write = || -> io::Result<()> {
            let next = self.path.with_extension("new");
            let mut file = open(&next)?;
            file.set_len(0)?;
            file.write_all(&serde_json::to_vec(&list)?)?;
            file.sync_all()?;
            fs::rename(&next, &self.path)
        };
        write().map_err(|source| self.failed(source))?;
        Ok(said)
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError { path: self.path.clone(), source }
    }
}
