//! Check runs and commit statuses.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

/// A check run that was made through the API.
#[derive(Clone, Debug, Serialize)]
pub struct CheckRun {
    /// Number.
    pub id: u64,
    /// `owner/name`
    #[serde(skip)]
    pub repository: String,
    /// The commit.
    pub head_sha: String,
    /// Name.
    pub name: String,
    /// queued, in_progress or completed
    pub status: String,
    /// How it ended.
    pub conclusion: Option<String>,
    /// Where to read more.
    pub details_url: Option<String>,
    /// The maker's own name for it.
    pub external_id: Option<String>,
    /// Title, summary, text.
    pub output: Json,
    /// Annotations of all updates, in order.
    pub annotations: Vec<Json>,
}

/// A status of a commit.
#[derive(Clone, Debug, Serialize)]
pub struct CommitStatus {
    /// `owner/name`
    #[serde(skip)]
    pub repository: String,
    /// The commit.
    pub sha: String,
    /// error, failure, pending or success
    pub state: String,
    /// Name.
    pub context: String,
    /// Words.
    pub description: Option<String>,
    /// Where to read more.
    pub target_url: Option<String>,
    /// When.
    pub created_at: Timestamp,
}
