//! Lists in files that only their owner can read; a change appears whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use runspan_engine::private::{self, FileLock};
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
        private::read(&self.path).map(Option::unwrap_or_default).map_err(|source| self.failed(source))
    }

    /// Changes the list while nobody else does; returns what the change says.
    pub(crate) fn change<T, R>(&self, change: impl FnOnce(&mut Vec<T>) -> R) -> Result<R, StoreError>
    where
        T: Serialize + DeserializeOwned,
    {
        let _alone =
            FileLock::wait(&self.path.with_extension("lock")).map_err(|source| self.failed(source))?;
        let mut list = self.read()?;
        let said = change(&mut list);
        serde_json::to_vec(&list)
            .map_err(io::Error::from)
            .and_then(|bytes| private::write(&self.path, &bytes))
            .map_err(|source| self.failed(source))?;
        Ok(said)
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError { path: self.path.clone(), source }
    }
}
