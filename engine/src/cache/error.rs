use std::io;
use std::path::PathBuf;

/// Why a cache could not be used. None of these fails a build.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The disk did not do what was asked.
    #[error("cannot use cache {}: {source}", path.display())]
    Disk {
        /// Which file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no room.
    #[error("no space left for cache {}; free some, or make the cache smaller", path.display())]
    DiskFull {
        /// Where.
        path: PathBuf,
    },
    /// The entry alone is larger than the cache may be.
    #[error("cache not saved: larger than the {limit} bytes all caches together may take")]
    TooLarge {
        /// What they may take.
        limit: u64,
    },
    /// The stream that was to be cached failed.
    #[error("cache not saved: {0}")]
    Stream(#[source] io::Error),
}

impl CacheError {
    pub(super) fn disk(path: &std::path::Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Disk { path, source },
        }
    }
}
