//! GitHub Apps.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{caller::Authorization, refusals::RestRefusal};
use crate::{
    model::{App as GitHubApp, Identity, Refused},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/app", get(own))
        .route("/app/installations", get(list))
        .route("/app/installations/{installation}/access_tokens", post(token))
        .route("/repos/{owner}/{name}/installation", get(of_repository))
        .route("/orgs/{account}/installation", get(of_account))
        .route("/users/{account}/installation", get(of_account))
}

fn app_of(app: &App, caller: &Authorization) -> Result<GitHubApp, Refused> {
    match caller.identity(app)? {
        Identity::App(id) => app.read(|github| github.apps.get(&id).cloned()).ok_or(Refused::Unauthorized),
        Identity::Token(_) => Err(Refused::Forbidden("A JSON web token could not be decoded".to_owned())),
    }
}

fn installation_json(app: &App, owner: &GitHubApp, id: u64, account: &str) -> Value {
    json!({
        "id": id,
        "app_id": owner.id,
        "account": {"login": account},
        "access_tokens_url": format!("{}/api/v3/app/installations/{id}/access_tokens", app.base),
        "repository_selection": "all",
    })
}

async fn own(State(app): State<App>, caller: Authorization) -> Result<Json<Value>, RestRefusal> {
    let owner = app_of(&app, &caller)?;
    Ok(Json(json!({"id": owner.id, "slug": format!("app-{}", owner.id)})))
}

async fn list(State(app): State<App>, caller: Authorization) -> Result<Json<Value>, RestRefusal> {
    let owner = app_of(&app, &caller)?;
    let all = owner.installations.iter().map(|(id, account)| installation_json(&app, &owner, *id, account));
    Ok(Json(all.collect()))
}

fn find(app: &App, caller: &Authorization, account: &str) -> Result<Json<Value>, RestRefusal> {
    let owner = app_of(app, caller)?;
    let found = owner.installations.iter().find(|(_, own)| own.eq_ignore_ascii_case(account));
    let (id, account) = found.ok_or_else(|| Refused::NotFound("Not Found".to_owned()))?;
    Ok(Json(installation_json(app, &owner, *id, account)))
}

async fn of_repository(
    State(app): State<App>,
    Path((owner, _)): Path<(String, String)>,
    caller: Authorization,
) -> Result<Json<Value>, RestRefusal> {
    find(&app, &caller, &owner)
}

async fn of_account(
    State(app): State<App>,
    Path(account): Path<String>,
    caller: Authorization,
) -> Result<Json<Value>, RestRefusal> {
    find(&app, &caller, &account)
}

async fn token(
    State(app): State<App>,
    Path(installation): Path<u64>,
    caller: Authorization,
) -> Result<Response, RestRefusal> {
    let owner = app_of(&app, &caller)?;
    let account = owner.installations.get(&installation);
    let account = account.ok_or_else(|| Refused::NotFound("Not Found".to_owned()))?;
    let (token, expires) = app.change(|github| github.installation_token(account));
    let answer = json!({
        "token": token,
        "expires_at": format!("{expires:.0}"),
        "permissions": {"administration": "write", "metadata": "read"},
        "repository_selection": "all",
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}
