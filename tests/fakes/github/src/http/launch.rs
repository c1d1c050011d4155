//! Action resolution.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{caller::Authorization, refusals::TwirpRefusal, wire};
use crate::server::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/actions/build/{plan}/jobs/{job}/runnerresolve/actions", post(resolve))
}

#[derive(Deserialize)]
struct Request {
    actions: Vec<Wanted>,
}

#[derive(Deserialize)]
struct Wanted {
    action: String,
    version: String,
}

/// A version of an action that is there.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) commit: String,
    pub(super) archive: String,
    /// A token for the archive and its end, when it is private.
    pub(super) token: Option<(String, String)>,
}

/// Finds a version of an action.
pub(super) fn find(app: &App, action: &str, version: &str) -> Option<Found> {
    let repository = app.read(|github| github.repositories.get(&action.to_lowercase()).cloned())?;
    let commit = repository.resolve(version)?;
    let owner = repository.name.split('/').next().unwrap_or_default();
    let token = repository.private.then(|| {
        let (token, expires) = app.change(|github| github.installation_token(owner));
        (token, expires.to_string())
    });
    let archive = format!("{}/codeload/{}", app.base, repository.name);
    Some(Found { name: repository.name, commit, archive, token })
}

/// What GitHub says of an action that is not there.
pub(super) fn missing(action: &str, version: &str) -> String {
    format!("Unable to resolve action `{action}@{version}`, repository or version not found")
}

async fn resolve(
    State(app): State<App>,
    Path((plan, job)): Path<(String, Uuid)>,
    caller: Authorization,
    body: Bytes,
) -> Result<Response, TwirpRefusal> {
    let holder = caller.holder(&app)?;
    app.read(|github| github.own_job(&holder, &plan, &job.to_string()))?;
    let request: Request = wire::read(&body)?;
    let (mut actions, mut errors) = (Map::new(), Map::new());
    for Wanted { action, version } in request.actions {
        let key = format!("{action}@{version}");
        let Some(found) = find(&app, &action, &version) else {
            errors.insert(key, json!({"message": missing(&action, &version)}));
            continue;
        };
        let authentication =
            found.token.map(|(token, expires)| json!({"token": token, "expires_at": expires}));
        actions.insert(
            key,
            json!({
                "name": action,
                "resolved_name": found.name,
                "version": version,
                "resolved_sha": found.commit,
                "tar_url": format!("{}/tar.gz/{}", found.archive, found.commit),
                "zip_url": format!("{}/zip/{}", found.archive, found.commit),
                "authentication": authentication,
                "package_details": Value::Null,
            }),
        );
    }
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, Json(json!({"actions": actions, "errors": errors}))).into_response())
}
