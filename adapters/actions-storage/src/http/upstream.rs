//! What is GitHub's to answer.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, header};
use axum::response::Response;

use super::App;
use super::caller::Caller;
use super::refusals::Refusal;
use crate::error::StorageError;

/// What belongs to one connection alone.
const NOT_HANDED_ON: &[HeaderName] = &[
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Hands a call on as it is.
pub(super) async fn forward(
    State(app): State<App>,
    caller: Caller,
    request: Request,
) -> Result<Response, Refusal> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let Some(upstream) = &caller.grant.upstream else {
        return Err(StorageError::NotFound(format!("there is no call {path}")).into());
    };
    let url = format!("{}{path}", upstream.trim_end_matches('/'));
    let (parts, body) = request.into_parts();
    let mut headers = parts.headers;
    NOT_HANDED_ON.iter().for_each(|name| drop(headers.remove(name)));
    let sent = app
        .client()?
        .request(parts.method, url)
        .headers(headers)
        .body(reqwest::Body::wrap_stream(body.into_data_stream()))
        .send();
    let answer = sent.await.map_err(|error| StorageError::Upstream(error.without_url().to_string()))?;
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| !NOT_HANDED_ON.contains(name)) {
        response = response.header(name, value);
    }
    let body = Body::from_stream(answer.bytes_stream());
    response.body(body).map_err(|error| StorageError::Upstream(error.to_string()).into())
}
