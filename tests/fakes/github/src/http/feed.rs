//! The live console: a websocket.

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response, StatusCode, header},
    response::IntoResponse,
    routing::any,
};
use futures_util::StreamExt;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};
use uuid::Uuid;

use super::{
    caller::Authorization,
    refusals::{TwirpRefusal, status},
};
use crate::{
    model::{Refused, TokenKind},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/_ws/ingest.sock", any(connect))
}

/// Lines of a step.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) struct Lines {
    #[serde(default)]
    pub(super) value: Vec<String>,
    #[serde(default)]
    pub(super) stepid: Option<Uuid>,
    #[serde(default)]
    pub(super) startline: Option<u64>,
}

async fn connect(
    State(app): State<App>,
    caller: Authorization,
    mut request: Request<Body>,
) -> Result<Response<Body>, TwirpRefusal> {
    let TokenKind::Job(job) = caller.holder(&app)? else {
        return Err(Refused::Unauthorized.into());
    };
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        let refused = Refused::BadRequest("This takes a websocket".to_owned());
        return Ok(status(&refused).into_response());
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            listen(&app, job, socket).await;
        }
    });
    let headers = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

async fn listen<S>(app: &App, job: Uuid, mut socket: WebSocketStream<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut left = app.read(|github| github.settings.feed_messages);
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => match super::wire::read_any_case::<Lines>(text.as_bytes()) {
                Ok(lines) => {
                    app.change(|github| github.live_lines(job, lines.stepid, lines.startline, lines.value))
                }
                Err(error) => {
                    app.change(|github| github.violation(format!("live console of {job}: {error}")))
                }
            },
            Message::Close(_) => break,
            _ => continue,
        }
        left = left.map(|left| left.saturating_sub(1));
        if left == Some(0) {
            // The connection ends without a word, as when a front end is replaced.
            return;
        }
    }
    drop(socket.close(None).await);
}
