//! The launch service: where the archives of a job's actions are.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use runspan_agent_protocol::Secret;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use crate::http::{self, Refusal};
use crate::retry::{Backoff, persist};
use crate::{GitHubError, JobMessage, RUNNER_VERSION};

/// How long the service is asked.
const PATIENCE: Duration = Duration::from_secs(60);

/// Resolves actions.
#[derive(Clone, Debug)]
pub struct Launch {
    client: Client,
}

/// An action that was found.
#[derive(Clone, Debug)]
pub struct FoundAction {
    /// The commit.
    pub sha: String,
    /// Of a tar.gz.
    pub url: String,
    /// Login for it, where it needs one of its own.
    pub token: Option<Secret>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    actions: BTreeMap<String, Resolved>,
    #[serde(default)]
    errors: BTreeMap<String, Unresolved>,
}

#[derive(Deserialize)]
struct Resolved {
    #[serde(default)]
    resolved_sha: String,
    #[serde(default)]
    tar_url: String,
    authentication: Option<Authentication>,
}

#[derive(Deserialize)]
struct Authentication {
    token: Secret,
}

#[derive(Deserialize)]
struct Unresolved {
    #[serde(default)]
    message: String,
}

impl Launch {
    /// With connections of its own.
    ///
    /// # Errors
    /// When there is no HTTP client to be had.
    pub fn new() -> Result<Self, GitHubError> {
        Ok(Self { client: http::client(RUNNER_VERSION)? })
    }

    /// Finds actions, given as `owner/name` and version; the answer has them by `owner/name@version`.
    ///
    /// # Errors
    /// [`GitHubError::Action`] when one is not there; others.
    pub async fn resolve(
        &self,
        job: &JobMessage,
        wanted: &[(String, String)],
    ) -> Result<BTreeMap<String, FoundAction>, GitHubError> {
        const DOING: &str = "resolving actions";
        let Some(base) = job.launch_url.as_deref().filter(|_| !wanted.is_empty()) else {
            return Ok(BTreeMap::new());
        };
        let path = format!("actions/build/{}/jobs/{}/runnerresolve/actions", job.plan_id, job.job_id);
        let url = format!("{}/{path}", base.trim_end_matches('/'));
        let actions: Vec<_> =
            wanted.iter().map(|(name, version)| json!({ "action": name, "version": version })).collect();
        let body = json!({ "actions": actions });
        let ask = || async {
            let call = self.client.post(&url).bearer_auth(job.token.reveal()).json(&body);
            let answer = http::send(DOING, call).await?;
            let status = answer.status();
            if !status.is_success() && status != StatusCode::UNPROCESSABLE_ENTITY {
                return Err(Refusal::read(answer).await.error(DOING));
            }
            serde_json::from_slice::<Answer>(&http::body(DOING, answer).await?)
                .map_err(|error| GitHubError::Malformed { doing: DOING, reason: error.to_string() })
        };
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(15));
        let answer = persist(backoff, Instant::now() + PATIENCE, ask).await?;
        if let Some((action, why)) = answer.errors.into_iter().next() {
            return Err(GitHubError::Action { action, reason: why.message });
        }
        let found = answer.actions.into_iter().map(|(key, action)| {
            let token = action.authentication.map(|authentication| authentication.token);
            (key, FoundAction { sha: action.resolved_sha, url: action.tar_url, token })
        });
        Ok(found.collect())
    }
}
