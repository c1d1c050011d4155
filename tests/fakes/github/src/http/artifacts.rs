//! Artifacts of runs.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    caller::Authorization,
    refusals::TwirpRefusal,
    signed::{Purpose, address},
    wire,
};
use crate::{
    model::{Artifact, Refused, TokenKind},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/twirp/github.actions.results.api.v1.ArtifactService/{method}", post(serve))
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Request {
    #[serde(alias = "workflowRunBackendId")]
    workflow_run_backend_id: Uuid,
    #[serde(alias = "workflowJobRunBackendId")]
    workflow_job_run_backend_id: Uuid,
    name: Option<String>,
    #[serde(alias = "nameFilter")]
    name_filter: Option<Value>,
    size: Value,
    hash: Option<Value>,
}

async fn serve(
    State(app): State<App>,
    Path(method): Path<String>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TwirpRefusal> {
    let TokenKind::Job(holder) = caller.holder(&app)? else { return Err(Refused::Unauthorized.into()) };
    let request: Request = wire::read(&body)?;
    let plan = request.workflow_run_backend_id;
    let own_plan = app.read(|github| {
        let run = github.jobs.get(&holder).and_then(|job| github.runs.get(&job.run));
        run.map(|run| run.plan)
    });
    if own_plan != Some(plan) {
        return Err(Refused::Forbidden("The token is another run's".to_owned()).into());
    }
    let name = request.name.clone().unwrap_or_default();
    let missing = || Refused::NotFound(format!("artifact {name} not found"));
    let find = |name: &str, whole: bool| {
        app.read(|github| {
            let all = github.artifacts.values().rev();
            let mut own =
                all.filter(|artifact| artifact.plan == plan && artifact.finalized.is_some() == whole);
            own.find(|artifact| artifact.name == name).cloned()
        })
    };
    Ok(Json(match method.as_str() {
        "CreateArtifact" => {
            if find(&name, true).is_some() {
                let why = "an artifact with this name already exists on the workflow run".to_owned();
                return Err(Refused::Conflict(why).into());
            }
            let blob = app.change(|github| {
                let id = github.next_id();
                let blob = format!("artifacts/{plan}/{id}.zip");
                let artifact = Artifact {
                    id,
                    plan,
                    job: request.workflow_job_run_backend_id,
                    name: name.clone(),
                    blob: blob.clone(),
                    finalized: None,
                };
                github.artifacts.insert(id, artifact);
                blob
            });
            json!({"ok": true, "signed_upload_url": address(&app, &blob, Purpose::Write)})
        }
        "FinalizeArtifact" => {
            let found = find(&name, false).ok_or_else(missing)?;
            let size = request.size.as_u64().or_else(|| request.size.as_str()?.parse().ok());
            let hash = request
                .hash
                .as_ref()
                .and_then(|hash| hash.as_str().or_else(|| hash["value"].as_str()).map(str::to_owned));
            app.change(|github| {
                let stored = github.blobs.get(&found.blob).map(|blob| blob.bytes.len() as u64);
                if stored.is_none() || stored != size {
                    return Err(Refused::BadRequest(format!("{stored:?} bytes are stored, not {size:?}")));
                }
                if let Some(artifact) = github.artifacts.get_mut(&found.id) {
                    artifact.finalized = Some((size.unwrap_or_default(), hash));
                }
                Ok(())
            })?;
            json!({"ok": true, "artifact_id": found.id.to_string()})
        }
        "GetSignedArtifactURL" => {
            let found = find(&name, true).ok_or_else(missing)?;
            json!({"name": name, "signed_url": address(&app, &found.blob, Purpose::Read)})
        }
        "DeleteArtifact" => {
            let found = find(&name, true).ok_or_else(missing)?;
            app.change(|github| github.artifacts.remove(&found.id));
            json!({"ok": true, "artifact_id": found.id.to_string()})
        }
        "ListArtifacts" => {
            let filter = request
                .name_filter
                .as_ref()
                .and_then(|filter| filter.as_str().or_else(|| filter["value"].as_str()).map(str::to_owned));
            let all: Vec<Value> = app.read(|github| {
                let own = github.artifacts.values().filter(|artifact| artifact.plan == plan);
                own.filter(|artifact| filter.as_ref().is_none_or(|name| *name == artifact.name))
                    .filter_map(|artifact| {
                        let (size, hash) = artifact.finalized.as_ref()?;
                        Some(json!({
                            "workflow_run_backend_id": plan,
                            "workflow_job_run_backend_id": artifact.job,
                            "database_id": artifact.id.to_string(),
                            "name": artifact.name,
                            "size": size.to_string(),
                            "digest": hash,
                        }))
                    })
                    .collect()
            });
            json!({"artifacts": all})
        }
        _ => return Err(Refused::NotFound(format!("no handler for {method}")).into()),
    }))
}
