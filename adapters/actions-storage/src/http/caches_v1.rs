//! The older cache calls, which clients use where the server is no github.com.

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use super::blobs::receive;
use super::caller::Caller;
use super::refusals::Refusal;
use super::{App, caches, on_disk};
use crate::disk::UploadId;
use crate::error::StorageError;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/_apis/artifactcache/cache", get(find))
        .route("/_apis/artifactcache/caches", post(reserve))
        .route("/_apis/artifactcache/caches/{id}", post(commit).patch(receive_piece))
}

#[derive(Deserialize)]
struct Wanted {
    keys: String,
    version: String,
}

async fn find(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refusal> {
    let keys = wanted.keys.split(',').map(str::to_owned).collect();
    let Some(found) = caches::find(&app, &caller, keys, wanted.version).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    Ok(Json(json!({
        "archiveLocation": caches::read_address(&app, &caller, &found),
        "cacheKey": found.entry.target.name(),
        "creationTime": found.entry.created.to_string(),
    }))
    .into_response())
}

#[derive(Deserialize)]
struct Reserve {
    key: String,
    version: String,
}

async fn reserve(
    State(app): State<App>,
    caller: Caller,
    Json(Reserve { key, version }): Json<Reserve>,
) -> Result<Response, Refusal> {
    let id = caches::begin(&app, &caller, key, version).await?;
    Ok((StatusCode::CREATED, Json(json!({"cacheId": id.0}))).into_response())
}

/// The upload, if it is the caller's.
async fn own(app: &App, caller: &Caller, id: u64) -> Result<UploadId, StorageError> {
    let (id, job) = (UploadId(id), caller.grant.job.clone());
    let upload = on_disk(app, move |service| service.store.arriving(id).upload()).await?;
    match upload {
        Some(upload) if upload.job == job => Ok(id),
        _ => Err(StorageError::NotFound("there is no such upload".to_owned())),
    }
}

async fn receive_piece(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<u64>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let id = own(&app, &caller, id).await?;
    let range = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let offset = range.and_then(|range| range.strip_prefix("bytes ")?.split_once('-'));
    let offset: Option<u64> = offset.and_then(|(from, _)| from.parse().ok());
    let offset = offset.ok_or_else(|| StorageError::Invalid("there is no Content-Range".to_owned()))?;
    let part = receive(&app, id, body).await?;
    on_disk(&app, move |service| service.store.arriving(id).settle_block(&part, &offset.to_string())).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Commit {
    size: i64,
}

async fn commit(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<u64>,
    Json(Commit { size }): Json<Commit>,
) -> Result<StatusCode, Refusal> {
    let id = own(&app, &caller, id).await?;
    on_disk(&app, move |service| service.store.arriving(id).join_by_offset()).await?;
    caches::commit(&app, id, None, size).await?;
    Ok(StatusCode::NO_CONTENT)
}
