//! What the first process could not do.

use std::io;

/// One step that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("cannot {doing}: {source}")]
    Step { doing: String, source: io::Error },
    /// Owners cannot be mapped on this file system.
    #[error("cannot map the owners of {what}: {source}")]
    Ids { what: String, source: io::Error },
    /// What another process said already.
    #[error("{0}")]
    Said(String),
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

/// Says what was being done.
pub(super) trait To<T> {
    fn to(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> To<T> for std::result::Result<T, E> {
    fn to(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Fault::Step { doing: doing(), source: error.into() })
    }
}
