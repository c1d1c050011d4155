//! The jobs that run here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::grant::Grant;

/// A token is good as long as its job is here.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<Vec<Arc<Grant>>>);

impl Jobs {
    pub(crate) fn admit(&self, grant: Grant) {
        let mut all = self.lock();
        all.retain(|other| other.job != grant.job);
        all.push(Arc::new(grant));
    }

    pub(crate) fn dismiss(&self, job: &str) {
        self.lock().retain(|grant| grant.job != job);
    }

    /// Whose token this is.
    pub(crate) fn of_token(&self, token: &str) -> Option<Arc<Grant>> {
        let is_it = |grant: &&Arc<Grant>| {
            verify_slices_are_equal(grant.token.reveal().as_bytes(), token.as_bytes()).is_ok()
        };
        self.lock().iter().find(is_it).cloned()
    }

    pub(crate) fn is_here(&self, job: &str) -> bool {
        self.lock().iter().any(|grant| grant.job == job)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Grant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
