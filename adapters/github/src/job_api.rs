//! What a job may ask GitHub's API for with its own token.

use reqwest::{Client, Method, RequestBuilder};
use runspan_agent_protocol::Secret;
use serde::Deserialize;
use serde_json::Value;

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

/// A check run that is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownCheckRun {
    pub(crate) id: u64,
    /// How many annotations it has.
    pub(crate) annotations: usize,
}

#[derive(Deserialize)]
struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

#[derive(Deserialize)]
struct CheckRun {
    id: u64,
    external_id: Option<String>,
    output: Option<CheckOutput>,
}

#[derive(Deserialize)]
struct CheckOutput {
    #[serde(default)]
    annotations_count: usize,
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
        let call = self.call(Method::GET, &format!("actions/jobs/{check_run}"));
        http::json::<Job>("looking for the job's labels", call).await.map(|job| job.labels)
    }

    /// A file of the repository at a commit.
    ///
    /// # Errors
    /// [`GitHubError`], also when it is not there.
    pub async fn file(&self, path: &str, commit: &str) -> Result<Vec<u8>, GitHubError> {
        const DOING: &str = "fetching the project's buildspec";
        let call = self.call_for(Method::GET, &format!("contents/{path}"), "application/vnd.github.raw+json");
        let answer = http::send(DOING, call.query(&[("ref", commit)])).await?;
        http::body(DOING, http::accepted(DOING, answer).await?).await
    }

    /// The check run of this name at a commit that was made with this id.
    pub(crate) async fn check_run(
        &self,
        commit: &str,
        name: &str,
        external_id: &str,
    ) -> Result<Option<KnownCheckRun>, GitHubError> {
        let call = self.call(Method::GET, &format!("commits/{commit}/check-runs"));
        let call = call.query(&[("check_name", name), ("filter", "all"), ("per_page", "100")]);
        let found: CheckRuns = http::json("looking for a check run", call).await?;
        let is_it = |run: &CheckRun| run.external_id.as_deref() == Some(external_id);
        Ok(found.check_runs.into_iter().find(is_it).map(|run| KnownCheckRun {
            id: run.id,
            annotations: run.output.map_or(0, |output| output.annotations_count),
        }))
    }

    /// Makes a check run; its id. The token needs to write checks, as below.
    pub(crate) async fn make_check_run(&self, body: &Value) -> Result<u64, GitHubError> {
        let call = self.call(Method::POST, "check-runs").json(body);
        http::json::<CheckRun>("making a check run", call).await.map(|made| made.id)
    }

    /// Changes a check run; annotations are added.
    pub(crate) async fn change_check_run(&self, id: u64, body: &Value) -> Result<(), GitHubError> {
        let call = self.call(Method::PATCH, &format!("check-runs/{id}")).json(body);
        http::json::<CheckRun>("changing a check run", call).await.map(drop)
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.call_for(method, path, "application/vnd.github+json")
    }

    fn call_for(&self, method: Method, path: &str, accept: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}/{path}", self.repository))
            .header("Accept", accept)
            .header("X-GitHub-Api-Version", "2022-11-28")
            .bearer_auth(self.token.reveal())
    }
}
