//! The run service: a job is acquired, kept and completed here.

use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use runspan_agent_protocol::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::broker::JobOffer;
use crate::http::{self, Refusal};
use crate::{GitHubError, JobMessage, OAuth};

/// The run service of one job.
#[derive(Clone, Debug)]
pub(crate) struct RunService {
    client: Client,
    base: String,
    token: Secret,
    plan_id: Uuid,
    job_id: Uuid,
}

/// How a job ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Completion {
    /// The job's conclusion.
    pub conclusion: Conclusion,
    /// Its outputs, by name.
    pub outputs: Map<String, Value>,
    /// Every step.
    pub step_results: Vec<StepResult>,
    /// Where the deployment is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_url: Option<String>,
    /// Given back as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_owner_id: Option<String>,
}

/// How a job or step ended, in GitHub's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are GitHub's")]
pub enum Conclusion {
    Succeeded,
    Failed,
    Canceled,
    Skipped,
    Abandoned,
}

/// What GitHub is told of one step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StepResult {
    /// The step's id.
    pub external_id: Uuid,
    /// Its place, from 1.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// What it used; absent of a skipped step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_name: Option<String>,
    /// The kind of what it used; absent of a skipped step.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `completed`.
    pub status: String,
    /// How it ended.
    pub conclusion: Conclusion,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// What it said about files.
    pub annotations: Vec<Annotation>,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Level {
    Notice,
    Warning,
    Failure,
}

/// Something said about a place in a file or log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Annotation {
    /// How bad it is.
    pub level: Level,
    /// What is said.
    pub message: String,
    /// In a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// First line, from 1; of the log where there is no file. GitHub cuts the connection without it.
    pub start_line: u32,
    /// Last line.
    pub end_line: u32,
    /// First column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_column: Option<u32>,
    /// Last column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    /// The step's place.
    pub step_number: u32,
}

impl Conclusion {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "was cancelled",
            Self::Skipped => "was skipped",
            Self::Abandoned => "was abandoned",
        }
    }
}

impl StepResult {
    /// The set up of a job, which failed.
    pub(crate) fn set_up(job: Uuid) -> Self {
        let now = Some(Timestamp::now());
        Self {
            action_name: Some("setup_job".into()),
            kind: Some("runner".into()),
            conclusion: Conclusion::Failed,
            started_at: now,
            completed_at: now,
            ..Self::skipped(Uuid::from_u128(job.as_u128() ^ 1), 1, "Set up job")
        }
    }

    /// A step that was not run.
    pub(crate) fn skipped(id: Uuid, number: u32, name: &str) -> Self {
        Self {
            external_id: id,
            number,
            name: name.to_owned(),
            action_name: None,
            kind: None,
            status: "completed".to_owned(),
            conclusion: Conclusion::Skipped,
            started_at: None,
            completed_at: None,
            annotations: Vec::new(),
        }
    }
}

impl Annotation {
    /// Of a step as a whole; its line in the log is to be found yet.
    pub(crate) fn of(level: Level, message: &str, step_number: u32) -> Self {
        Self {
            level,
            message: message.to_owned(),
            title: None,
            path: None,
            start_line: 0,
            end_line: 0,
            start_column: None,
            end_column: None,
            step_number,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Renewal {
    locked_until: Timestamp,
}

impl RunService {
    /// Takes a job that was offered.
    ///
    /// # Errors
    /// [`GitHubError::JobGone`] when somebody else has it or it was taken back; others.
    pub(crate) async fn acquire(
        client: &Client,
        oauth: &OAuth,
        offer: &JobOffer,
    ) -> Result<JobMessage, GitHubError> {
        const DOING: &str = "acquiring a job";
        let body = json!({
            "jobMessageId": offer.runner_request_id,
            "runnerOS": "Linux",
            "billingOwnerId": offer.billing_owner_id,
        });
        let token = oauth.token().await?;
        let url = format!("{}/acquirejob", offer.run_service_url.trim_end_matches('/'));
        let answer = http::send(DOING, client.post(url).bearer_auth(token.reveal()).json(&body)).await?;
        let answer = judged(DOING, answer).await?;
        JobMessage::read(&http::body(DOING, answer).await?)
    }

    /// The run service of a job that was acquired; its calls carry the job's own token.
    pub(crate) fn of(client: Client, job: &JobMessage) -> Self {
        Self {
            client,
            base: job.run_service_url.trim_end_matches('/').to_owned(),
            token: job.token.clone(),
            plan_id: job.plan_id,
            job_id: job.job_id,
        }
    }

    /// Keeps the job; returns until when.
    ///
    /// # Errors
    /// [`GitHubError::JobGone`] when it is over at GitHub; others.
    pub(crate) async fn renew(&self) -> Result<Timestamp, GitHubError> {
        const DOING: &str = "renewing the job";
        let body = json!({ "planId": self.plan_id, "jobId": self.job_id });
        let answer = http::send(DOING, self.call("renewjob").json(&body)).await?;
        let answer = judged(DOING, answer).await?;
        let renewal: Renewal = serde_json::from_slice(&http::body(DOING, answer).await?)
            .map_err(|error| GitHubError::Malformed { doing: DOING, reason: error.to_string() })?;
        Ok(renewal.locked_until)
    }

    /// Ends the job.
    ///
    /// # Errors
    /// [`GitHubError::JobGone`] when it has ended already; others.
    pub(crate) async fn complete(&self, completion: &Completion) -> Result<(), GitHubError> {
        const DOING: &str = "completing the job";
        let mut body = serde_json::to_value(completion)
            .map_err(|error| GitHubError::Malformed { doing: DOING, reason: error.to_string() })?;
        body["planId"] = json!(self.plan_id);
        body["jobId"] = json!(self.job_id);
        body["annotations"] = json!([]);
        body["telemetry"] = json!([]);
        let answer = http::send(DOING, self.call("completejob").json(&body)).await?;
        judged(DOING, answer).await.map(|_| ())
    }

    fn call(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}/{path}", self.base)).bearer_auth(self.token.reveal())
    }
}

async fn judged(doing: &'static str, answer: Response) -> Result<Response, GitHubError> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let refusal = Refusal::read(answer).await;
    Err(match refusal.status {
        StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
            GitHubError::JobGone { reason: refusal.message }
        }
        _ => refusal.error(doing),
    })
}
