use std::io;
use std::path::{Path, PathBuf};

use runspan_engine::ExecutorError;

/// Why an image cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The name is none.
    #[error("{0}")]
    Name(String),
    /// The registry does not give it.
    #[error("{image}: {reason}")]
    Registry {
        /// The image.
        image: String,
        /// What happened, and what to do.
        reason: String,
    },
    /// What was got is broken, or is not what was asked for.
    #[error("{image} cannot be used: {reason}")]
    Broken {
        /// The image, and its part.
        image: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no room left.
    #[error(
        "no room left for {image} in {store}: remove images (`runspan images prune`), or set RUNSPAN_HOME to a \
         larger disk"
    )]
    DiskFull {
        /// The image.
        image: String,
        /// The store.
        store: PathBuf,
    },
    /// It is not here.
    #[error("there is no image {0}; `runspan images list` shows those there are")]
    Unknown(String),
    /// It cannot be removed.
    #[error("{0} is used by a running build; stop that first")]
    InUse(String),
    /// The store cannot be used.
    #[error("cannot {doing} {path}: {source}")]
    Store {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl ImageError {
    /// Says for which image there is no room, where that is what is wrong.
    pub(super) fn while_fetching(self, image: &str, store: &Path) -> Self {
        match self {
            Self::Store { source, .. }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                Self::DiskFull { image: image.to_owned(), store: store.to_owned() }
            }
            other => other,
        }
    }
}

impl From<ImageError> for ExecutorError {
    fn from(error: ImageError) -> Self {
        Self::Image { reason: error.to_string() }
    }
}
