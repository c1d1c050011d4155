//! Work begun before it is asked for, on a thread of its own.

use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// One piece of it. What it finds is used once: it may not hold for the next.
pub(crate) struct Ahead<T>(Mutex<Option<JoinHandle<T>>>);

impl<T> Default for Ahead<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Send + 'static> Ahead<T> {
    /// Begins it. Where no thread can be had it is done when it is needed.
    pub(crate) fn begin(&self, work: impl FnOnce() -> T + Send + 'static) {
        let begun = std::thread::Builder::new().name("sandbox-ahead".into()).spawn(work).ok();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = begun;
    }

    /// What came of it, waiting for its end; `None` when it was never begun, or taken before.
    pub(crate) fn take(&self) -> Option<T> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        begun.and_then(|begun| begun.join().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_ahead_is_used_once() {
        let ahead = Ahead::default();
        assert_eq!(ahead.take(), None);
        ahead.begin(|| 1);
        assert_eq!((ahead.take(), ahead.take()), (Some(1), None));
    }
}
