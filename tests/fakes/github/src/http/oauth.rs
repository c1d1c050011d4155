//! The token service.

use axum::{
    Form, Json, Router,
    extract::{Path, State},
    http::Uri,
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::refusals::OAuthRefusal;
use crate::{model::Refused, server::App};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/_apis/oauth2/token/{registration}", post(token))
}

#[derive(Deserialize)]
struct Request {
    grant_type: String,
    client_assertion_type: String,
    client_assertion: String,
}

async fn token(
    State(app): State<App>,
    Path(_): Path<String>,
    uri: Uri,
    Form(request): Form<Request>,
) -> Result<Json<Value>, OAuthRefusal> {
    if request.grant_type != "client_credentials"
        || request.client_assertion_type != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    {
        return Err(Refused::InvalidClient("The grant is not supported.".to_owned()).into());
    }
    let audience = format!("{}{}", app.base, uri.path());
    let lifetime = app.read(|github| github.settings.access_token.as_secs());
    let token = app.change(|github| github.access_token(&request.client_assertion, &audience))?;
    Ok(Json(json!({"access_token": token, "expires_in": lifetime, "token_type": "JWT"})))
}
