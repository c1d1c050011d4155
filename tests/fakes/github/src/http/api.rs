//! Repositories, runs and jobs in the public API.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value as AnyJson, json};
use uuid::Uuid;

use super::{caller::Authorization, codeload::readable, refusals::RestRefusal, wire};
use crate::{
    Value,
    model::{Job, JobState, Refused, Run},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    let repository = Router::new()
        .route("/", get(repository))
        .route("/contents/{*path}", get(contents))
        .route("/tarball/{*reference}", get(tarball))
        .route("/zipball/{*reference}", get(zipball))
        .route("/commits/{reference}", get(commit))
        .route("/actions/runs", get(runs))
        .route("/actions/runs/{run}", get(run))
        .route("/actions/runs/{run}/jobs", get(jobs))
        .route("/actions/runs/{run}/cancel", post(cancel))
        .route("/actions/runs/{run}/rerun", post(rerun))
        .route("/actions/runs/{run}/rerun-failed-jobs", post(rerun_failed))
        .route("/actions/jobs/{job}", get(job))
        .route("/actions/jobs/{job}/logs", get(log))
        .route("/actions/workflows/{file}/dispatches", post(dispatch));
    Router::new().nest("/repos/{owner}/{name}", repository)
}

type Answer = Result<Json<AnyJson>, RestRefusal>;

fn missing() -> Refused {
    Refused::NotFound("Not Found".to_owned())
}

async fn repository(
    State(app): State<App>,
    Path((owner, name)): Path<(String, String)>,
    caller: Authorization,
) -> Answer {
    let repository = readable(&app, &format!("{owner}/{name}"), &caller)?;
    Ok(Json(json!({
        "id": repository.id,
        "name": name,
        "full_name": repository.name,
        "private": repository.private,
        "default_branch": repository.default_branch,
        "owner": {"login": owner},
        "clone_url": format!("{}/{}.git", app.base, repository.name),
    })))
}

#[derive(Deserialize)]
struct AtReference {
    #[serde(rename = "ref")]
    reference: Option<String>,
}

async fn contents(
    State(app): State<App>,
    Path((owner, name, path)): Path<(String, String, String)>,
    Query(at): Query<AtReference>,
    headers: axum::http::HeaderMap,
    caller: Authorization,
) -> Result<Response, RestRefusal> {
    let repository = readable(&app, &format!("{owner}/{name}"), &caller)?;
    let reference = at.reference.unwrap_or_else(|| repository.default_branch.clone());
    let commit = repository.resolve(&reference).ok_or_else(missing)?;
    let Some(bytes) = repository.file(&commit, &path) else {
        let below = repository.paths(&commit, &format!("{}/", path.trim_end_matches('/')));
        if below.is_empty() {
            return Err(missing().into());
        }
        let entry = |path: &String| json!({"type": "file", "path": path, "name": path.rsplit('/').next()});
        return Ok(Json(below.iter().map(entry).collect::<AnyJson>()).into_response());
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("raw") {
        return Ok(bytes.into_response());
    }
    let answer = json!({
        "type": "file", "encoding": "base64", "size": bytes.len(), "path": path,
        "name": path.rsplit('/').next(), "content": STANDARD.encode(bytes),
    });
    Ok(Json(answer).into_response())
}

async fn tarball(
    State(app): State<App>,
    Path((owner, name, reference)): Path<(String, String, String)>,
    caller: Authorization,
) -> Result<Response, RestRefusal> {
    archive(&app, &format!("{owner}/{name}"), &reference, "legacy.tar.gz", &caller)
}

async fn zipball(
    State(app): State<App>,
    Path((owner, name, reference)): Path<(String, String, String)>,
    caller: Authorization,
) -> Result<Response, RestRefusal> {
    archive(&app, &format!("{owner}/{name}"), &reference, "legacy.zip", &caller)
}

fn archive(
    app: &App,
    name: &str,
    reference: &str,
    format: &str,
    caller: &Authorization,
) -> Result<Response, RestRefusal> {
    let repository = readable(app, name, caller)?;
    repository.resolve(reference).ok_or_else(missing)?;
    let location = format!("{}/codeload/{}/{format}/{reference}", app.base, repository.name);
    Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

async fn commit(
    State(app): State<App>,
    Path((owner, name, reference)): Path<(String, String, String)>,
    caller: Authorization,
) -> Answer {
    let repository = readable(&app, &format!("{owner}/{name}"), &caller)?;
    let sha = repository.resolve(&reference).ok_or_else(missing)?;
    Ok(Json(json!({"sha": sha})))
}

/// The word of the API for where a job stands.
pub(super) fn job_status(job: &Job) -> &'static str {
    match job.state {
        JobState::Queued | JobState::Delivered { .. } => "queued",
        JobState::Running { .. } => "in_progress",
        JobState::Completed(_) => "completed",
    }
}

/// A job in the public form.
pub(super) fn job_json(job: &Job) -> AnyJson {
    let steps: Vec<AnyJson> = job.steps_in_order().into_iter().map(|step| json!(step)).collect();
    json!({
        "id": job.number,
        "run_id": job.run,
        "name": job.name,
        "status": job_status(job),
        "conclusion": job.conclusion(),
        "labels": job.labels,
        "runner_id": job.worked_by,
        "steps": steps,
    })
}

fn run_json(app: &App, run: &Run) -> AnyJson {
    let conclusion = app.read(|github| github.run_conclusion(run.id));
    json!({
        "id": run.id,
        "name": run.workflow.name,
        "display_title": run.title,
        "path": run.workflow.path,
        "run_number": run.number,
        "run_attempt": run.attempt,
        "event": run.event.name,
        "head_sha": run.sha,
        "head_branch": run.event.reference.trim_start_matches("refs/heads/"),
        "status": if conclusion.is_some() { "completed" } else { "in_progress" },
        "conclusion": conclusion,
        "created_at": run.created_at.to_string(),
    })
}

fn find_run(app: &App, owner: &str, name: &str, id: u64, caller: &Authorization) -> Result<Run, Refused> {
    let repository = readable(app, &format!("{owner}/{name}"), caller)?;
    app.read(|github| {
        let run = github.runs.get(&id).filter(|run| run.repository == repository.name);
        run.cloned().ok_or_else(missing)
    })
}

async fn runs(
    State(app): State<App>,
    Path((owner, name)): Path<(String, String)>,
    caller: Authorization,
) -> Answer {
    let repository = readable(&app, &format!("{owner}/{name}"), &caller)?;
    let own: Vec<Run> = app.read(|github| {
        github.runs.values().rev().filter(|run| run.repository == repository.name).cloned().collect()
    });
    let shown: Vec<AnyJson> = own.iter().map(|run| run_json(&app, run)).collect();
    Ok(Json(json!({"total_count": shown.len(), "workflow_runs": shown})))
}

type RunPath = Path<(String, String, u64)>;

async fn run(State(app): State<App>, Path((owner, name, id)): RunPath, caller: Authorization) -> Answer {
    Ok(Json(run_json(&app, &find_run(&app, &owner, &name, id, &caller)?)))
}

async fn jobs(State(app): State<App>, Path((owner, name, id)): RunPath, caller: Authorization) -> Answer {
    let run = find_run(&app, &owner, &name, id, &caller)?;
    let jobs: Vec<AnyJson> =
        app.read(|github| run.jobs.iter().filter_map(|job| github.jobs.get(job)).map(job_json).collect());
    Ok(Json(json!({"total_count": jobs.len(), "jobs": jobs})))
}

async fn cancel(
    State(app): State<App>,
    Path((owner, name, id)): RunPath,
    caller: Authorization,
) -> Result<Response, RestRefusal> {
    caller.writes(&app, &owner)?;
    find_run(&app, &owner, &name, id, &caller)?;
    app.change(|github| {
        if github.run_conclusion(id).is_some() {
            return Err(Refused::Conflict("Cannot cancel a workflow run that is completed.".to_owned()));
        }
        github.cancel_run(id);
        Ok(())
    })?;
    Ok((StatusCode::ACCEPTED, Json(json!({}))).into_response())
}

async fn again(
    app: App,
    (owner, name, id): (String, String, u64),
    caller: Authorization,
    failed_only: bool,
) -> Result<Response, RestRefusal> {
    caller.writes(&app, &owner)?;
    find_run(&app, &owner, &name, id, &caller)?;
    app.change(|github| {
        if github.run_conclusion(id).is_none() {
            return Err(Refused::Forbidden("The workflow run is already running".to_owned()));
        }
        github.rerun(id, failed_only);
        Ok(())
    })?;
    Ok((StatusCode::CREATED, Json(json!({}))).into_response())
}

async fn rerun(
    State(app): State<App>,
    Path(path): RunPath,
    caller: Authorization,
) -> Result<Response, RestRefusal> {
    again(app, path, caller, false).await
}

async fn rerun_failed(
    State(app): State<App>,
    Path(path): RunPath,
    caller: Authorization,
) -> Result<Response, RestRefusal> {
    again(app, path, caller, true).await
}

fn find_job(app: &App, owner: &str, name: &str, id: &str, caller: &Authorization) -> Result<Uuid, Refused> {
    let repository = readable(app, &format!("{owner}/{name}"), caller)?;
    app.read(|github| {
        let job = github.job(id).ok_or_else(missing)?;
        let run = github.runs.get(&job.run).filter(|run| run.repository == repository.name);
        run.map(|_| job.id).ok_or_else(missing)
    })
}

async fn job(
    State(app): State<App>,
    Path((owner, name, id)): Path<(String, String, String)>,
    caller: Authorization,
) -> Answer {
    let id = find_job(&app, &owner, &name, &id, &caller)?;
    Ok(Json(app.read(|github| github.jobs.get(&id).map(job_json)).ok_or_else(missing)?))
}

async fn log(
    State(app): State<App>,
    Path((owner, name, id)): Path<(String, String, String)>,
    caller: Authorization,
) -> Result<String, RestRefusal> {
    let id = find_job(&app, &owner, &name, &id, &caller)?;
    Ok(app.read(|github| github.job_log(id)).ok_or_else(missing)?)
}

#[derive(Deserialize)]
struct Dispatch {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default)]
    inputs: Option<Value>,
}

async fn dispatch(
    State(app): State<App>,
    Path((owner, name, file)): Path<(String, String, String)>,
    caller: Authorization,
    body: Bytes,
) -> Result<StatusCode, RestRefusal> {
    caller.writes(&app, &owner)?;
    let request: Dispatch = wire::read(&body)?;
    let inputs = request.inputs.map(Value::into_object).unwrap_or_default();
    app.change(|github| {
        github.dispatch(&format!("{owner}/{name}"), &file, &request.reference, &inputs, "octocat")
    })?;
    Ok(StatusCode::NO_CONTENT)
}
