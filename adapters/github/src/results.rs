//! The results service: states of steps, logs, summaries.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, StatusCode};
use runspan_agent_protocol::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http;
use crate::{GitHubError, JobMessage};

/// The results service of one job.
#[derive(Debug)]
pub(crate) struct Results {
    client: Client,
    base: String,
    token: Secret,
    plan: Uuid,
    job: Uuid,
    changes: AtomicU64,
}

/// A text that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    StepLog(Uuid),
    JobLog,
    Summary(Uuid),
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// All of it.
    Whole,
    /// Nothing yet; pieces follow.
    Begin,
    /// The next piece.
    Append { last: bool },
}

/// A step as its page shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StepUpdate {
    pub(crate) external_id: Uuid,
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) status: u8,
    pub(crate) started_at: Option<String>,
    pub(crate) completed_at: Option<String>,
    pub(crate) conclusion: u8,
}

#[derive(Deserialize)]
struct Signed {
    #[serde(alias = "logs_url", alias = "summary_url")]
    url: String,
    #[serde(default)]
    blob_storage_type: String,
}

#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    ok: bool,
}

const RECEIVER: &str = "results.services.receiver.Receiver";
const UPDATES: &str = "github.actions.results.api.v1.WorkflowStepUpdateService";

/// As this service writes times.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

impl Results {
    /// Of a job, where it has one. Changes are numbered behind those that an earlier process may have told.
    pub(crate) fn of(client: Client, job: &JobMessage, generation: u64) -> Option<Self> {
        Some(Self {
            client,
            base: job.results_url.as_deref()?.trim_end_matches('/').to_owned(),
            token: job.token.clone(),
            plan: job.plan_id,
            job: job.job_id,
            changes: AtomicU64::new(generation * 1_000_000),
        })
    }

    /// Tells how steps stand.
    pub(crate) async fn update(&self, steps: &[StepUpdate]) -> Result<(), GitHubError> {
        const DOING: &str = "telling how the steps stand";
        let order = self.changes.fetch_add(1, Ordering::Relaxed) + 1;
        let body = json!({ "steps": steps, "change_order": order });
        self.done(DOING, UPDATES, "WorkflowStepsUpdate", body).await
    }

    /// Stores a piece of a text.
    pub(crate) async fn store(&self, kept: Kept, write: Write, bytes: Vec<u8>) -> Result<(), GitHubError> {
        const DOING: &str = "storing a log";
        let method = match kept {
            Kept::StepLog(_) => "GetStepLogsSignedBlobURL",
            Kept::JobLog => "GetJobLogsSignedBlobURL",
            Kept::Summary(_) => "GetStepSummarySignedBlobURL",
        };
        let signed: Signed = http::json(DOING, self.call(RECEIVER, method, kept.about(json!({})))).await?;
        let url = match write {
            Write::Whole | Write::Begin => signed.url,
            Write::Append { last: false } => format!("{}&comp=appendblock", signed.url),
            Write::Append { last: true } => format!("{}&comp=appendblock&seal=true", signed.url),
        };
        let mut call = self.client.put(url).header("Content-Type", "text/plain").body(bytes);
        if signed.blob_storage_type.is_empty() || signed.blob_storage_type.ends_with("AZURE") {
            call = match write {
                // The answer to an earlier try may have been lost; that text is the same.
                Write::Whole => call.header("x-ms-blob-type", "BlockBlob").header("If-None-Match", "*"),
                Write::Begin => call.header("x-ms-blob-type", "AppendBlob"),
                Write::Append { last } => {
                    call.header("x-ms-blob-sealed", if last { "True" } else { "False" })
                }
            };
        }
        let answer = http::send(DOING, call).await?;
        let is_there = matches!(answer.status(), StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED);
        if write == Write::Whole && is_there {
            return Ok(());
        }
        http::accepted(DOING, answer).await.map(|_| ())
    }

    /// Tells that a text is whole.
    pub(crate) async fn stored(&self, kept: Kept, lines: u64, bytes: u64) -> Result<(), GitHubError> {
        const DOING: &str = "telling that a log is stored";
        let at = time(Timestamp::now());
        let (method, body) = match kept {
            Kept::StepLog(_) => ("CreateStepLogsMetadata", json!({ "uploaded_at": at, "line_count": lines })),
            Kept::JobLog => ("CreateJobLogsMetadata", json!({ "uploaded_at": at, "line_count": lines })),
            Kept::Summary(_) => ("CreateStepSummaryMetadata", json!({ "uploaded_at": at, "size": bytes })),
        };
        self.done(DOING, RECEIVER, method, kept.about(body)).await
    }

    async fn done(
        &self,
        doing: &'static str,
        service: &str,
        method: &str,
        body: Value,
    ) -> Result<(), GitHubError> {
        match http::json::<Done>(doing, self.call(service, method, body)).await? {
            Done { ok: true } => Ok(()),
            Done { ok: false } => Err(GitHubError::Refused {
                doing,
                status: 200,
                reason: "the service says that it is not ok".into(),
                retry_after: None,
            }),
        }
    }

    fn call(&self, service: &str, method: &str, mut body: Value) -> RequestBuilder {
        body["workflow_job_run_backend_id"] = json!(self.job);
        body["workflow_run_backend_id"] = json!(self.plan);
        self.client
            .post(format!("{}/twirp/{service}/{method}", self.base))
            .header("Accept", "application/json")
            .bearer_auth(self.token.reveal())
            .json(&body)
    }
}

impl Kept {
    fn about(self, mut body: Value) -> Value {
        if let Self::StepLog(step) | Self::Summary(step) = self {
            body["step_backend_id"] = json!(step);
        }
        body
    }
}
