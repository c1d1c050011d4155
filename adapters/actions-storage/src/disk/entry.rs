//! What is kept of a file beside its bytes.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::files::hashed;

/// The file of an [`Entry`].
pub(crate) const ENTRY: &str = "entry.json";
/// The bytes.
pub(crate) const DATA: &str = "data";

/// What something is kept as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    Cache {
        repository: String,
        scope: String,
        version: String,
        key: String,
    },
    Artifact {
        repository: String,
        run: String,
        name: String,
        /// The job that made it.
        job: String,
        content_type: String,
        expires: Option<Timestamp>,
    },
}

impl Target {
    /// Where it is kept.
    pub(crate) fn place(&self) -> PathBuf {
        match self {
            Self::Cache { repository, scope, version, key } => {
                caches(repository, scope, version).join(hashed(key))
            }
            Self::Artifact { repository, run, name, .. } => artifacts(repository, run).join(hashed(name)),
        }
    }

    /// Its key or name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Cache { key, .. } => key,
            Self::Artifact { name, .. } => name,
        }
    }
}

/// Where caches of one version are.
pub(super) fn caches(repository: &str, scope: &str, version: &str) -> PathBuf {
    Path::new("caches").join(hashed(repository)).join(hashed(scope)).join(hashed(version))
}

/// Where the artifacts of a run are.
pub(super) fn artifacts(repository: &str, run: &str) -> PathBuf {
    Path::new("artifacts").join(hashed(repository)).join(hashed(run))
}

/// Something that is kept; it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) target: Target,
    /// A number by which callers know it.
    pub(crate) id: u64,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) created: Timestamp,
}

impl Entry {
    /// Whether nobody may have it any more.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        matches!(self.target, Target::Artifact { expires: Some(expires), .. } if expires <= now)
    }
}
