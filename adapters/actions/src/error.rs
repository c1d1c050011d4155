use std::io;
use std::path::PathBuf;

/// Why something cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No answer.
    #[error("{url} does not answer: {reason}; check the network, or set {setting} to another server")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why not.
        reason: String,
        /// What says where the server is.
        setting: &'static str,
    },
    /// The server refuses.
    #[error("{url} answers {status}; {remedy}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The answer.
        status: u16,
        /// What to do.
        remedy: &'static str,
    },
    /// An answer that makes no sense.
    #[error("{url} gives no {what}: {reason}")]
    Odd {
        /// What was asked for.
        url: String,
        /// What was expected.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Another file than the one that was meant.
    #[error(
        "{url} has the checksum {found}, and {wanted} was expected: it was changed on its way, or is another file"
    )]
    Checksum {
        /// What was asked for.
        url: String,
        /// What it should have.
        wanted: String,
        /// What it has.
        found: String,
    },
    /// The cache.
    #[error("cannot write {}: {source}", path.display())]
    Cache {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A version that is not known.
    #[error("only 20 and 24 are known here; install another one in the image")]
    Version,
    /// No client.
    #[error("no connections can be made: {0}")]
    Client(String),
}

impl SourceError {
    pub(crate) fn cache(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Cache { path, source }
    }
}
