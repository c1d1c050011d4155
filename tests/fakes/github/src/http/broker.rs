//! The broker: sessions, messages, acknowledgements.

use std::time::{Duration, Instant};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{caller::Authorization, refusals::BrokerRefusal, wire};
use crate::{
    model::{Message, MessageKind, Refused},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/session", post(open).delete(close))
        .route("/message", get(message))
        .route("/acknowledge", post(acknowledge))
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) struct SessionRequest {
    #[serde(default)]
    pub(super) ownername: String,
    pub(super) agent: SessionAgent,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) struct SessionAgent {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) version: String,
}

async fn open(State(app): State<App>, caller: Authorization, body: Bytes) -> Result<Response, BrokerRefusal> {
    let runner = caller.runner(&app)?;
    let request: SessionRequest = wire::read_any_case(&body)?;
    if request.agent.id != runner {
        return Err(Refused::Forbidden("The token is another runner's".to_owned()).into());
    }
    let session =
        app.change(|github| github.open_session(runner, &request.ownername, &request.agent.version))?;
    let answer = json!({
        "sessionId": session,
        "ownerName": request.ownername,
        "assignmentQueued": false,
        "orchestrationId": "",
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn close(State(app): State<App>, caller: Authorization) -> Result<StatusCode, BrokerRefusal> {
    let runner = caller.runner(&app)?;
    app.change(|github| github.close_session(runner))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Poll {
    session_id: Uuid,
    #[serde(default)]
    status: String,
    #[serde(default)]
    runner_version: String,
}

async fn message(
    State(app): State<App>,
    caller: Authorization,
    Query(poll): Query<Poll>,
) -> Result<Response, BrokerRefusal> {
    let runner = caller.runner(&app)?;
    let busy = poll.status.eq_ignore_ascii_case("busy");
    let wait = Wait::new(&app);
    let found = wait
        .until(|| app.quietly(|github| github.poll(runner, poll.session_id, busy, &poll.runner_version)))
        .await?;
    match found {
        None => Ok(StatusCode::ACCEPTED.into_response()),
        Some(Message { kind, body }) => {
            if kind == MessageKind::JobCancellation {
                // It comes again with the next poll; the service takes about this long.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let text = if body.is_null() { String::new() } else { body.to_string() };
            let id = Uuid::new_v4().as_u128() >> 65;
            let id = u64::try_from(id).unwrap_or_default();
            Ok(Json(json!({"messageId": id, "messageType": kind, "body": text})).into_response())
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Acknowledgement {
    runner_request_id: Uuid,
}

async fn acknowledge(
    State(app): State<App>,
    caller: Authorization,
    body: Bytes,
) -> Result<StatusCode, BrokerRefusal> {
    let runner = caller.runner(&app)?;
    let acknowledgement: Acknowledgement = wire::read(&body)?;
    app.change(|github| github.acknowledge(runner, acknowledgement.runner_request_id))?;
    Ok(StatusCode::OK)
}

/// A poll that is held while there is nothing to say.
pub(super) struct Wait<'a> {
    app: &'a App,
    end: Instant,
}

impl<'a> Wait<'a> {
    pub(super) fn new(app: &'a App) -> Self {
        Self { app, end: Instant::now() + app.read(|github| github.settings.poll_hold) }
    }

    pub(super) async fn until<T>(
        self,
        mut look: impl FnMut() -> Result<Option<T>, Refused>,
    ) -> Result<Option<T>, Refused> {
        let mut changes = self.app.watch();
        loop {
            changes.borrow_and_update();
            if let Some(found) = look()? {
                self.app.notify();
                return Ok(Some(found));
            }
            let Some(left) = self.end.checked_duration_since(Instant::now()) else { return Ok(None) };
            drop(tokio::time::timeout(left.min(Duration::from_millis(200)), changes.changed()).await);
        }
    }
}
