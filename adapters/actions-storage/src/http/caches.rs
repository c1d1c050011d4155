//! `CacheService`, version 2 of the cache calls.

use std::path::PathBuf;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use prost::Message;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::refusals::Refusal;
use super::twirp::{Format, long};
use super::{App, on_disk};
use crate::disk::{Found, Target, UploadId};
use crate::error::StorageError;
use crate::grant::Grant;
use crate::keys::Purpose;

/// By this the toolkit knows that it may not, rather than that it failed.
const WRITE_DENIED: &str = "cache write denied:";

pub(super) fn routes() -> Router<App> {
    Router::new().route("/twirp/github.actions.results.api.v1.CacheService/{method}", post(serve))
}

#[derive(Message, Deserialize)]
#[serde(default)]
struct Create {
    #[prost(string, tag = "2")]
    key: String,
    #[prost(string, tag = "3")]
    version: String,
}

#[derive(Message, Serialize)]
struct Created {
    #[prost(bool, tag = "1")]
    ok: bool,
    #[prost(string, tag = "2")]
    signed_upload_url: String,
    #[prost(string, tag = "3")]
    message: String,
}

#[derive(Message, Deserialize)]
#[serde(default)]
struct Finalize {
    #[prost(string, tag = "2")]
    key: String,
    #[prost(int64, tag = "3")]
    #[serde(alias = "sizeBytes", with = "long")]
    size_bytes: i64,
    #[prost(string, tag = "4")]
    version: String,
}

#[derive(Message, Serialize)]
struct Finalized {
    #[prost(bool, tag = "1")]
    ok: bool,
    #[prost(int64, tag = "2")]
    #[serde(with = "long")]
    entry_id: i64,
    #[prost(string, tag = "3")]
    message: String,
}

#[derive(Message, Deserialize)]
#[serde(default)]
struct Get {
    #[prost(string, tag = "2")]
    key: String,
    #[prost(string, repeated, tag = "3")]
    #[serde(alias = "restoreKeys")]
    restore_keys: Vec<String>,
    #[prost(string, tag = "4")]
    version: String,
}

#[derive(Message, Serialize)]
struct Got {
    #[prost(bool, tag = "1")]
    ok: bool,
    #[prost(string, tag = "2")]
    signed_download_url: String,
    #[prost(string, tag = "3")]
    matched_key: String,
}

async fn serve(
    State(app): State<App>,
    Path(method): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let format = Format::of(&headers);
    Ok(match method.as_str() {
        "CreateCacheEntry" => {
            let Create { key, version } = format.read(&body)?;
            format.answer(&match begin(&app, &caller, key, version).await {
                Ok(id) => {
                    let url = caller.address(&app, Purpose::Write, &format!("uploads/{}", id.0));
                    Created { ok: true, signed_upload_url: url, message: String::new() }
                }
                Err(StorageError::Denied(why)) => Created { message: why, ..Created::default() },
                Err(error) => return Err(error.into()),
            })
        }
        "FinalizeCacheEntryUpload" => {
            let Finalize { key, size_bytes, version } = format.read(&body)?;
            let target = target(&caller.grant, key, version)?;
            let id = upload_id(&app, &target, &caller.grant);
            let entry_id = commit(&app, id, Some(target.place()), size_bytes).await?;
            format.answer(&Finalized { ok: true, entry_id, message: String::new() })
        }
        "GetCacheEntryDownloadURL" => {
            let Get { key, restore_keys, version } = format.read(&body)?;
            let keys = std::iter::once(key).chain(restore_keys).collect();
            format.answer(&match find(&app, &caller, keys, version).await? {
                Some(found) => Got {
                    ok: true,
                    signed_download_url: read_address(&app, &caller, &found),
                    matched_key: found.entry.target.name().to_owned(),
                },
                None => Got::default(),
            })
        }
        _ => return Err(StorageError::NotFound(format!("there is no call {method}")).into()),
    })
}

/// Where a job's cache of this key goes: into the one scope that it may write to.
fn target(grant: &Grant, key: String, version: String) -> Result<Target, StorageError> {
    if key.is_empty() || key.chars().count() > 512 || key.contains(',') {
        return Err(StorageError::Invalid(format!("`{key}` is no key: 1 to 512 characters, none a comma")));
    }
    let scope = grant.scopes.iter().find(|scope| scope.can_write).ok_or_else(|| {
        StorageError::Denied(format!("{WRITE_DENIED} this job may read caches, but not write any"))
    })?;
    let (repository, scope) = (grant.repository.clone(), scope.reference.clone());
    Ok(Target::Cache { repository, scope, version, key })
}

/// The upload of one job for one place.
pub(super) fn upload_id(app: &App, target: &Target, grant: &Grant) -> UploadId {
    UploadId(app.keys.number(&format!("{}\0{}", target.place().display(), grant.job)))
}

pub(super) async fn begin(
    app: &App,
    caller: &Caller,
    key: String,
    version: String,
) -> Result<UploadId, StorageError> {
    let target = target(&caller.grant, key, version)?;
    let id = upload_id(app, &target, &caller.grant);
    let job = caller.grant.job.clone();
    on_disk(app, move |service| service.store.begin(id, target, &job)).await?;
    Ok(id)
}

pub(super) async fn commit(
    app: &App,
    id: UploadId,
    place: Option<PathBuf>,
    size: i64,
) -> Result<i64, StorageError> {
    let size = u64::try_from(size).unwrap_or_default();
    let entry = on_disk(app, move |service| service.store.commit(id, place.as_deref(), size, None)).await?;
    Ok(entry.id.cast_signed())
}

pub(super) async fn find(
    app: &App,
    caller: &Caller,
    keys: Vec<String>,
    version: String,
) -> Result<Option<Found>, StorageError> {
    let grant = std::sync::Arc::clone(&caller.grant);
    on_disk(app, move |service| {
        let keys: Vec<&str> = keys.iter().map(String::as_str).filter(|key| !key.is_empty()).collect();
        let scopes = grant.scopes.iter().filter(|scope| scope.can_read).map(|scope| scope.reference.as_str());
        service.store.find_cache(&grant.repository, scopes, &version, &keys)
    })
    .await
}

pub(super) fn read_address(app: &App, caller: &Caller, found: &Found) -> String {
    caller.address(app, Purpose::Read, &found.place.to_string_lossy())
}
