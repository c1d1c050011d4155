use std::io;
use std::path::PathBuf;
use std::time::Duration;

use runspan_archive::ArchiveError;

/// Why a source cannot be had. The first four are CodeBuild's own messages.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No such repository, or it is hidden from us.
    #[error("repository not found for {whose} and source version {version}")]
    RepositoryNotFound {
        /// `primary source` or `secondary source <id>`.
        whose: String,
        /// As it was asked for.
        version: String,
    },
    /// A login is needed.
    #[error("authentication required for {whose} and source version {version}")]
    AuthenticationRequired {
        /// `primary source` or `secondary source <id>`.
        whose: String,
        /// As it was asked for.
        version: String,
    },
    /// The login was refused.
    #[error("authorization failed for {whose} and source version {version}")]
    AuthorizationFailed {
        /// `primary source` or `secondary source <id>`.
        whose: String,
        /// As it was asked for.
        version: String,
    },
    /// No such branch, tag, reference or commit.
    #[error("reference not found for {whose} and source version {version}")]
    ReferenceNotFound {
        /// `primary source` or `secondary source <id>`.
        whose: String,
        /// As it was asked for.
        version: String,
    },
    /// A location git must not be given.
    #[error("source location `{location}` is not allowed: {reason}")]
    Location {
        /// As it was given, without its login.
        location: String,
        /// Why.
        reason: &'static str,
    },
    /// Git failed otherwise.
    #[error("Git clone failed: {message}")]
    Git {
        /// Its own words.
        message: String,
    },
    /// Git took too long.
    #[error("Git clone failed: not done after {} seconds", .0.as_secs())]
    GitTimeout(Duration),
    /// There is no git.
    #[error("cannot run git: {0}; install git on this machine")]
    NoGit(#[source] io::Error),
    /// The directory is not there.
    #[error("source directory {} does not exist", path.display())]
    NoDirectory {
        /// Which.
        path: PathBuf,
    },
    /// The zip file cannot be unpacked.
    #[error("cannot unpack source {}: {source}", path.display())]
    Zip {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: ArchiveError,
    },
    /// The disk did not do what was asked.
    #[error("cannot use {}: {source}", path.display())]
    Disk {
        /// Which file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The stream that takes the source failed.
    #[error("cannot send the source: {0}")]
    Send(#[source] io::Error),
}
