//! The older queue: sessions, messages, job requests, ends of jobs.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, patch, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    broker::{SessionRequest, Wait},
    caller::Authorization,
    refusals::TenantRefusal,
    run_service::conclusion,
    wire,
};
use crate::{
    model::{Delivery, Finish, JobState, Output, Refused, TokenKind},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/_apis/distributedtask/pools/{pool}/sessions", post(open))
        .route("/_apis/distributedtask/pools/{pool}/sessions/{session}", delete(close))
        .route("/_apis/distributedtask/pools/{pool}/messages", get(message))
        .route("/_apis/distributedtask/pools/{pool}/messages/{message}", delete(delete_message))
        .route("/_apis/distributedtask/runnermessages/{message}", get(job_message))
        .route("/_apis/distributedtask/pools/{pool}/jobrequests/{request}", patch(renew))
        .route("/_apis/distributedtask/agents/{agent}/runnerconfigrefresh/{kind}", post(refresh))
        .route("/_apis/distributedtask/pools/{pool}/agents/{agent}/updates", put(update))
        .route("/{scope}/_apis/distributedtask/hubs/{hub}/plans/{plan}/events", post(event))
}

async fn open(
    State(app): State<App>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TenantRefusal> {
    let runner = caller.runner(&app)?;
    let request: SessionRequest = wire::read_any_case(&body)?;
    if request.agent.id != runner {
        return Err(Refused::Forbidden("The token is another runner's".to_owned()).into());
    }
    let session =
        app.change(|github| github.open_session(runner, &request.ownername, &request.agent.version))?;
    let (key, delivery) = app.read(|github| (github.session_key(runner), github.settings.delivery));
    let mut answer = json!({
        "sessionId": session,
        "ownerName": request.ownername,
        "agent": {"id": runner, "version": request.agent.version},
        "useFipsEncryption": matches!(delivery, Delivery::Queue { fips: true, .. }),
    });
    if let Some(key) = key {
        answer["encryptionKey"] = json!({"encrypted": true, "value": key});
    }
    if delivery == Delivery::Migration {
        answer["brokerMigrationMessage"] = json!({"brokerBaseUrl": format!("{}/broker/", app.base)});
    }
    Ok(Json(answer))
}

async fn close(State(app): State<App>, caller: Authorization) -> Result<StatusCode, TenantRefusal> {
    let runner = caller.runner(&app)?;
    app.change(|github| github.close_session(runner))?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Poll {
    session_id: Uuid,
    #[serde(default)]
    last_message_id: Option<u64>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    runner_version: String,
}

async fn message(
    State(app): State<App>,
    caller: Authorization,
    Query(poll): Query<Poll>,
) -> Result<Response, TenantRefusal> {
    let runner = caller.runner(&app)?;
    let busy = poll.status.eq_ignore_ascii_case("busy");
    let last = poll.last_message_id.unwrap_or_default();
    let found = Wait::new(&app)
        .until(|| {
            app.quietly(|github| github.poll_queue(runner, poll.session_id, last, busy, &poll.runner_version))
        })
        .await?;
    Ok(match found {
        Some(message) => Json(message).into_response(),
        None => StatusCode::ACCEPTED.into_response(),
    })
}

async fn delete_message(
    State(app): State<App>,
    Path((_, _, id)): Path<(String, u64, u64)>,
    caller: Authorization,
) -> Result<StatusCode, TenantRefusal> {
    let runner = caller.runner(&app)?;
    app.change(|github| github.delete_message(runner, id));
    Ok(StatusCode::NO_CONTENT)
}

/// The whole job of a request that names no run service.
async fn job_message(
    State(app): State<App>,
    Path((_, request)): Path<(String, Uuid)>,
    caller: Authorization,
) -> Result<Json<Value>, TenantRefusal> {
    let runner = caller.runner(&app)?;
    Ok(Json(app.change(|github| github.acquire(runner, request))?))
}

async fn renew(
    State(app): State<App>,
    Path((_, _, request)): Path<(String, u64, u64)>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TenantRefusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    struct Request {
        #[serde(default)]
        finishtime: Option<String>,
        #[serde(default)]
        result: Option<String>,
    }
    let runner = caller.runner(&app)?;
    let wanted: Request = wire::read_any_case(&body)?;
    let until = app.change(|github| {
        let job = github.jobs.values().find(|job| {
            job.request_number == request
                && matches!(job.state, JobState::Running { runner: own, .. } if own == runner)
        });
        let id = job
            .map(|job| job.id)
            .ok_or_else(|| Refused::NotFound(format!("TaskAgentJobNotFound: {request}")))?;
        if let (Some(_), Some(result)) = (&wanted.finishtime, &wanted.result) {
            github.finish(id, finish(result, BTreeMap::new())?)?;
            return Ok::<_, Refused>(github.now());
        }
        github.renew(id)
    })?;
    Ok(Json(json!({"requestId": request, "lockedUntil": until.to_string()})))
}

fn finish(result: &str, outputs: BTreeMap<String, Output>) -> Result<Finish, Refused> {
    let conclusion =
        conclusion(result).ok_or_else(|| Refused::BadRequest(format!("{result} is not a result")))?;
    Ok(Finish {
        conclusion,
        outputs,
        step_results: Vec::new(),
        annotations: Vec::new(),
        telemetry: Vec::new(),
        environment_url: None,
    })
}

async fn event(
    State(app): State<App>,
    caller: Authorization,
    body: Bytes,
) -> Result<StatusCode, TenantRefusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    struct Event {
        name: String,
        jobid: Uuid,
        #[serde(default)]
        result: Value,
        #[serde(default)]
        outputs: Option<BTreeMap<String, EventOutput>>,
    }
    #[derive(Deserialize)]
    struct EventOutput {
        #[serde(default)]
        value: String,
        #[serde(default)]
        issecret: bool,
    }
    let holder = caller.holder(&app)?;
    let event: Event = wire::read_any_case(&body)?;
    if event.name != "JobCompleted" {
        return Ok(StatusCode::OK);
    }
    let allowed = match holder {
        TokenKind::Job(job) => job == event.jobid,
        TokenKind::Runner(runner) => {
            app.read(|github| github.jobs.get(&event.jobid).and_then(|job| job.worked_by) == Some(runner))
        }
        _ => false,
    };
    if !allowed {
        return Err(Refused::Forbidden("The token is another job's".to_owned()).into());
    }
    // Results are words, or numbers for some clients.
    let result = match event.result.as_u64() {
        Some(0) => "succeeded",
        Some(1) => "succeededWithIssues",
        Some(2) => "failed",
        Some(3) => "canceled",
        Some(4) => "skipped",
        Some(_) => "abandoned",
        None => event.result.as_str().unwrap_or_default(),
    };
    let outputs = event
        .outputs
        .unwrap_or_default()
        .into_iter()
        .map(|(name, output)| (name, Output { value: output.value, is_secret: output.issecret }))
        .collect();
    let finish = finish(result, outputs)?;
    app.change(|github| github.finish(event.jobid, finish))?;
    Ok(StatusCode::OK)
}

/// The configuration is always the newest.
async fn refresh(State(app): State<App>, caller: Authorization) -> Result<Json<Value>, TenantRefusal> {
    caller.runner(&app)?;
    Ok(Json(json!("")))
}

async fn update(
    State(app): State<App>,
    Path((_, _, agent)): Path<(String, u64, u64)>,
    caller: Authorization,
) -> Result<Json<Value>, TenantRefusal> {
    caller.runner(&app)?;
    Ok(Json(json!({"id": agent})))
}
