//! The message of a job.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{encode, steps::steps, token, variables::variables};
use crate::{
    Value,
    workflow::{ExpressionError, Job, Node, Workflow},
};

/// Shapes of tokens that GitHub has every runner mask.
const MASKS: &[&str] = &[
    r"\beyJ0eXAiOi[A-Za-z0-9_\-.]+",
    r"(?i:\bBearer\s+)[A-Za-z0-9_\-.=]{20,}",
    r"(?i:\b(Password|Pwd)=)[^\s;]+",
    r"\bv1\.[0-9A-Fa-f]{40}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
    r"\bgithub_pat_[A-Za-z0-9_]{22,}\b",
    r"\bnpm_[A-Za-z0-9]{36}\b",
    r"x-ghcr-signature=[^&\s]+",
];

/// Where the job's services are.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) run_service: String,
    pub(crate) pipelines: String,
    pub(crate) results: String,
    pub(crate) launch: String,
    pub(crate) cache: String,
    pub(crate) feed: String,
    pub(crate) id_token: Option<String>,
}

/// Everything that a message is made of.
pub(crate) struct JobOrder<'a> {
    pub(crate) workflow: &'a Workflow,
    pub(crate) job: &'a Job,
    pub(crate) plan: Uuid,
    pub(crate) job_id: Uuid,
    pub(crate) display_name: &'a str,
    pub(crate) matrix_key: &'a str,
    pub(crate) runner_group: &'a str,
    pub(crate) addresses: &'a Addresses,
    /// The job's own token.
    pub(crate) job_token: &'a str,
    /// `GITHUB_TOKEN`
    pub(crate) token: &'a str,
    pub(crate) permissions: &'a BTreeMap<String, String>,
    pub(crate) secrets: &'a BTreeMap<String, String>,
    /// github, inputs, job, matrix, needs, strategy, vars
    pub(crate) contexts: &'a Value,
    pub(crate) billing_owner: &'a str,
    /// The number of the request in the legacy queue.
    pub(crate) legacy: Option<LegacyRequest>,
}

/// What only a job in the legacy queue has.
pub(crate) struct LegacyRequest {
    pub(crate) request: u64,
    pub(crate) locked_until: String,
}

/// The message.
///
/// # Errors
/// An expression is not closed.
pub(crate) fn compose(order: &JobOrder<'_>) -> Result<Json, ExpressionError> {
    let job = order.job;
    let optional = |node: Option<&Node>| node.map(token).transpose();
    let list = |outer: Option<&Node>, inner: Option<&Node>| {
        outer.into_iter().chain(inner).map(token).collect::<Result<Vec<_>, _>>()
    };
    let mut masks: Vec<Json> =
        MASKS.iter().map(|pattern| json!({"type": "regex", "value": pattern})).collect();
    masks.push(json!({"type": "regex", "value": escape(order.job_token)}));

    let contexts: serde_json::Map<String, Json> = match order.contexts {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), encode(value))).collect(),
        _ => serde_json::Map::new(),
    };
    let plan = match &order.legacy {
        None => {
            json!({"planType": "actions", "version": 0, "planId": order.plan, "artifactUri": "", "artifactLocation": ""})
        }
        Some(_) => {
            json!({"planType": "free", "version": 12, "planId": order.plan, "scopeIdentifier": order.plan,
            "planGroup": "free", "definition": null, "owner": null, "artifactUri": "", "artifactLocation": ""})
        }
    };
    let mut message = json!({
        "fileTable": [order.workflow.path],
        "mask": masks,
        "steps": steps(&job.steps())?,
        "variables": variables(order),
        "messageType": if order.legacy.is_some() { "PipelineAgentJobRequest" } else { "RunnerJobRequest" },
        "plan": plan,
        "timeline": {"id": order.plan, "changeId": 0, "location": null},
        "jobId": order.job_id,
        "jobDisplayName": order.display_name,
        "jobName": order.matrix_key,
        "requestId": order.legacy.as_ref().map_or(0, |legacy| legacy.request),
        "lockedUntil": order.legacy.as_ref().map_or("0001-01-01T00:00:00", |legacy| &legacy.locked_until),
        "environmentVariables": list(order.workflow.env.as_ref(), job.key("env"))?,
        "defaults": list(order.workflow.defaults.as_ref(), job.key("defaults"))?,
        "jobOutputs": optional(job.key("outputs"))?,
        "jobContainer": optional(job.key("container"))?,
        "jobServiceContainers": optional(job.key("services"))?,
        "resources": {"endpoints": [endpoint(order)]},
        "contextData": contexts,
        "snapshot": null,
        "billingOwnerId": order.billing_owner,
    });
    if let Some(environment) = job.key("environment") {
        let name = environment.get("name").unwrap_or(environment).text();
        message["actionsEnvironment"] = json!({"name": name, "url": optional(environment.get("url"))?});
    }
    Ok(message)
}

fn endpoint(order: &JobOrder<'_>) -> Json {
    let Addresses { run_service, pipelines, results, cache, feed, id_token, .. } = order.addresses;
    let url = if order.legacy.is_some() { pipelines } else { run_service };
    let checks = json!([format!("{results}health"), format!("{results}ready")]).to_string();
    json!({
        "name": "SystemVssConnection",
        "url": url,
        "authorization": {"scheme": "OAuth", "parameters": {"AccessToken": order.job_token}},
        "isShared": false,
        "isReady": true,
        "data": {
            "CacheServerUrl": cache,
            "ConnectivityAndDNSChecks": "[]",
            "ConnectivityChecks": checks,
            "FeedStreamUrl": feed,
            "GenerateIdTokenUrl": id_token.as_deref().unwrap_or_default(),
            "PipelinesServiceUrl": pipelines,
            "ResultsServiceUrl": results,
            "ServerId": "",
            "ServerName": "",
        },
    })
}

fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| (!c.is_alphanumeric() && c != '_').then_some('\\').into_iter().chain([c]))
        .collect()
}
