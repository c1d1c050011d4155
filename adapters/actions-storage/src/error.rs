use std::io;
use std::path::{Path, PathBuf};

/// What the storage could not do.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk.
    #[error("cannot {doing} {}: {source}", path.display())]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The caller is nobody we know.
    #[error("the token is of no job that runs here")]
    Unauthenticated,
    /// The caller may not do that.
    #[error("{0}")]
    Denied(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// There is such a thing already, and it does not change.
    #[error("{0}")]
    Exists(String),
    /// The call makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// No room is left for it.
    #[error("{0}")]
    Full(String),
    /// The caller went away in the middle, or its bytes were broken.
    #[error("the upload broke off: {0}")]
    Broken(String),
    /// GitHub's own service does not answer.
    #[error("GitHub's service does not answer: {0}")]
    Upstream(String),
}

impl StorageError {
    /// Makes the error of a file.
    pub(crate) fn disk(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Disk { doing, path, source }
    }
}
