//! A job of a run, from queue to conclusion.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{Value, workflow};

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Well.
    Success,
    /// Badly.
    Failure,
    /// By someone's wish.
    Cancelled,
    /// Before it began.
    Skipped,
}

impl Conclusion {
    /// The word of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

/// Who said that a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Its runner.
    Runner,
    /// GitHub.
    GitHub,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq)]
pub enum JobState {
    /// Waits for a runner.
    Queued,
    /// A runner was told of it.
    Delivered {
        /// Which.
        runner: u64,
        /// When last.
        at: Timestamp,
        /// How often.
        times: u32,
        /// It acknowledged.
        acknowledged: bool,
    },
    /// A runner has it.
    Running {
        /// Which.
        runner: u64,
        /// Until when, unless renewed.
        locked_until: Timestamp,
        /// Since when.
        since: Timestamp,
    },
    /// It ended.
    Completed(Conclusion),
}

/// Something that happens to a job, in the order in which it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// It is in the queue.
    Queued,
    /// A runner was sent the request.
    Delivered,
    /// The runner acknowledged it.
    Acknowledged,
    /// The runner acquired it.
    Acquired,
    /// The lock was renewed.
    Renewed,
    /// A state of a step came.
    StepsUpdated,
    /// A log was stored.
    LogStored,
    /// The runner was told to cancel it.
    CancellationDelivered,
    /// The runner says that it ended.
    CompletionReceived,
    /// It ended.
    Completed,
}

/// An end that was told, accepted or not.
#[derive(Clone, Debug, Serialize)]
pub struct Completion {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: By,
    /// What.
    pub conclusion: Conclusion,
    /// It became the job's conclusion; a job takes exactly one.
    pub accepted: bool,
    /// Why, when GitHub itself ended it.
    pub reason: Option<String>,
}

/// An output of a job. Clients differ in the case of these names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Its value.
    #[serde(default, alias = "Value")]
    pub value: String,
    /// It is not shown.
    #[serde(default, alias = "IsSecret", skip_serializing_if = "std::ops::Not::not")]
    pub is_secret: bool,
}

/// State of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not said.
    #[default]
    Unknown,
    /// To come.
    Pending,
    /// It runs.
    InProgress,
    /// It ended.
    Completed,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepConclusion {
    /// Not said.
    #[default]
    Unknown,
    /// Well.
    Success,
    /// Badly.
    Failure,
    /// Cancelled.
    Cancelled,
    /// Not run.
    Skipped,
}

/// A step as its runner reports it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Step {
    /// Identity.
    pub id: Uuid,
    /// Place in the list.
    pub number: u64,
    /// Display name.
    pub name: String,
    /// State.
    pub status: StepStatus,
    /// How it ended.
    pub conclusion: StepConclusion,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub completed_at: Option<String>,
}

/// A remark on a step or the job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Annotation {
    /// notice, warning or failure
    pub level: String,
    /// What.
    pub message: String,
    /// Title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// File.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// First line, from 1.
    pub start_line: u64,
    /// Last line.
    pub end_line: u64,
    /// First column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_column: Option<u64>,
    /// Last column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u64>,
    /// The step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_number: Option<u64>,
    /// Not the job's own fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_infrastructure_issue: Option<bool>,
}

/// A stored log.
#[derive(Clone, Debug, Serialize)]
pub struct JobLog {
    /// The blob.
    pub blob: String,
    /// Lines in it, as the runner counts.
    pub lines: Option<u64>,
}

/// A line of the live console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LiveLine {
    /// The step.
    pub step: Option<Uuid>,
    /// Number within the step, when it was told.
    pub number: Option<u64>,
    /// The line.
    pub text: String,
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Identity (`workflow_job_run_backend_id`).
    pub id: Uuid,
    /// The run.
    pub run: u64,
    /// The number that the API uses; also of its check run.
    pub number: u64,
    /// The key in the workflow.
    pub key: String,
    /// As written.
    pub definition: Arc<workflow::Job>,
    /// Display name.
    pub name: String,
    /// `__default`, or the combination's.
    pub matrix_key: String,
    /// The matrix context.
    pub matrix: Value,
    /// The strategy context.
    pub strategy: Value,
    /// Stops its siblings when it fails.
    pub fail_fast: bool,
    /// How many siblings may run at once.
    pub max_parallel: usize,
    /// `runs-on`
    pub labels: Vec<String>,
    /// The group in `runs-on`.
    pub group: Option<String>,
    /// Minutes it may run.
    pub timeout_minutes: f64,
    /// Its failure does not fail the run.
    pub continue_on_error: bool,
    /// The needs context, fixed when it is queued.
    pub needs: Value,
    /// Where it stands.
    pub state: JobState,
    /// The name under which it is offered; changes when it is offered anew.
    pub request: Uuid,
    /// Number in the older queue.
    pub request_number: u64,
    /// Someone wants it to end.
    pub cancel: Option<Timestamp>,
    /// What happened, and when.
    pub history: Vec<(Timestamp, Moment)>,
    /// Every end that was told.
    pub completions: Vec<Completion>,
    /// Runner that had it.
    pub worked_by: Option<u64>,
    /// Outputs.
    pub outputs: BTreeMap<String, Output>,
    /// Steps, by identity.
    pub steps: BTreeMap<Uuid, Step>,
    /// Last `change_order` of the step updates.
    pub change_order: u64,
    /// Remarks.
    pub annotations: Vec<Annotation>,
    /// `stepResults` as they came.
    pub step_results: Vec<Json>,
    /// Telemetry as it came.
    pub telemetry: Vec<Json>,
    /// The environment's address.
    pub environment_url: Option<String>,
    /// Log of each step.
    pub step_logs: BTreeMap<Uuid, JobLog>,
    /// Summary of each step.
    pub summaries: BTreeMap<Uuid, JobLog>,
    /// The whole log.
    pub log: Option<JobLog>,
    /// Diagnostic logs.
    pub diagnostics: Option<JobLog>,
    /// The live console.
    pub live: Vec<LiveLine>,
}

impl Job {
    /// The runner that has it or was told of it.
    pub fn runner(&self) -> Option<u64> {
        match self.state {
            JobState::Delivered { runner, .. } | JobState::Running { runner, .. } => Some(runner),
            JobState::Queued | JobState::Completed(_) => None,
        }
    }

    /// How it ended.
    pub const fn conclusion(&self) -> Option<Conclusion> {
        match self.state {
            JobState::Completed(conclusion) => Some(conclusion),
            _ => None,
        }
    }

    /// What the jobs that need it see.
    pub fn result(&self) -> Option<Conclusion> {
        match self.conclusion()? {
            Conclusion::Failure if self.continue_on_error => Some(Conclusion::Success),
            conclusion => Some(conclusion),
        }
    }

    /// The steps in their order.
    pub fn steps_in_order(&self) -> Vec<&Step> {
        let mut steps: Vec<&Step> = self.steps.values().collect();
        steps.sort_by_key(|step| step.number);
        steps
    }

    /// Whether something happened to it.
    pub fn has_been(&self, moment: Moment) -> bool {
        self.history.iter().any(|(_, was)| *was == moment)
    }
}
