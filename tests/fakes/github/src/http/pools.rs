//! Pools and agents: the older names of groups and runners.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{caller::Authorization, refusals::TenantRefusal, wire};
use crate::{
    model::{Delivery, Label, PublicKey, Refused, Registration, Runner, Scope, TokenKind},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/_apis/distributedtask/pools", get(pools))
        .route("/_apis/distributedtask/pools/{pool}/agents", get(agents).post(add))
        .route("/_apis/distributedtask/pools/{pool}/agents/{agent}", get(agent).put(replace).delete(remove))
}

fn admin(app: &App, caller: &Authorization) -> Result<Scope, Refused> {
    match caller.holder(app)? {
        TokenKind::Tenant(scope) => Ok(scope),
        _ => Err(Refused::Forbidden("This call takes a registration's token".to_owned())),
    }
}

async fn pools(State(app): State<App>, caller: Authorization) -> Result<Json<Value>, TenantRefusal> {
    caller.holder(&app)?;
    let pools: Vec<Value> = app.read(|github| {
        let size = |id| github.runners.values().filter(|runner| runner.registration.group == id).count();
        github
            .groups
            .iter()
            .map(|group| {
                json!({
                    "id": group.id, "name": group.name, "isHosted": group.hosted,
                    "isInternal": group.id == 1, "size": size(group.id), "poolType": "automation",
                    "scope": "22222222-2222-2222-2222-222222222222", "autoSize": true,
                })
            })
            .collect()
    });
    Ok(Json(json!({"count": pools.len(), "value": pools})))
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
struct Agent {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    osdescription: String,
    #[serde(default)]
    labels: Vec<AgentLabel>,
    #[serde(default)]
    ephemeral: Option<bool>,
    #[serde(default)]
    disableupdate: Option<bool>,
    authorization: AgentAuthorization,
}

#[derive(Deserialize)]
struct AgentLabel {
    name: String,
    #[serde(default, rename = "type")]
    kind: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
struct AgentAuthorization {
    publickey: AgentKey,
}

#[derive(Deserialize)]
struct AgentKey {
    modulus: String,
    exponent: String,
}

/// A key of two numbers in base64.
pub(super) fn public_key(modulus: &str, exponent: &str) -> Result<PublicKey, Refused> {
    let number = |text: &str| {
        let bytes = STANDARD.decode(text.trim());
        bytes.map_err(|error| Refused::BadRequest(format!("The public key is not valid: {error}")))
    };
    let modulus = number(modulus)?;
    // A leading zero is only there to keep the number positive.
    let modulus = modulus.strip_prefix(&[0]).map_or_else(|| modulus.clone(), <[u8]>::to_vec);
    Ok(PublicKey { modulus, exponent: number(exponent)? })
}

impl Agent {
    fn registration(self, scope: Scope, group: u64) -> Result<Registration, Refused> {
        let key = self.authorization.publickey;
        Ok(Registration {
            scope,
            group,
            name: self.name,
            version: self.version,
            os: self.osdescription,
            labels: self
                .labels
                .into_iter()
                // 0 and "system" say the same.
                .map(|label| Label {
                    name: label.name,
                    system: label.kind == json!("system") || label.kind == json!(0),
                })
                .collect(),
            ephemeral: self.ephemeral.unwrap_or_default(),
            disable_update: self.disableupdate.unwrap_or_default(),
            key: public_key(&key.modulus, &key.exponent)?,
        })
    }
}

/// A runner in the older form.
fn agent_json(app: &App, runner: &Runner, online: bool) -> Value {
    let registration = &runner.registration;
    let labels: Vec<Value> = (1..)
        .zip(&registration.labels)
        .map(|(id, label)| json!({"id": id, "name": label.name, "type": if label.system { "system" } else { "user" }}))
        .collect();
    let delivery = app.read(|github| (github.settings.delivery, github.settings.fips));
    let text = |value: &str| json!({"$type": "System.String", "$value": value});
    let truth = |value: bool| json!({"$type": "System.Boolean", "$value": value});
    let mut properties = json!({
        "ServerUrl": text(&format!("{}/_services/pipelines/fake/", app.base)),
        "RequireFipsCryptography": truth(delivery.1),
    });
    if delivery.0 == Delivery::Broker {
        properties["ServerUrlV2"] = text(&format!("{}/broker/", app.base));
        properties["UseV2Flow"] = truth(true);
    }
    json!({
        "id": runner.id,
        "name": registration.name,
        "version": registration.version,
        "osDescription": registration.os,
        "labels": labels,
        "maxParallelism": 1,
        "createdOn": "2026-01-01T00:00:00Z",
        "authorization": {
            "authorizationUrl": format!("{}/_apis/oauth2/token/{}", app.base, token_path(runner)),
            "clientId": runner.client,
            "publicKey": {
                "exponent": STANDARD.encode(&registration.key.exponent),
                "modulus": STANDARD.encode(&registration.key.modulus),
            },
        },
        "queueName": format!("runner-{}", runner.id),
        "runnerGroupId": registration.group,
        "runnerGroupName": null,
        "enabled": true,
        "status": if online { "online" } else { "offline" },
        "currentParallelism": 0,
        "provisioningState": "Provisioned",
        "isVirtual": false,
        "isElastic": false,
        "owningTenant": null,
        "ephemeral": registration.ephemeral,
        "disableUpdate": registration.disable_update,
        "properties": properties,
    })
}

/// The last part of the address of a runner's tokens.
pub(super) fn token_path(runner: &Runner) -> uuid::Uuid {
    uuid::Uuid::from_u128(runner.client.as_u128() ^ 1)
}

/// A runner of the scope.
fn own(app: &App, scope: &Scope, id: u64) -> Result<Runner, Refused> {
    app.read(|github| {
        let runner = github.runners.get(&id).filter(|runner| runner.registration.scope == *scope);
        runner.cloned().ok_or(Refused::RunnerNotFound)
    })
}

fn shown(app: &App, runner: &Runner) -> Value {
    let online = app.read(|github| runner.online(github.now(), github.settings.session));
    agent_json(app, runner, online)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Find {
    agent_name: Option<String>,
}

async fn agents(
    State(app): State<App>,
    Path((_, pool)): Path<(String, u64)>,
    Query(find): Query<Find>,
    caller: Authorization,
) -> Result<Json<Value>, TenantRefusal> {
    let scope = admin(&app, &caller)?;
    let found: Vec<Runner> = app.read(|github| {
        github
            .runners
            .values()
            .filter(|runner| {
                let registration = &runner.registration;
                registration.scope == scope
                    && (pool == 0 || registration.group == pool)
                    && find
                        .agent_name
                        .as_ref()
                        .is_none_or(|name| name.eq_ignore_ascii_case(&registration.name))
            })
            .cloned()
            .collect()
    });
    let found: Vec<Value> = found.iter().map(|runner| shown(&app, runner)).collect();
    Ok(Json(json!({"count": found.len(), "value": found})))
}

async fn agent(
    State(app): State<App>,
    Path((_, _, id)): Path<(String, u64, u64)>,
    caller: Authorization,
) -> Result<Json<Value>, TenantRefusal> {
    let scope = admin(&app, &caller)?;
    Ok(Json(shown(&app, &own(&app, &scope, id)?)))
}

async fn add(
    State(app): State<App>,
    Path((_, pool)): Path<(String, u64)>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TenantRefusal> {
    let scope = admin(&app, &caller)?;
    let agent: Agent = wire::read_any_case(&body)?;
    let registration = agent.registration(scope.clone(), pool)?;
    let id = app.change(|github| github.register(registration))?;
    Ok(Json(shown(&app, &own(&app, &scope, id)?)))
}

async fn replace(
    State(app): State<App>,
    Path((_, pool, id)): Path<(String, u64, u64)>,
    caller: Authorization,
    body: Bytes,
) -> Result<Json<Value>, TenantRefusal> {
    let scope = admin(&app, &caller)?;
    own(&app, &scope, id)?;
    let agent: Agent = wire::read_any_case(&body)?;
    let registration = agent.registration(scope.clone(), pool)?;
    app.change(|github| github.replace(id, registration))?;
    Ok(Json(shown(&app, &own(&app, &scope, id)?)))
}

async fn remove(
    State(app): State<App>,
    Path((_, _, id)): Path<(String, u64, u64)>,
    caller: Authorization,
) -> Result<StatusCode, TenantRefusal> {
    let scope = admin(&app, &caller)?;
    own(&app, &scope, id)?;
    app.change(|github| github.remove_runner(id))?;
    Ok(StatusCode::NO_CONTENT)
}
