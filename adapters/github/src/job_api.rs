//! What a job may ask GitHub's API for with its own token.

use reqwest::{Client, RequestBuilder};
use runspan_agent_protocol::Secret;
use serde::Deserialize;

use crate::{GitHubError, RUNNER_VERSION, http};

/// The API, as one job sees it.
#[derive(Clone, Debug)]
pub struct JobApi {
    client: Client,
    /// As in `https://api.github.com/repos/octo/hello`.
    repository: String,
    token: Secret,
}

#[derive(Deserialize)]
struct Job {
    labels: Vec<String>,
}

impl JobApi {
    /// The API at this URL, for a job of this repository.
    ///
    /// # Errors
    /// When there is no HTTP client to be had.
    pub fn new(api_url: &str, repository: &str, token: Secret) -> Result<Self, GitHubError> {
        let repository = format!("{}/repos/{repository}", api_url.trim_end_matches('/'));
        Ok(Self { client: http::client(RUNNER_VERSION)?, repository, token })
    }

    /// `runs-on` of a job, by the number of its check run. The token needs to read actions.
    ///
    /// # Errors
    /// [`GitHubError`].
    pub async fn labels(&self, check_run: u64) -> Result<Vec<String>, GitHubError> {
        let call = self.get(&format!("actions/jobs/{check_run}"), "application/vnd.github+json");
        http::json::<Job>("looking for the job's labels", call).await.map(|job| job.labels)
    }

    /// A file of the repository at a commit.
    ///
    /// # Errors
    /// [`GitHubError`], also when it is not there.
    pub async fn file(&self, path: &str, commit: &str) -> Result<Vec<u8>, GitHubError> {
        const DOING: &str = "fetching the project's buildspec";
        let call = self.get(&format!("contents/{path}"), "application/vnd.github.raw+json");
        let answer = http::send(DOING, call.query(&[("ref", commit)])).await?;
        http::body(DOING, http::accepted(DOING, answer).await?).await
    }

    fn get(&self, path: &str, accept: &str) -> RequestBuilder {
        self.client
            .get(format!("{}/{path}", self.repository))
            .header("Accept", accept)
            .header("X-GitHub-Api-Version", "2022-11-28")
            .bearer_auth(self.token.reveal())
    }
}
