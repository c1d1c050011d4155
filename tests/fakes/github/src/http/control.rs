//! What GitHub has not: steering it by hand.

use std::{collections::BTreeMap, io::Read};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{refusals::RestRefusal, wire};
use crate::{
    faults::Fault,
    model::{App as GitHubApp, Files, Message, MessageKind, Push, Refused},
    page,
    server::App,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/repos/{owner}/{name}", put(configure))
        .route("/repos/{owner}/{name}/push", post(push))
        .route("/runs", get(runs))
        .route("/runs/{run}", get(run))
        .route("/runs/{run}/cancel", post(cancel))
        .route("/jobs/{job}/log", get(log))
        .route("/tokens", post(allow))
        .route("/apps", post(add_app))
        .route("/runners/{runner}", delete(revoke))
        .route("/runners/{runner}/messages", post(send))
        .route("/faults", post(inject).delete(heal))
        .route("/calls", get(calls))
        .route("/violations", get(violations))
        .layer(DefaultBodyLimit::disable())
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    private: bool,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

async fn configure(
    State(app): State<App>,
    Path((owner, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, RestRefusal> {
    let wanted: Configuration = wire::read(&body)?;
    app.change(|github| {
        let repository = github
            .repository(&format!("{owner}/{name}"))
            .map_err(|error| Refused::Unprocessable(error.to_string()))?;
        repository.private = wanted.private;
        repository.secrets = wanted.secrets;
        repository.variables = wanted.variables;
        Ok::<_, Refused>(())
    })?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct PushQuery {
    #[serde(rename = "ref")]
    reference: Option<String>,
    actor: Option<String>,
}

#[derive(Deserialize)]
struct PushBody {
    files: BTreeMap<String, String>,
}

/// Takes a tree as JSON (`{"files": {path: text}}`) or as a tar archive.
async fn push(
    State(app): State<App>,
    Path((owner, name)): Path<(String, String)>,
    Query(query): Query<PushQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, RestRefusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let files = if kind.starts_with("application/json") {
        let tree: PushBody = wire::read(&body)?;
        let file = |(path, text): (String, String)| {
            let executable = text.starts_with("#!");
            (path, (text.into_bytes(), executable))
        };
        tree.files.into_iter().map(file).collect()
    } else {
        unpack(&body).map_err(|error| Refused::BadRequest(format!("The archive is not valid: {error}")))?
    };
    let push = Push {
        repository: format!("{owner}/{name}"),
        reference: query.reference.unwrap_or_else(|| "refs/heads/main".to_owned()),
        files,
        message: "Push by hand".to_owned(),
        actor: query.actor.unwrap_or_else(|| "octocat".to_owned()),
    };
    let (sha, runs) =
        app.change(|github| github.push(&push)).map_err(|error| Refused::Unprocessable(error.to_string()))?;
    Ok(Json(json!({"sha": sha, "runs": runs})))
}

/// The files of a tar archive, without those of a `.git` folder.
fn unpack(bytes: &[u8]) -> std::io::Result<Files> {
    let mut files = Files::new();
    for entry in tar::Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        if !entry.header().entry_type().is_file() || path.starts_with(".git/") {
            continue;
        }
        let executable = entry.header().mode()? & 0o100 != 0;
        let mut text = Vec::new();
        entry.read_to_end(&mut text)?;
        files.insert(path, (text, executable));
    }
    Ok(files)
}

async fn runs(State(app): State<App>) -> Json<Value> {
    Json(app.read(|github| {
        let one = |run: &crate::model::Run| {
            json!({"id": run.id, "repository": run.repository, "workflow": run.workflow.name,
                "attempt": run.attempt, "conclusion": github.run_conclusion(run.id)})
        };
        github.runs.values().map(one).collect()
    }))
}

fn missing() -> Refused {
    Refused::NotFound("There is no such thing".to_owned())
}

/// The page of a run: text for people, JSON for programs that ask for it.
async fn run(
    State(app): State<App>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, RestRefusal> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("json") {
        let page = app.read(|github| page::of_run(github, id)).ok_or_else(missing)?;
        return Ok(Json(page).into_response());
    }
    Ok(app.read(|github| page::text(github, id)).ok_or_else(missing)?.into_response())
}

async fn cancel(State(app): State<App>, Path(id): Path<u64>) -> StatusCode {
    app.change(|github| github.cancel_run(id));
    StatusCode::ACCEPTED
}

async fn log(State(app): State<App>, Path(job): Path<String>) -> Result<String, RestRefusal> {
    let log = app.read(|github| github.job_log(github.job(&job)?.id));
    Ok(log.ok_or_else(missing)?)
}

async fn allow(State(app): State<App>, token: String) -> StatusCode {
    app.change(|github| github.allow(token.trim()));
    StatusCode::CREATED
}

#[derive(Deserialize)]
struct NewApp {
    id: u64,
    public_key: String,
    installations: BTreeMap<u64, String>,
}

async fn add_app(State(app): State<App>, body: Bytes) -> Result<StatusCode, RestRefusal> {
    let NewApp { id, public_key, installations } = wire::read(&body)?;
    app.change(|github| github.apps.insert(id, GitHubApp { id, public_key, installations }));
    Ok(StatusCode::CREATED)
}

async fn revoke(State(app): State<App>, Path(id): Path<u64>) -> StatusCode {
    app.change(|github| github.revoke(id));
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
struct NewMessage {
    kind: MessageKind,
    #[serde(default)]
    body: Value,
}

async fn send(State(app): State<App>, Path(id): Path<u64>, body: Bytes) -> Result<StatusCode, RestRefusal> {
    let NewMessage { kind, body } = wire::read(&body)?;
    app.change(|github| github.send(id, Message { kind, body }));
    Ok(StatusCode::CREATED)
}

async fn inject(State(app): State<App>, body: Bytes) -> Result<StatusCode, RestRefusal> {
    let fault: Fault = wire::read(&body)?;
    app.inject(fault);
    Ok(StatusCode::CREATED)
}

async fn heal(State(app): State<App>) -> StatusCode {
    app.clear_faults();
    StatusCode::NO_CONTENT
}

async fn calls(State(app): State<App>) -> Json<Value> {
    Json(app.read(|github| json!(github.calls)))
}

async fn violations(State(app): State<App>) -> Json<Value> {
    Json(app.read(|github| json!(github.violations)))
}
