//! Timelines, logs and attachments of jobs of the older queue.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::StatusCode,
    routing::{get, patch, post, put},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{caller::Authorization, feed::Lines, launch, refusals::TenantRefusal, wire};
use crate::{
    model::{BlobKind, Put, Refused, TimelineRecord, TokenKind},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    let plan = "/{scope}/_apis/distributedtask/hubs/{hub}/plans/{plan}";
    let at = |rest: &str| format!("{plan}{rest}");
    Router::new()
        .route(&at("/timelines/{timeline}"), get(records))
        .route(&at("/timelines/{timeline}/records"), patch(update).get(records))
        .route(&at("/timelines/{timeline}/records/{record}/feed"), post(feed))
        .route(&at("/timelines/{timeline}/records/{record}/attachments/{kind}/{name}"), put(attach))
        .route(&at("/logs"), post(create_log))
        .route(&at("/logs/{log}"), post(append_log))
        .route(&at("/actiondownloadinfo"), post(actions))
        .layer(DefaultBodyLimit::disable())
}

type Plan = (String, String, String, String);

fn job_of(app: &App, caller: &Authorization) -> Result<Uuid, Refused> {
    match caller.holder(app)? {
        TokenKind::Job(job) => Ok(job),
        _ => Err(Refused::Forbidden("This call takes the job's token".to_owned())),
    }
}

#[derive(Deserialize)]
struct Records {
    #[serde(default)]
    value: Vec<Record>,
}

/// As [`TimelineRecord`], with names in lower case.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
struct Record {
    id: Uuid,
    #[serde(default)]
    parentid: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    refname: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    result: Option<String>,
    #[serde(default)]
    order: Option<u64>,
    #[serde(default)]
    starttime: Option<String>,
    #[serde(default)]
    finishtime: Option<String>,
    #[serde(default)]
    log: Option<Value>,
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, Value>,
}

impl From<Record> for TimelineRecord {
    fn from(record: Record) -> Self {
        Self {
            id: record.id,
            parent_id: record.parentid.and_then(|id| id.parse().ok()),
            kind: record.kind.unwrap_or_default(),
            name: record.name.unwrap_or_default(),
            ref_name: record.refname,
            state: record.state,
            result: record.result,
            order: record.order,
            start_time: record.starttime,
            finish_time: record.finishtime,
            log: record.log,
            rest: record.rest,
        }
    }
}

async fn update(
    State(app): State<App>,
    Path((_, _, _, _, timeline)): Path<(String, String, String, String, Uuid)>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TenantRefusal> {
    job_of(&app, &caller)?;
    let records: Records = wire::read_any_case(&body)?;
    let records = records.value.into_iter().map(TimelineRecord::from).collect();
    let all = app.change(|github| github.update_timeline(timeline, records));
    Ok(Json(json!({"count": all.len(), "value": all})))
}

async fn records(
    State(app): State<App>,
    Path((_, _, _, _, timeline)): Path<(String, String, String, String, Uuid)>,
    caller: Authorization,
) -> Result<Json<Value>, TenantRefusal> {
    job_of(&app, &caller)?;
    let all: Vec<TimelineRecord> = app.read(|github| {
        github
            .timelines
            .get(&timeline)
            .map(|known| known.records.values().cloned().collect())
            .unwrap_or_default()
    });
    Ok(Json(json!({"count": all.len(), "value": all, "id": timeline})))
}

async fn feed(
    State(app): State<App>,
    Path((_, _, _, _, _, record)): Path<(String, String, String, String, Uuid, Uuid)>,
    caller: Authorization,
    body: Bytes,
) -> Result<StatusCode, TenantRefusal> {
    let job = job_of(&app, &caller)?;
    let lines: Lines = wire::read_any_case(&body)?;
    app.change(|github| github.live_lines(job, lines.stepid.or(Some(record)), lines.startline, lines.value));
    Ok(StatusCode::OK)
}

/// The last parts of an attachment's path.
#[derive(Deserialize)]
struct Attachment {
    record: Uuid,
    kind: String,
    name: String,
}

async fn attach(
    State(app): State<App>,
    Path(path): Path<Attachment>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TenantRefusal> {
    let Attachment { record, kind, name } = path;
    let job = job_of(&app, &caller)?;
    app.change(|github| {
        let summary = kind == "Checks.Step.Summary";
        let file = if summary {
            format!("summaries/{job}/{record}.md")
        } else {
            format!("attachments/{job}/{record}/{kind}/{name}")
        };
        let put =
            Put::Whole { kind: BlobKind::Block, new_only: false, content_type: "text/plain".to_owned() };
        github.put_blob(&file, put, body.to_vec())?;
        if summary && let Some(job) = github.jobs.get_mut(&job) {
            job.summaries.insert(record, crate::model::JobLog { blob: file, lines: None });
        }
        Ok::<_, Refused>(())
    })?;
    Ok(Json(json!({"type": kind, "name": name, "recordId": record})))
}

async fn create_log(
    State(app): State<App>,
    Path(_): Path<Plan>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TenantRefusal> {
    #[derive(Deserialize)]
    struct Log {
        #[serde(default)]
        path: Option<String>,
    }
    let job = job_of(&app, &caller)?;
    let log: Log = wire::read_any_case(&body)?;
    let id = app.change(|github| {
        let id = github.next_id();
        let put =
            Put::Whole { kind: BlobKind::Append, new_only: false, content_type: "text/plain".to_owned() };
        github.put_blob(&format!("logs/{job}/{id}.txt"), put, Vec::new())?;
        Ok::<_, Refused>(id)
    })?;
    Ok(Json(json!({"id": id, "path": log.path, "location": null})))
}

async fn append_log(
    State(app): State<App>,
    Path((_, _, _, _, id)): Path<(String, String, String, String, u64)>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TenantRefusal> {
    let job = job_of(&app, &caller)?;
    app.change(|github| {
        github.put_blob(&format!("logs/{job}/{id}.txt"), Put::AppendBlock { seal: false }, body.to_vec())
    })?;
    Ok(Json(json!({"id": id})))
}

async fn actions(
    State(app): State<App>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TenantRefusal> {
    #[derive(Deserialize)]
    struct Request {
        actions: Vec<Wanted>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    struct Wanted {
        namewithowner: String,
        #[serde(rename = "ref")]
        reference: String,
    }
    job_of(&app, &caller)?;
    let request: Request = wire::read_any_case(&body)?;
    let mut actions = Map::new();
    for Wanted { namewithowner, reference } in request.actions {
        let Some(found) = launch::find(&app, &namewithowner, &reference) else {
            return Err(Refused::NotFound(launch::missing(&namewithowner, &reference)).into());
        };
        actions.insert(
            format!("{namewithowner}@{reference}"),
            json!({
                "nameWithOwner": namewithowner,
                "resolvedNameWithOwner": found.name,
                "resolvedSha": found.commit,
                "tarballUrl": format!("{}/tar.gz/{}", found.archive, found.commit),
                "zipballUrl": format!("{}/zip/{}", found.archive, found.commit),
                "ref": reference,
                "authentication": found.token.map(|(token, expires)| json!({"token": token, "expiresAt": expires})),
            }),
        );
    }
    Ok(Json(json!({"actions": actions})))
}
