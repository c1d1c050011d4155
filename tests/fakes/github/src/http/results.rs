//! The results service: logs, summaries and states of steps.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    caller::Authorization,
    refusals::TwirpRefusal,
    signed::{Purpose, address},
    wire,
};
use crate::{
    model::{LogKind, Refused, Step, StepConclusion, StepStatus},
    server::App,
};

/// Bytes above which the service would rather not have a log in one piece.
const SOFT_LIMIT: &str = "1048576";

pub(super) fn routes() -> Router<App> {
    Router::new().route("/twirp/results.services.receiver.Receiver/{method}", post(receive)).route(
        "/twirp/github.actions.results.api.v1.WorkflowStepUpdateService/WorkflowStepsUpdate",
        post(update),
    )
}

#[derive(Deserialize)]
struct Identities {
    workflow_run_backend_id: String,
    workflow_job_run_backend_id: String,
    #[serde(default)]
    step_backend_id: Option<Uuid>,
    #[serde(default)]
    line_count: Option<Value>,
}

async fn receive(
    State(app): State<App>,
    Path(method): Path<String>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TwirpRefusal> {
    let holder = caller.holder(&app)?;
    let request: Identities = wire::read(&body)?;
    let job = app.read(|github| {
        github.own_job(&holder, &request.workflow_run_backend_id, &request.workflow_job_run_backend_id)
    })?;
    let step = || {
        request.step_backend_id.ok_or_else(|| Refused::BadRequest("step_backend_id is missing".to_owned()))
    };
    let (log, member) = match method.as_str() {
        "GetStepLogsSignedBlobURL" => (LogKind::Step(step()?), Some("logs_url")),
        "GetJobLogsSignedBlobURL" => (LogKind::Job, Some("logs_url")),
        "GetStepSummarySignedBlobURL" => (LogKind::Summary(step()?), Some("summary_url")),
        "GetJobDiagLogsSignedBlobURL" => (LogKind::Diagnostics, Some("diag_logs_url")),
        "CreateStepLogsMetadata" => (LogKind::Step(step()?), None),
        "CreateJobLogsMetadata" => (LogKind::Job, None),
        "CreateStepSummaryMetadata" => (LogKind::Summary(step()?), None),
        _ => return Err(Refused::NotFound(format!("no handler for {method}")).into()),
    };
    if let Some(member) = member {
        let name = app.read(|github| github.log_name(job, log));
        let mut answer = json!({"blob_storage_type": "BLOB_STORAGE_TYPE_AZURE"});
        answer[member] = json!(address(&app, &name, Purpose::Write));
        if matches!(log, LogKind::Step(_) | LogKind::Summary(_)) {
            answer["soft_size_limit"] = json!(SOFT_LIMIT);
        }
        return Ok(Json(answer));
    }
    // Numbers of 64 bits are text for some clients.
    let lines = request.line_count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
    app.change(|github| github.log_stored(job, log, lines))?;
    Ok(Json(json!({"ok": true})))
}

#[derive(Deserialize)]
struct StepsUpdate {
    workflow_run_backend_id: String,
    workflow_job_run_backend_id: String,
    change_order: u64,
    #[serde(default)]
    steps: Vec<StepUpdate>,
}

#[derive(Deserialize)]
struct StepUpdate {
    external_id: Uuid,
    #[serde(default)]
    number: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: u64,
    #[serde(default)]
    conclusion: u64,
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    completed_at: Option<String>,
}

impl From<StepUpdate> for Step {
    fn from(update: StepUpdate) -> Self {
        Self {
            id: update.external_id,
            number: update.number,
            name: update.name,
            status: match update.status {
                3 => StepStatus::InProgress,
                5 => StepStatus::Pending,
                6 => StepStatus::Completed,
                _ => StepStatus::Unknown,
            },
            conclusion: match update.conclusion {
                2 => StepConclusion::Success,
                3 => StepConclusion::Failure,
                4 => StepConclusion::Cancelled,
                7 => StepConclusion::Skipped,
                _ => StepConclusion::Unknown,
            },
            started_at: update.started_at,
            completed_at: update.completed_at,
        }
    }
}

async fn update(
    State(app): State<App>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TwirpRefusal> {
    let holder = caller.holder(&app)?;
    let request: StepsUpdate = wire::read(&body)?;
    let steps = request.steps.into_iter().map(Step::from).collect();
    app.change(|github| {
        let job = github.own_job(
            &holder,
            &request.workflow_run_backend_id,
            &request.workflow_job_run_backend_id,
        )?;
        github.update_steps(job, request.change_order, steps)
    })?;
    Ok(Json(json!({"ok": true})))
}
