//! Runners, groups and releases in the public API.

use std::collections::HashMap;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    caller::Authorization,
    refusals::RestRefusal,
    registration::{owner, scope},
    wire,
};
use crate::{
    model::{Identity, Label, Refused, Runner, Scope, TokenKind},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    let scoped = Router::new()
        .route("/actions/runners", get(list))
        .route("/actions/runners/downloads", get(downloads))
        .route("/actions/runners/{runner}", get(one).delete(remove))
        .route("/actions/runners/{runner}/labels", get(labels).post(add_labels))
        .route("/actions/runner-groups", get(groups));
    Router::new()
        .nest("/repos/{owner}/{name}", scoped.clone())
        .nest("/orgs/{organisation}", scoped.clone())
        .nest("/enterprises/{enterprise}", scoped)
}

type Names = Path<HashMap<String, String>>;

/// The scope, when the caller may manage its runners.
fn managed(app: &App, path: &HashMap<String, String>, caller: &Authorization) -> Result<Scope, Refused> {
    let scope = scope(app, path)?;
    match caller.identity(app)? {
        // The runner-admin flow comes with the tokens of registration.
        Identity::Token(TokenKind::Registration | TokenKind::Removal | TokenKind::Tenant(_)) => {}
        _ => caller.administers(app, owner(&scope))?,
    }
    Ok(scope)
}

fn found(app: &App, path: &HashMap<String, String>, scope: &Scope) -> Result<Runner, Refused> {
    let id = path.get("runner").and_then(|id| id.parse::<u64>().ok());
    app.read(|github| {
        let runner = id.and_then(|id| github.runners.get(&id));
        let runner = runner.filter(|runner| runner.registration.scope == *scope);
        runner.cloned().ok_or_else(|| Refused::NotFound("Not Found".to_owned()))
    })
}

fn label_json(label: &Label, id: usize) -> Value {
    json!({"id": id, "name": label.name, "type": if label.system { "read-only" } else { "custom" }})
}

fn labels_json(runner: &Runner) -> Vec<Value> {
    runner.registration.labels.iter().zip(1..).map(|(label, id)| label_json(label, id)).collect()
}

/// A runner in the public form.
pub(super) fn runner_json(app: &App, runner: &Runner) -> Value {
    let (online, busy) =
        app.read(|github| (runner.online(github.now(), github.settings.session), github.busy(runner.id)));
    json!({
        "id": runner.id,
        "name": runner.registration.name,
        "os": runner.registration.os,
        "status": if online { "online" } else { "offline" },
        "busy": busy,
        "ephemeral": runner.registration.ephemeral,
        "runner_group_id": runner.registration.group,
        "labels": labels_json(runner),
    })
}

async fn list(
    State(app): State<App>,
    Path(path): Names,
    Query(query): Query<HashMap<String, String>>,
    caller: Authorization,
) -> Result<Json<Value>, RestRefusal> {
    let scope = managed(&app, &path, &caller)?;
    let name = query.get("name");
    let found: Vec<Runner> = app.read(|github| {
        let own = github.runners.values().filter(|runner| runner.registration.scope == scope);
        own.filter(|runner| name.is_none_or(|name| *name == runner.registration.name)).cloned().collect()
    });
    let number = |name: &str, default: usize| {
        query.get(name).and_then(|value| value.parse().ok()).unwrap_or(default).max(1)
    };
    let (size, page) = (number("per_page", 30).min(100), number("page", 1));
    let shown: Vec<Value> =
        found.iter().skip(size * (page - 1)).take(size).map(|runner| runner_json(&app, runner)).collect();
    Ok(Json(json!({"total_count": found.len(), "runners": shown})))
}

async fn one(
    State(app): State<App>,
    Path(path): Names,
    caller: Authorization,
) -> Result<Json<Value>, RestRefusal> {
    let scope = managed(&app, &path, &caller)?;
    Ok(Json(runner_json(&app, &found(&app, &path, &scope)?)))
}

async fn remove(
    State(app): State<App>,
    Path(path): Names,
    caller: Authorization,
) -> Result<StatusCode, RestRefusal> {
    let scope = managed(&app, &path, &caller)?;
    let runner = found(&app, &path, &scope)?;
    app.change(|github| github.remove_runner(runner.id)).map_err(|refused| match refused {
        Refused::RunnerBusy(_) => Refused::Unprocessable(refused.to_string()),
        other => other,
    })?;
    Ok(StatusCode::NO_CONTENT)
}

async fn labels(
    State(app): State<App>,
    Path(path): Names,
    caller: Authorization,
) -> Result<Json<Value>, RestRefusal> {
    let scope = managed(&app, &path, &caller)?;
    let labels = labels_json(&found(&app, &path, &scope)?);
    Ok(Json(json!({"total_count": labels.len(), "labels": labels})))
}

async fn add_labels(
    State(app): State<App>,
    Path(path): Names,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, RestRefusal> {
    #[derive(Deserialize)]
    struct Request {
        labels: Vec<String>,
    }
    let scope = managed(&app, &path, &caller)?;
    let request: Request = wire::read(&body)?;
    let id = found(&app, &path, &scope)?.id;
    app.change(|github| {
        if let Some(runner) = github.runners.get_mut(&id) {
            let new = request.labels.into_iter().map(|name| Label { name, system: false });
            runner.registration.labels.extend(new);
        }
    });
    let labels = labels_json(&found(&app, &path, &scope)?);
    Ok(Json(json!({"total_count": labels.len(), "labels": labels})))
}

async fn groups(
    State(app): State<App>,
    Path(path): Names,
    caller: Authorization,
) -> Result<Json<Value>, RestRefusal> {
    managed(&app, &path, &caller)?;
    let groups: Vec<Value> = app.read(|github| {
        let one = |group: &crate::model::RunnerGroup| {
            json!({"id": group.id, "name": group.name, "default": group.id == 1, "is_hosted": group.hosted})
        };
        github.groups.iter().map(one).collect()
    });
    Ok(Json(json!({"total_count": groups.len(), "runner_groups": groups})))
}

async fn downloads(
    State(app): State<App>,
    Path(path): Names,
    caller: Authorization,
) -> Result<Json<Value>, RestRefusal> {
    managed(&app, &path, &caller)?;
    let version = app.read(|github| github.settings.runner_release.clone());
    let one = |os: &str, architecture: &str| {
        let filename = format!("actions-runner-{os}-{architecture}-{version}.tar.gz");
        json!({
            "os": os, "architecture": architecture, "filename": filename,
            "download_url": format!("{}/actions/runner/releases/download/v{version}/{filename}", app.base),
            "sha256_checksum": "0".repeat(64),
        })
    };
    Ok(Json(json!([one("linux", "x64"), one("linux", "arm64"), one("osx", "arm64"), one("win", "x64")])))
}
