//! Caches of repositories.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    caller::Authorization,
    refusals::TwirpRefusal,
    signed::{Purpose, address},
    wire,
};
use crate::{
    model::{CacheEntry, Refused, TokenKind},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/twirp/github.actions.results.api.v1.CacheService/{method}", post(serve))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Request {
    key: String,
    version: String,
    #[serde(alias = "restoreKeys")]
    restore_keys: Vec<String>,
    #[serde(alias = "sizeBytes")]
    size_bytes: Value,
}

async fn serve(
    State(app): State<App>,
    Path(method): Path<String>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TwirpRefusal> {
    let TokenKind::Job(holder) = caller.holder(&app)? else { return Err(Refused::Unauthorized.into()) };
    let Request { key, version, restore_keys, size_bytes } = wire::read(&body)?;
    let run = app.read(|github| github.jobs.get(&holder).and_then(|job| github.runs.get(&job.run)).cloned());
    let run = run.ok_or(Refused::Unauthorized)?;
    let (repository, reference) = (run.repository, run.event.reference);
    Ok(Json(match method.as_str() {
        "GetCacheEntryDownloadURL" => {
            let found = app.read(|github| {
                let found = github.find_cache(&repository, &reference, &version, &key, &restore_keys);
                found.map(|cache| (cache.blob.clone(), cache.key.clone()))
            });
            match found {
                Some((blob, key)) => json!({
                    "ok": true,
                    "signed_download_url": address(&app, &blob, Purpose::Read),
                    "matched_key": key,
                }),
                None => json!({"ok": false, "signed_download_url": "", "matched_key": ""}),
            }
        }
        "CreateCacheEntry" => {
            let blob = app.change(|github| {
                let same = |cache: &CacheEntry| {
                    cache.key == key
                        && cache.version == version
                        && cache.reference == reference
                        && cache.repository == repository
                };
                if github.caches.values().any(same) {
                    return Err(Refused::Conflict(
                        "cache entry with the same key, version, and scope already exists".to_owned(),
                    ));
                }
                let id = github.next_id();
                let blob = format!("caches/{id}");
                let entry = CacheEntry {
                    id,
                    key: key.clone(),
                    version: version.clone(),
                    reference: reference.clone(),
                    repository: repository.clone(),
                    blob: blob.clone(),
                    finalized: false,
                };
                github.caches.insert(id, entry);
                Ok(blob)
            })?;
            json!({"ok": true, "signed_upload_url": address(&app, &blob, Purpose::Write), "message": ""})
        }
        "FinalizeCacheEntryUpload" => {
            let size = size_bytes.as_u64().or_else(|| size_bytes.as_str()?.parse().ok());
            let id = app.change(|github| {
                let stored = |blob: &str| github.blobs.get(blob).map(|blob| blob.bytes.len() as u64);
                let found = github.caches.values().find(|cache| {
                    cache.key == key
                        && cache.version == version
                        && cache.repository == repository
                        && cache.reference == reference
                });
                let found = found.ok_or_else(|| Refused::NotFound("cache entry not found".to_owned()))?;
                if stored(&found.blob) != size {
                    return Err(Refused::BadRequest("the size is not that of the file".to_owned()));
                }
                let id = found.id;
                if let Some(cache) = github.caches.get_mut(&id) {
                    cache.finalized = true;
                }
                Ok(id)
            })?;
            json!({"ok": true, "entry_id": id.to_string(), "message": ""})
        }
        _ => return Err(Refused::NotFound(format!("no handler for {method}")).into()),
    }))
}
