use std::io;

/// What can go wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A name, link or kind of entry that must not be unpacked. Nothing was written for it.
    #[error("refused archive entry `{name}`: {reason}")]
    Unsafe {
        /// The entry.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// More than was allowed for.
    #[error("archive is too large: more than {limit} {what}")]
    TooLarge {
        /// How many.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
    /// The archive cannot be read.
    #[error("broken archive: {0}")]
    Broken(String),
    /// The disk did not do what was asked.
    #[error("cannot {doing} `{name}`: {source}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// With which entry.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// The stream itself failed.
    #[error("archive stream: {0}")]
    Stream(#[source] io::Error),
}

impl ArchiveError {
    /// Whether there is no room left to unpack to.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Disk { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    pub(crate) fn refused(name: &[u8], reason: &'static str) -> Self {
        Self::Unsafe { name: lossy(name), reason }
    }

    pub(crate) fn disk(doing: &'static str, name: &[u8], source: impl Into<io::Error>) -> Self {
        Self::Disk { doing, name: lossy(name), source: source.into() }
    }
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
