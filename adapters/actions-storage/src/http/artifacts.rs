//! `ArtifactService`, version 4 of artifacts. The toolkit sends JSON, and nobody else calls.

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::caches::upload_id;
use super::caller::Caller;
use super::refusals::Refusal;
use super::{App, on_disk};
use crate::disk::{Found, Target};
use crate::error::StorageError;
use crate::grant::Grant;
use crate::keys::Purpose;
use crate::storage::Service;

/// How long an artifact is kept that does not say.
const DAYS: i64 = 90;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/twirp/github.actions.results.api.v1.ArtifactService/{method}", post(serve))
}

#[derive(Deserialize)]
struct Request {
    #[serde(alias = "workflowRunBackendId")]
    workflow_run_backend_id: String,
    #[serde(default)]
    name: String,
    #[serde(default, alias = "mimeType", deserialize_with = "wrapped")]
    mime_type: Option<String>,
    #[serde(default, alias = "expiresAt")]
    expires_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "wrapped")]
    size: Option<String>,
    #[serde(default, deserialize_with = "wrapped")]
    hash: Option<String>,
    #[serde(default, alias = "nameFilter", deserialize_with = "wrapped")]
    name_filter: Option<String>,
    #[serde(default, alias = "idFilter", deserialize_with = "wrapped")]
    id_filter: Option<String>,
}

/// A text or number, as it is or in a member `value`.
fn wrapped<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(from)?;
    let inner = value.get("value").unwrap_or(&value);
    Ok(match inner {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

async fn serve(
    State(app): State<App>,
    Path(method): Path<String>,
    caller: Caller,
    Json(request): Json<Request>,
) -> Result<Json<Value>, Refusal> {
    let grant = &caller.grant;
    if request.workflow_run_backend_id != grant.run {
        return Err(StorageError::Denied("the artifacts are of another run".to_owned()).into());
    }
    Ok(Json(match method.as_str() {
        "CreateArtifact" => {
            let target = target(grant, request)?;
            let (id, job) = (upload_id(&app, &target, grant), grant.job.clone());
            on_disk(&app, move |service| service.store.begin(id, target, &job)).await?;
            let url = caller.address(&app, Purpose::Write, &format!("uploads/{}", id.0));
            json!({"ok": true, "signed_upload_url": url})
        }
        "FinalizeArtifact" => {
            let size = request.size.as_ref().and_then(|size| size.parse().ok()).unwrap_or_default();
            let hash = request.hash.as_ref().and_then(|hash| hash.strip_prefix("sha256:")).map(str::to_owned);
            let target = target(grant, request)?;
            let id = upload_id(&app, &target, grant);
            let commit = move |service: &Service| {
                service.store.commit(id, Some(&target.place()), size, hash.as_deref())
            };
            let entry = on_disk(&app, commit).await?;
            json!({"ok": true, "artifact_id": entry.id.to_string()})
        }
        "ListArtifacts" => {
            let all = all(&app, grant).await?;
            let wanted = all.iter().filter(|found| {
                let name = request.name_filter.as_ref();
                let id = request.id_filter.as_ref();
                name.is_none_or(|name| found.entry.target.name() == name)
                    && id.is_none_or(|id| found.entry.id.to_string() == *id)
            });
            json!({"artifacts": wanted.map(|found| listed(grant, found)).collect::<Vec<_>>()})
        }
        "GetSignedArtifactURL" => {
            let found = one(&app, grant, &request.name).await?;
            let url = caller.address(&app, Purpose::Read, &found.place.to_string_lossy());
            json!({"signed_url": url})
        }
        "DeleteArtifact" => {
            let found = one(&app, grant, &request.name).await?;
            let id = found.entry.id.to_string();
            on_disk(&app, move |service| service.store.remove(&found.place)).await?;
            json!({"ok": true, "artifact_id": id})
        }
        _ => return Err(StorageError::NotFound(format!("there is no call {method}")).into()),
    }))
}

fn target(grant: &Grant, request: Request) -> Result<Target, StorageError> {
    if request.name.is_empty() || request.name.chars().count() > 256 {
        return Err(StorageError::Invalid("an artifact's name has 1 to 256 characters".to_owned()));
    }
    let expires = request.expires_at.or_else(|| Timestamp::now().checked_add((24 * DAYS).hours()).ok());
    Ok(Target::Artifact {
        repository: grant.repository.clone(),
        run: grant.run.clone(),
        name: request.name,
        job: grant.job.clone(),
        content_type: request.mime_type.unwrap_or_else(|| "application/zip".to_owned()),
        expires,
    })
}

async fn all(app: &App, grant: &Grant) -> Result<Vec<Found>, StorageError> {
    let (repository, run) = (grant.repository.clone(), grant.run.clone());
    on_disk(app, move |service| service.store.artifacts(&repository, &run)).await
}

async fn one(app: &App, grant: &Grant, name: &str) -> Result<Found, StorageError> {
    let found = all(app, grant).await?.into_iter().find(|found| found.entry.target.name() == name);
    found.ok_or_else(|| StorageError::NotFound(format!("the run has no artifact `{name}`")))
}

fn listed(grant: &Grant, found: &Found) -> Value {
    let job = match &found.entry.target {
        Target::Artifact { job, .. } => job.as_str(),
        Target::Cache { .. } => "",
    };
    json!({
        "workflow_run_backend_id": grant.run,
        "workflow_job_run_backend_id": job,
        "database_id": found.entry.id.to_string(),
        "name": found.entry.target.name(),
        "size": found.entry.size.to_string(),
        "created_at": found.entry.created.to_string(),
        "digest": format!("sha256:{}", found.entry.sha256),
    })
}
