//! Work begun before it is asked for, on threads of its own.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::process::Child;
use tokio::runtime::Handle;

use crate::cgroup::Hierarchy;
use crate::host::{self, Shown};
use crate::network::{Networks, OpenNetworks};
use crate::placing::first_process;

/// What the first sandbox of the machine's own root would have to wait for, and networks.
pub struct WarmUp {
    pub(crate) networks: Networks,
    /// What is shown of that root.
    pub(crate) shown: Ahead<io::Result<Vec<Shown>>>,
    /// A first process that waits for its orders.
    pub(crate) first: Ahead<io::Result<Child>>,
}

/// The root that the first sandbox probably has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The machine's own.
    Host,
    /// An image's.
    Image,
}

impl WarmUp {
    /// Begins nothing: all is done when it is needed.
    pub fn none(networks: Arc<OpenNetworks>) -> Self {
        Self { networks: Networks::new(networks), shown: Ahead::default(), first: Ahead::default() }
    }

    /// Begins it all. Must be called in a runtime of tokio; `program` is the executor's.
    pub fn begin(program: &Path, networks: Arc<OpenNetworks>, root: Expected) -> Self {
        let ahead = Self::none(networks);
        let (program, runtime) = (program.to_owned(), Handle::current());
        ahead.first.begin(move || {
            let _entered = runtime.enter();
            first_process(&program)
        });
        if root == Expected::Host {
            ahead.shown.begin(host::shown);
        }
        let networks = ahead.networks.clone();
        // Without these a build waits a little longer, and finds out itself what is missing.
        Ahead::default().begin(move || drop(networks.open()));
        Ahead::default().begin(|| {
            if let Some(hierarchy) = Hierarchy::find().filter(Hierarchy::is_ours) {
                hierarchy.warm_up();
            }
        });
        ahead
    }
}

/// One piece of work. What it finds is used once: it may not hold for the next.
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
