use std::io;
use std::path::PathBuf;

use runspan_archive::ArchiveError;

/// Why an artifact could not be stored. Nothing of it is left half-written.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A name that would leave the artifacts directory, or names nothing.
    #[error("invalid artifact name `{name}`: {reason}")]
    Name {
        /// As it was given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no room.
    #[error("no space left in {} for the artifact{}; free some and run the build again", directory.display(), named(name))]
    DiskFull {
        /// The artifacts directory.
        directory: PathBuf,
        /// The artifact.
        name: String,
    },
    /// What was received cannot be unpacked.
    #[error("cannot unpack artifact `{name}`: {source}")]
    Unpack {
        /// The artifact.
        name: String,
        /// Why not.
        source: ArchiveError,
    },
    /// The disk did not do what was asked.
    #[error("cannot write artifact {}: {source}", path.display())]
    Disk {
        /// Which file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An artifact of a batch's build cannot be taken over.
    #[error("cannot combine the artifact of {identifier}: {}: {source}", path.display())]
    Combine {
        /// The task.
        identifier: String,
        /// Which file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The stream from the build failed.
    #[error("artifact `{name}` did not arrive whole: {source}")]
    Stream {
        /// The artifact.
        name: String,
        /// Why not.
        source: io::Error,
    },
}

/// The name in quotes; the primary artifact may have none.
fn named(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" `{name}`") }
}
