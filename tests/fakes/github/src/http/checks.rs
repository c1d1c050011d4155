//! Check runs and commit statuses in the public API.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, patch, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{caller::Authorization, codeload::readable, refusals::RestRefusal, wire};
use crate::{
    model::{CheckRun, CommitStatus, Refused},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/repos/{owner}/{name}/check-runs", post(create))
        .route("/repos/{owner}/{name}/check-runs/{id}", patch(update).get(one))
        .route("/repos/{owner}/{name}/check-runs/{id}/annotations", get(annotations))
        .route("/repos/{owner}/{name}/commits/{reference}/check-runs", get(list))
        .route("/repos/{owner}/{name}/statuses/{sha}", post(set_status))
        .route("/repos/{owner}/{name}/commits/{reference}/status", get(status))
}

#[derive(Default, Deserialize)]
struct Request {
    name: Option<String>,
    head_sha: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    details_url: Option<String>,
    external_id: Option<String>,
    output: Option<Value>,
}

const CONCLUSIONS: &[&str] =
    &["action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out"];

/// Takes a request over, by the rules of the API.
fn apply(check: &mut CheckRun, request: Request) -> Result<(), Refused> {
    if let Some(conclusion) = &request.conclusion {
        if !CONCLUSIONS.contains(&conclusion.as_str()) {
            return Err(Refused::Unprocessable(format!("Invalid request. {conclusion} is not a conclusion")));
        }
        // A conclusion ends the check run, whatever the status says.
        check.status = "completed".to_owned();
        check.conclusion = request.conclusion;
    } else if let Some(status) = request.status {
        if status == "completed" {
            return Err(Refused::Unprocessable(
                "Invalid request. \"conclusion\" wasn't supplied.".to_owned(),
            ));
        }
        check.status = status;
    }
    check.name = request.name.unwrap_or_else(|| check.name.clone());
    check.details_url = request.details_url.or(check.details_url.take());
    check.external_id = request.external_id.or(check.external_id.take());
    if let Some(mut output) = request.output {
        if output["title"].is_null() || output["summary"].is_null() {
            return Err(Refused::Unprocessable(
                "Invalid request. \"title\" and \"summary\" are needed.".to_owned(),
            ));
        }
        let annotations = output["annotations"].take();
        let annotations = annotations.as_array().cloned().unwrap_or_default();
        if annotations.len() > 50 {
            return Err(Refused::Unprocessable(
                "Invalid request. No more than 50 annotations at once.".to_owned(),
            ));
        }
        check.annotations.extend(annotations);
        output["annotations_count"] = json!(check.annotations.len());
        check.output = output;
    }
    Ok(())
}

fn allowed(
    app: &App,
    owner: &str,
    name: &str,
    caller: &Authorization,
    permission: &str,
) -> Result<String, Refused> {
    caller.may_write(app, owner, permission)?;
    Ok(readable(app, &format!("{owner}/{name}"), caller)?.name)
}

async fn create(
    State(app): State<App>,
    Path((owner, name)): Path<(String, String)>,
    caller: Authorization,
    body: Bytes,
) -> Result<Response, RestRefusal> {
    let repository = allowed(&app, &owner, &name, &caller, "Checks")?;
    let request: Request = wire::read(&body)?;
    let missing =
        |what: &str| Refused::Unprocessable(format!("Invalid request. \"{what}\" wasn't supplied."));
    let check = app.change(|github| {
        let mut check = CheckRun {
            id: github.next_id(),
            repository,
            head_sha: request.head_sha.clone().ok_or_else(|| missing("head_sha"))?,
            name: request.name.clone().ok_or_else(|| missing("name"))?,
            status: "queued".to_owned(),
            conclusion: None,
            details_url: None,
            external_id: None,
            output: Value::Null,
            annotations: Vec::new(),
        };
        apply(&mut check, request)?;
        github.check_runs.insert(check.id, check.clone());
        Ok::<_, Refused>(check)
    })?;
    Ok((StatusCode::CREATED, Json(check)).into_response())
}

async fn update(
    State(app): State<App>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<CheckRun>, RestRefusal> {
    let repository = allowed(&app, &owner, &name, &caller, "Checks")?;
    let request: Request = wire::read(&body)?;
    let check = app.change(|github| {
        let check = github.check_runs.get_mut(&id).filter(|check| check.repository == repository);
        let check = check.ok_or_else(|| Refused::NotFound("Not Found".to_owned()))?;
        apply(check, request)?;
        Ok::<_, Refused>(check.clone())
    })?;
    Ok(Json(check))
}

fn find(app: &App, id: u64) -> Result<CheckRun, Refused> {
    app.read(|github| github.check_runs.get(&id).cloned())
        .ok_or_else(|| Refused::NotFound("Not Found".to_owned()))
}

async fn one(
    State(app): State<App>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    caller: Authorization,
) -> Result<Json<CheckRun>, RestRefusal> {
    readable(&app, &format!("{owner}/{name}"), &caller)?;
    Ok(Json(find(&app, id)?))
}

async fn annotations(
    State(app): State<App>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    caller: Authorization,
) -> Result<Json<Vec<Value>>, RestRefusal> {
    readable(&app, &format!("{owner}/{name}"), &caller)?;
    Ok(Json(find(&app, id)?.annotations))
}

/// The check runs of a commit: those of the API, and one for each job.
async fn list(
    State(app): State<App>,
    Path((owner, name, reference)): Path<(String, String, String)>,
    caller: Authorization,
) -> Result<Json<Value>, RestRefusal> {
    let repository = readable(&app, &format!("{owner}/{name}"), &caller)?;
    let sha = repository.resolve(&reference).ok_or_else(|| Refused::NotFound("Not Found".to_owned()))?;
    let all: Vec<Value> = app.read(|github| {
        let made = github.check_runs.values().filter(|check| check.head_sha == sha).map(|check| json!(check));
        let runs = github.runs.values().filter(|run| run.sha == sha && run.repository == repository.name);
        let jobs = runs.flat_map(|run| &run.jobs).filter_map(|job| github.jobs.get(job)).map(|job| {
            json!({
                "id": job.number,
                "head_sha": sha,
                "name": job.name,
                "status": super::api::job_status(job),
                "conclusion": job.conclusion(),
                "app": {"slug": "github-actions"},
            })
        });
        made.chain(jobs).collect()
    });
    Ok(Json(json!({"total_count": all.len(), "check_runs": all})))
}

#[derive(Deserialize)]
struct StatusRequest {
    state: String,
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    target_url: Option<String>,
}

async fn set_status(
    State(app): State<App>,
    Path((owner, name, sha)): Path<(String, String, String)>,
    caller: Authorization,
    body: Bytes,
) -> Result<Response, RestRefusal> {
    let repository = allowed(&app, &owner, &name, &caller, "Statuses")?;
    let request: StatusRequest = wire::read(&body)?;
    if !["error", "failure", "pending", "success"].contains(&request.state.as_str()) {
        return Err(Refused::Unprocessable("Validation Failed".to_owned()).into());
    }
    let status = app.change(|github| {
        let status = CommitStatus {
            repository,
            sha,
            state: request.state,
            context: request.context.unwrap_or_else(|| "default".to_owned()),
            description: request.description,
            target_url: request.target_url,
            created_at: github.now(),
        };
        github.statuses.push(status.clone());
        status
    });
    Ok((StatusCode::CREATED, Json(status)).into_response())
}

/// The newest status of each context, and what they are together.
async fn status(
    State(app): State<App>,
    Path((owner, name, reference)): Path<(String, String, String)>,
    caller: Authorization,
) -> Result<Json<Value>, RestRefusal> {
    let repository = readable(&app, &format!("{owner}/{name}"), &caller)?;
    let sha = repository.resolve(&reference).ok_or_else(|| Refused::NotFound("Not Found".to_owned()))?;
    let mut newest: Vec<CommitStatus> = Vec::new();
    app.read(|github| {
        for status in github.statuses.iter().rev().filter(|status| status.sha == sha) {
            if !newest.iter().any(|known| known.context == status.context) {
                newest.push(status.clone());
            }
        }
    });
    let any = |states: &[&str]| newest.iter().any(|status| states.contains(&status.state.as_str()));
    let together = if any(&["error", "failure"]) {
        "failure"
    } else if any(&["pending"]) || newest.is_empty() {
        "pending"
    } else {
        "success"
    };
    Ok(Json(json!({"state": together, "sha": sha, "total_count": newest.len(), "statuses": newest})))
}
