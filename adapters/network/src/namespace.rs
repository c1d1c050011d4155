//! Work inside another network namespace.

use std::{os::fd::BorrowedFd, thread};

use runspan_engine::NetworkError;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Does something inside a namespace, on a thread that ends with it.
pub(crate) fn inside<T: Send>(
    namespace: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, NetworkError> + Send,
) -> Result<T, NetworkError> {
    let failed =
        |reason: String| NetworkError::Other { doing: "entering a build's network namespace".into(), reason };
    thread::scope(|scope| {
        let entered = move || {
            move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))
                .map_err(|error| failed(error.to_string()))?;
            work()
        };
        let thread = thread::Builder::new()
            .name("network".into())
            .spawn_scoped(scope, entered)
            .map_err(|error| failed(error.to_string()))?;
        thread.join().unwrap_or_else(|_| Err(failed("it ended in the middle".into())))
    })
}
