use std::io;
use std::path::PathBuf;

use runspan_archive::ArchiveError;

/// What can go wrong with the files of a build.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A glob that means nothing.
    #[error("invalid glob `{glob}`: {reason}")]
    Glob {
        /// As it was given.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that can be seen but not read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The stream that takes the files failed.
    #[error("cannot send files: {0}")]
    Send(#[source] io::Error),
    /// An archive that cannot be unpacked.
    #[error("cannot unpack into {}: {source}", directory.display())]
    Unpack {
        /// Where to.
        directory: PathBuf,
        /// Why not.
        source: ArchiveError,
    },
    /// A user that the image does not have.
    #[error("no user `{0}` in /etc/passwd of the image")]
    UnknownUser(String),
}
