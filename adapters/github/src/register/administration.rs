//! Registration by the runner administration, where GitHub asks for it.

use reqwest::{Method, RequestBuilder, StatusCode};
use runspan_agent_protocol::Secret;
use serde::Deserialize;
use serde_json::json;

use super::{NewRunner, Registered, group};
use crate::http::{self, Refusal};
use crate::{Api, GitHubError, Registration, RunnerIdentity};

#[derive(Deserialize)]
struct Groups {
    runner_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    id: u64,
    name: String,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    is_hosted: bool,
}

#[derive(Deserialize)]
struct Runners {
    runners: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct Answer {
    id: u64,
    authorization: Authorization,
}

#[derive(Deserialize)]
struct Authorization {
    authorization_url: String,
    server_url: String,
    client_id: String,
}

fn call(api: &Api, token: &Secret, method: Method, url: &str) -> RequestBuilder {
    api.client().request(method, url).header("Authorization", format!("RemoteAuth {}", token.reveal()))
}

pub(super) async fn register(
    api: &Api,
    token: &Secret,
    new: NewRunner<'_>,
) -> Result<Registered, GitHubError> {
    const DOING: &str = "registering the runner";
    let request = new.request;
    let entity = api.scope().entity_api();
    let url = format!("{entity}/actions/runner-groups");
    let groups: Groups = http::json("listing runner groups", call(api, token, Method::GET, &url)).await?;
    let groups: Vec<Group> = groups.runner_groups.into_iter().filter(|group| !group.is_hosted).collect();
    let chosen = group(&groups, request.group.as_deref(), |group| &group.name, |group| group.default)?;

    let url = format!("{entity}/actions/runners");
    let found = call(api, token, Method::GET, &url).query(&[("name", request.name.as_str())]);
    let found: Runners = http::json("looking for a runner of the same name", found).await?;
    let taken = found.runners.iter().find(|runner| runner.name == request.name).map(|runner| runner.id);
    let mut body = json!({
        "url": api.scope().url(),
        "group_id": chosen.id,
        "name": request.name,
        "version": request.version,
        "updates_disabled": true,
        "ephemeral": request.ephemeral,
        "labels": request.labels(),
        "public_key": new.public.xml(),
    });
    if let Some(id) = taken {
        if !request.replace {
            return Err(GitHubError::NameTaken { name: request.name.clone() });
        }
        body["runner_id"] = id.into();
        body["replace"] = true.into();
    }
    let url = format!("{}/actions/runners/register", api.scope().api());
    let answer: Answer = http::json(DOING, call(api, token, Method::POST, &url).json(&body)).await?;
    Ok(Registered {
        replaced: taken.is_some(),
        registration: Registration {
            scope: Some(api.scope().clone()),
            name: request.name.clone(),
            labels: request.labels().into_iter().map(|label| label.name).collect(),
            ephemeral: request.ephemeral,
            by_administration: true,
            broker_url: answer.authorization.server_url,
            version: request.version.clone(),
            identity: RunnerIdentity {
                agent_id: answer.id,
                agent_name: request.name.clone(),
                client_id: answer.authorization.client_id,
                authorization_url: answer.authorization.authorization_url,
                requires_fips: true,
                key: new.key,
            },
        },
    })
}

pub(super) async fn remove(api: &Api, token: &Secret, id: u64) -> Result<(), GitHubError> {
    const DOING: &str = "removing the runner";
    let url = format!("{}/actions/runners/{id}", api.scope().entity_api());
    let answer = http::send(DOING, call(api, token, Method::DELETE, &url)).await?;
    match answer.status() {
        status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
        _ => Err(Refusal::read(answer).await.error(DOING)),
    }
}
