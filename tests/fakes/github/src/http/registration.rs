//! Registering runners through the public API.

use std::collections::HashMap;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    caller::Authorization,
    jit,
    pools::{public_key, token_path},
    refusals::RestRefusal,
    wire,
};
use crate::{
    model::{Identity, Label, Refused, Registration, Scope, TokenKind},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    let scoped = Router::new()
        .route("/actions/runners/registration-token", post(registration_token))
        .route("/actions/runners/remove-token", post(remove_token))
        .route("/actions/runners/generate-jitconfig", post(jit::generate));
    Router::new()
        .nest("/repos/{owner}/{name}", scoped.clone())
        .nest("/orgs/{organisation}", scoped.clone())
        .nest("/enterprises/{enterprise}", scoped)
        .route("/actions/runner-registration", post(runner_registration))
        .route("/actions/runners/register", post(register))
}

/// The scope that a path names. A repository must be there.
pub(super) fn scope(app: &App, path: &HashMap<String, String>) -> Result<Scope, Refused> {
    let part = |name: &str| path.get(name).cloned().unwrap_or_default();
    if path.contains_key("organisation") {
        Ok(Scope::Organisation(part("organisation")))
    } else if path.contains_key("enterprise") {
        Ok(Scope::Enterprise(part("enterprise")))
    } else {
        let name = format!("{}/{}", part("owner"), part("name"));
        let known =
            app.read(|github| github.repositories.get(&name.to_lowercase()).map(|known| known.name.clone()));
        known.map(Scope::Repository).ok_or_else(|| Refused::NotFound("Not Found".to_owned()))
    }
}

/// The account of a scope.
pub(super) fn owner(scope: &Scope) -> &str {
    match scope {
        Scope::Repository(name) => name.split('/').next().unwrap_or_default(),
        Scope::Organisation(name) | Scope::Enterprise(name) => name,
    }
}

fn token(
    app: &App,
    path: &HashMap<String, String>,
    caller: &Authorization,
    kind: TokenKind,
) -> Result<Response, RestRefusal> {
    let scope = scope(app, path)?;
    caller.administers(app, owner(&scope))?;
    let (token, expires) = app.change(|github| github.runner_token(kind));
    let answer = json!({"token": token, "expires_at": format!("{expires:.3}")});
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn registration_token(
    State(app): State<App>,
    Path(path): Path<HashMap<String, String>>,
    caller: Authorization,
) -> Result<Response, RestRefusal> {
    token(&app, &path, &caller, TokenKind::Registration)
}

async fn remove_token(
    State(app): State<App>,
    Path(path): Path<HashMap<String, String>>,
    caller: Authorization,
) -> Result<Response, RestRefusal> {
    token(&app, &path, &caller, TokenKind::Removal)
}

#[derive(Deserialize)]
struct RunnerEvent {
    url: String,
    runner_event: String,
}

/// Registration and removal begin with this exchange of tokens.
async fn runner_registration(
    State(app): State<App>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, RestRefusal> {
    let request: RunnerEvent = wire::read(&body)?;
    let scheme = caller.0.as_deref().and_then(|value| value.split_once(' ')).map(|(scheme, _)| scheme);
    if !scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("remoteauth")) {
        return Err(Refused::Unauthorized.into());
    }
    let scope = Scope::of_url(&request.url)
        .ok_or_else(|| Refused::NotFound(format!("{} is not a GitHub address", request.url)))?;
    let missing = || Refused::NotFound("Not Found".to_owned());
    let scope = match scope {
        Scope::Repository(name) => {
            let known = app
                .read(|github| github.repositories.get(&name.to_lowercase()).map(|known| known.name.clone()));
            Scope::Repository(known.ok_or_else(missing)?)
        }
        other => other,
    };
    match (caller.identity(&app)?, request.runner_event.as_str()) {
        (Identity::Token(TokenKind::Registration), "register")
        | (Identity::Token(TokenKind::Removal), "remove") => {}
        (Identity::Token(TokenKind::Registration | TokenKind::Removal), _) => return Err(missing().into()),
        _ => return Err(Refused::Unauthorized.into()),
    }
    let (token, admin) = app.change(|github| {
        let lifetime = github.settings.registration_token;
        let claims = json!({"sub": "runner-registration"});
        (github.jwt(TokenKind::Tenant(scope), lifetime, claims), github.settings.runner_admin)
    });
    let mut answer = json!({
        "token": token,
        "token_schema": "OAuthAccessToken",
        "url": format!("{}/_services/pipelines/fake/", app.base),
    });
    if admin {
        answer["use_v2_flow"] = json!(true);
    }
    Ok(Json(answer))
}

#[derive(Deserialize)]
struct Register {
    url: String,
    group_id: u64,
    name: String,
    version: String,
    #[serde(default)]
    updates_disabled: bool,
    #[serde(default)]
    ephemeral: bool,
    #[serde(default)]
    labels: Vec<RegisterLabel>,
    public_key: String,
    #[serde(default)]
    runner_id: Option<u64>,
    #[serde(default)]
    replace: bool,
}

#[derive(Deserialize)]
struct RegisterLabel {
    #[serde(alias = "Name")]
    name: String,
    #[serde(default, rename = "type", alias = "Type")]
    kind: String,
}

/// The numbers of `<RSAKeyValue>`.
fn xml_number<'a>(xml: &'a str, name: &str) -> Result<&'a str, Refused> {
    xml.split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once('<'))
        .map(|(number, _)| number)
        .ok_or_else(|| Refused::Unprocessable(format!("The public key has no {name}")))
}

/// The runner-admin flow's registration.
async fn register(
    State(app): State<App>,
    caller: Authorization,
    body: Bytes,
) -> Result<Response, RestRefusal> {
    match caller.identity(&app)? {
        Identity::Token(TokenKind::Registration | TokenKind::Tenant(_)) => {}
        _ => return Err(Refused::Forbidden("This call takes a registration token".to_owned()).into()),
    }
    let request: Register = wire::read(&body)?;
    let scope = Scope::of_url(&request.url)
        .ok_or_else(|| Refused::Unprocessable(format!("{} is not a GitHub address", request.url)))?;
    let key = public_key(
        xml_number(&request.public_key, "Modulus")?,
        xml_number(&request.public_key, "Exponent")?,
    )?;
    let registration = Registration {
        scope,
        group: request.group_id,
        name: request.name,
        version: request.version,
        os: String::new(),
        labels: request
            .labels
            .into_iter()
            .map(|label| Label { name: label.name, system: label.kind.eq_ignore_ascii_case("system") })
            .collect(),
        ephemeral: request.ephemeral,
        disable_update: request.updates_disabled,
        key,
    };
    let runner = app.change(|github| {
        let id = match request.runner_id {
            Some(id) if request.replace => github.replace(id, registration).map(|()| id),
            _ => github.register(registration),
        }?;
        github.runners.get(&id).cloned().ok_or(Refused::RunnerNotFound)
    })?;
    let answer = json!({
        "id": runner.id,
        "name": runner.registration.name,
        "authorization": {
            "authorization_url": format!("{}/_apis/oauth2/token/{}", app.base, token_path(&runner)),
            "server_url": format!("{}/broker/", app.base),
            "client_id": runner.client,
        },
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}
