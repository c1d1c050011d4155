//! The run service: acquire, renew, complete, and identity tokens.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{caller::Authorization, refusals::RunServiceRefusal, wire};
use crate::{
    model::{Annotation, Conclusion, Finish, Output, Refused},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/run/{shard}/acquirejob", post(acquire))
        .route("/run/{shard}/renewjob", post(renew))
        .route("/run/{shard}/completejob", post(complete))
        // The double slash is the service's own.
        .route("/run/{shard}//idtoken/{plan}/{job}", get(id_token))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Acquire {
    job_message_id: Uuid,
    #[serde(default)]
    billing_owner_id: Option<String>,
}

async fn acquire(
    State(app): State<App>,
    caller: Authorization,
    body: Bytes,
) -> Result<Response, RunServiceRefusal> {
    let runner = caller.runner(&app)?;
    let request: Acquire = wire::read(&body)?;
    let delay = app.read(|github| github.settings.acquire_delay);
    tokio::time::sleep(delay).await;
    let message = app.change(|github| {
        let message = github.acquire(runner, request.job_message_id)?;
        if request.billing_owner_id.as_deref() != message["billingOwnerId"].as_str() {
            github.violation("acquirejob does not repeat the billing owner".to_owned());
        }
        Ok::<_, Refused>(message)
    })?;
    let header = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let headers = [
        ("x-plan-id", header(&message["plan"]["planId"])),
        (
            "x-job-name",
            message["variables"]["system.github.job"]["value"].as_str().unwrap_or_default().to_owned(),
        ),
        (
            "x-github-actions-orchestration-id",
            header(&message["variables"]["system.orchestrationId"]["value"]),
        ),
    ];
    Ok((headers, Json(message)).into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Renew {
    plan_id: String,
    job_id: String,
}

async fn renew(
    State(app): State<App>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, RunServiceRefusal> {
    let holder = caller.holder(&app)?;
    let request: Renew = wire::read(&body)?;
    let until = app.change(|github| {
        let job = github.own_job(&holder, &request.plan_id, &request.job_id)?;
        github.renew(job)
    })?;
    Ok(Json(json!({"lockedUntil": format!("{until:.9}")})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complete {
    plan_id: String,
    job_id: String,
    conclusion: String,
    #[serde(default)]
    outputs: Option<BTreeMap<String, Output>>,
    #[serde(default)]
    step_results: Option<Vec<StepResult>>,
    #[serde(default)]
    annotations: Option<Vec<Annotation>>,
    #[serde(default)]
    telemetry: Option<Vec<Value>>,
    #[serde(default)]
    environment_url: Option<String>,
}

#[derive(Clone, Deserialize)]
struct StepResult {
    external_id: Uuid,
    #[serde(default)]
    annotations: Option<Vec<Annotation>>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    conclusion: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

async fn complete(
    State(app): State<App>,
    caller: Authorization,
    body: Bytes,
) -> Result<StatusCode, RunServiceRefusal> {
    let holder = caller.holder(&app)?;
    let request: Complete = wire::read(&body)?;
    let raw: Value = wire::read(&body)?;
    let conclusion = conclusion(&request.conclusion)
        .ok_or_else(|| Refused::BadRequest(format!("{} is not a conclusion", request.conclusion)))?;
    let results = request.step_results.unwrap_or_default();
    let mut annotations = request.annotations.unwrap_or_default();
    annotations.extend(results.iter().flat_map(|step| step.annotations.clone().unwrap_or_default()));
    if let Some(bad) =
        annotations.iter().find(|annotation| annotation.start_line == 0 || annotation.end_line == 0)
    {
        return Err(Refused::BadRequest(format!("The annotation '{}' has no lines", bad.message)).into());
    }
    let step_results = raw["stepResults"].as_array().cloned().unwrap_or_default();
    app.change(|github| {
        let job = github.own_job(&holder, &request.plan_id, &request.job_id)?;
        for fault in results.iter().filter_map(StepResult::fault) {
            github.violation(format!("job {job}: {fault}"));
        }
        github.finish(
            job,
            Finish {
                conclusion,
                outputs: request.outputs.unwrap_or_default(),
                step_results,
                annotations,
                telemetry: request.telemetry.unwrap_or_default(),
                environment_url: request.environment_url.filter(|url| !url.is_empty()),
            },
        )
    })?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn conclusion(word: &str) -> Option<Conclusion> {
    Some(match word.to_ascii_lowercase().as_str() {
        "succeeded" | "succeededwithissues" => Conclusion::Success,
        "failed" | "abandoned" => Conclusion::Failure,
        "canceled" => Conclusion::Cancelled,
        "skipped" => Conclusion::Skipped,
        _ => return None,
    })
}

impl StepResult {
    /// What no right client sends.
    fn fault(&self) -> Option<String> {
        let name = self.name.as_deref().unwrap_or("a step");
        let skipped = self.conclusion.as_deref().is_some_and(|word| word.eq_ignore_ascii_case("skipped"));
        let typed = self.kind.as_deref().is_some_and(|kind| !kind.is_empty());
        (skipped && typed).then(|| format!("{name} ({}) was skipped and has a type", self.external_id))
    }
}

#[derive(Deserialize)]
struct Audience {
    audience: Option<String>,
}

async fn id_token(
    State(app): State<App>,
    Path((_, plan, job)): Path<(String, String, String)>,
    Query(query): Query<Audience>,
    caller: Authorization,
) -> Result<Json<Value>, RunServiceRefusal> {
    let holder = caller.holder(&app)?;
    let claims = app.read(|github| {
        let id = github.own_job(&holder, &plan, &job)?;
        let missing = || Refused::NotFound(format!("Job {job} not found"));
        let job = github.jobs.get(&id).ok_or_else(missing)?;
        let run = github.runs.get(&job.run).ok_or_else(missing)?;
        let owner = run.repository.split('/').next().unwrap_or_default();
        Ok::<_, Refused>(json!({
            "aud": query.audience.clone().unwrap_or_else(|| format!("{}/{owner}", github.base)),
            "sub": format!("repo:{}:ref:{}", run.repository, run.event.reference),
            "ref": run.event.reference,
            "sha": run.sha,
            "repository": run.repository,
            "repository_owner": owner,
            "run_id": run.id.to_string(),
            "run_attempt": run.attempt.to_string(),
            "actor": run.actor,
            "workflow": run.workflow.name,
            "event_name": run.event.name,
            "runner_environment": "self-hosted",
        }))
    })?;
    let token = app.change(|github| github.signed(claims));
    Ok(Json(json!({"value": token})))
}
