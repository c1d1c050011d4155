//! Secrets Manager: each version of a secret fetched once, whatever is taken of it.

use std::collections::{HashMap, HashSet};

use futures_util::future::try_join_all;
use runspan_agent_protocol::Secret;
use runspan_engine::ports::{SECRETS_MANAGER_ERROR, SecretError};
use serde_json::{Value, json};

use super::reference::{Reference, Version};
use crate::account::Account;
use crate::permissions::GET_SECRET_VALUE;
use crate::signed::Service;

const SECRETS_MANAGER: Service = Service::new("Secrets Manager", "secretsmanager", "secretsmanager");

/// The values of these references, in their order.
pub(super) async fn fetch(account: &Account, texts: &[&str]) -> Result<Vec<Secret>, SecretError> {
    let references =
        texts.iter().map(|text| Reference::parse(text).map_err(failed)).collect::<Result<Vec<_>, _>>()?;
    let distinct: HashSet<&Version> = references.iter().map(|reference| &reference.version).collect();
    let fetch = distinct.into_iter().map(|version| async move {
        Ok::<_, SecretError>((version, secret_string(account, version).await?))
    });
    let fetched: HashMap<&Version, String> = try_join_all(fetch).await?.into_iter().collect();
    references
        .iter()
        .map(|Reference { version, json_key }| {
            let text = fetched.get(version).map(String::as_str).unwrap_or_default();
            match json_key {
                None => Ok(Secret::new(text)),
                Some(key) => member(text, key).map(Secret::new).ok_or_else(|| {
                    failed(format!("the secret {} holds no JSON with the key {key}", version.id))
                }),
            }
        })
        .collect()
}

async fn secret_string(account: &Account, version: &Version) -> Result<String, SecretError> {
    let mut body = json!({ "SecretId": version.id });
    for (name, value) in [("VersionStage", &version.stage), ("VersionId", &version.version_id)] {
        if let Some(value) = value {
            body[name] = value.as_str().into();
        }
    }
    let answer = account
        .json(SECRETS_MANAGER, GET_SECRET_VALUE, &body)
        .await
        .map_err(|error| failed(error.to_string()))?;
    match answer["SecretString"].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(failed(format!("the secret {} is binary; a variable needs a text", version.id))),
    }
}

/// A member of a JSON text, as text.
fn member(text: &str, key: &str) -> Option<String> {
    match serde_json::from_str::<Value>(text).ok()?.get(key)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn failed(message: String) -> SecretError {
    SecretError { status_code: SECRETS_MANAGER_ERROR, message }
}
