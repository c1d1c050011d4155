//! How many bytes may be on their way.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::UploadId;
use crate::error::StorageError;

/// Bytes that arrived, of each upload that is not finished.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    taken: Mutex<HashMap<UploadId, u64>>,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, taken: Mutex::default() }
    }

    /// Counts bytes that have arrived.
    pub(crate) fn take(&self, upload: UploadId, bytes: u64) -> Result<(), StorageError> {
        let mut taken = self.lock();
        if taken.values().sum::<u64>().saturating_add(bytes) > self.limit {
            return Err(StorageError::Full(format!(
                "uploads of more than {} MiB at once have no room here; the runner's operator sets it with RUNSPAN_ACTIONS_STORAGE_GIB",
                self.limit >> 20
            )));
        }
        *taken.entry(upload).or_default() += bytes;
        Ok(())
    }

    pub(crate) fn release(&self, upload: UploadId) {
        self.lock().remove(&upload);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UploadId, u64>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
