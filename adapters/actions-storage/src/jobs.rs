//! The jobs that run here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::grant::Grant;

/// By their ids. A token is good as long as its job is here.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<HashMap<String, Arc<Grant>>>);

impl Jobs {
    pub(crate) fn admit(&self, grant: Grant) {
        self.lock().insert(grant.job.clone(), Arc::new(grant));
    }

    pub(crate) fn dismiss(&self, job: &str) {
        self.lock().remove(job);
    }

    pub(crate) fn get(&self, job: &str) -> Option<Arc<Grant>> {
        self.lock().get(job).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Grant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
