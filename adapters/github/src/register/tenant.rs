//! Registration in the agent pools of a tenant: what github.com and GitHub Enterprise Server do.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{NewRunner, Registered, Tenant, group};
use crate::http::{self, Refusal};
use crate::{Api, GitHubError, Registration, RunnerIdentity};

const POOLS: &str = "5.1-preview.1";
const AGENTS: &str = "6.0-preview.2";

#[derive(Deserialize)]
struct List<T> {
    value: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pool {
    id: u64,
    name: String,
    #[serde(default)]
    is_hosted: bool,
    #[serde(default)]
    is_internal: bool,
}

#[derive(Deserialize)]
struct Agent {
    id: u64,
    authorization: Option<Authorization>,
    #[serde(default)]
    properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    authorization_url: String,
    client_id: String,
}

/// A call to the tenant.
fn call(api: &Api, tenant: &Tenant, method: Method, path: &str, version: &str) -> RequestBuilder {
    let url = format!("{}/_apis/distributedtask/{path}", tenant.url.trim_end_matches('/'));
    api.client()
        .request(method, url)
        .bearer_auth(tenant.token.reveal())
        .header("Accept", format!("application/json; api-version={version}"))
        .header("X-TFS-FedAuthRedirect", "Suppress")
        .header("X-VSS-E2EID", Uuid::new_v4().to_string())
}

pub(super) async fn register(
    api: &Api,
    tenant: &Tenant,
    new: NewRunner<'_>,
) -> Result<Registered, GitHubError> {
    const DOING: &str = "registering the runner";
    let request = new.request;
    let pools: List<Pool> = http::json(
        "listing runner groups",
        call(api, tenant, Method::GET, "pools?poolType=Automation", POOLS),
    )
    .await?;
    let pools: Vec<Pool> = pools.value.into_iter().filter(|pool| !pool.is_hosted).collect();
    let pool = group(&pools, request.group.as_deref(), |pool| &pool.name, |pool| pool.is_internal)?;

    let found = call(api, tenant, Method::GET, "pools/0/agents", AGENTS)
        .query(&[("agentName", request.name.as_str()), ("includeCapabilities", "False")]);
    let found: List<Agent> = http::json("looking for a runner of the same name", found).await?;
    let taken = found.value.first().map(|agent| agent.id);
    let (method, path) = match taken {
        Some(_) if !request.replace => return Err(GitHubError::NameTaken { name: request.name.clone() }),
        Some(id) => (Method::PUT, format!("pools/{}/agents/{id}", pool.id)),
        None => (Method::POST, format!("pools/{}/agents", pool.id)),
    };
    let body = json!({
        "labels": request.labels(),
        "maxParallelism": 1,
        "createdOn": "0001-01-01T00:00:00",
        "authorization": { "publicKey": new.public },
        "id": taken.unwrap_or(0),
        "name": request.name,
        "version": request.version,
        "osDescription": "Linux",
        "ephemeral": request.ephemeral,
        // Updates are those of another program.
        "disableUpdate": true,
        "status": 0,
        "provisioningState": "Provisioned",
    });
    let answer = http::send(DOING, call(api, tenant, method, &path, AGENTS).json(&body)).await?;
    if !answer.status().is_success() {
        let refusal = Refusal::read(answer).await;
        return Err(if refusal.kind.contains("TaskAgentExists") {
            GitHubError::NameTaken { name: request.name.clone() }
        } else {
            refusal.error(DOING)
        });
    }
    let agent: Agent = serde_json::from_slice(&http::body(DOING, answer).await?)
        .map_err(|error| GitHubError::Malformed { doing: DOING, reason: error.to_string() })?;
    let missing = |what: &str| GitHubError::Malformed { doing: DOING, reason: format!("{what} is missing") };
    let authorization = agent.authorization.ok_or_else(|| missing("authorization"))?;
    let broker_url = property(&agent.properties, "ServerUrlV2").ok_or_else(|| GitHubError::Refused {
        doing: DOING,
        status: 200,
        reason: "this server has no message broker, and its older queue is not supported".into(),
        retry_after: None,
    })?;
    Ok(Registered {
        replaced: taken.is_some(),
        registration: Registration {
            scope: Some(api.scope().clone()),
            name: request.name.clone(),
            labels: request.labels().into_iter().map(|label| label.name).collect(),
            ephemeral: request.ephemeral,
            by_administration: false,
            broker_url,
            version: request.version.clone(),
            identity: RunnerIdentity {
                agent_id: agent.id,
                agent_name: request.name.clone(),
                client_id: authorization.client_id,
                authorization_url: authorization.authorization_url,
                requires_fips: property(&agent.properties, "RequireFipsCryptography")
                    .is_none_or(|value| !value.eq_ignore_ascii_case("false")),
                key: new.key,
            },
        },
    })
}

pub(super) async fn remove(api: &Api, tenant: &Tenant, id: u64) -> Result<(), GitHubError> {
    const DOING: &str = "removing the runner";
    let call = call(api, tenant, Method::DELETE, &format!("pools/0/agents/{id}"), AGENTS);
    let answer = http::send(DOING, call).await?;
    match answer.status() {
        status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
        _ => Err(Refusal::read(answer).await.error(DOING)),
    }
}

/// A property that is a scalar, or one with its type beside it.
fn property(properties: &Value, name: &str) -> Option<String> {
    let value = properties.get(name)?;
    match value.get("$value").unwrap_or(value) {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_may_have_their_type_beside_them() {
        let properties = json!({
            "A": { "$type": "System.String", "$value": "x" },
            "B": { "$type": "System.Boolean", "$value": true },
            "C": "plain",
        });
        let all = ["A", "B", "C", "D"].map(|name| property(&properties, name));
        assert_eq!(all, [Some("x".into()), Some("true".into()), Some("plain".into()), None]);
    }
}
