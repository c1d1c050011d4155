//! Configurations for a single job, made by GitHub itself.

use std::collections::HashMap;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    caller::Authorization,
    pools::token_path,
    refusals::RestRefusal,
    registration::{owner, scope},
    runners::runner_json,
    wire,
};
use crate::{
    model::{Label, PublicKey, Refused, Registration, Runner},
    server::App,
};

#[derive(Deserialize)]
struct Request {
    name: String,
    runner_group_id: Option<u64>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    work_folder: Option<String>,
}

pub(super) async fn generate(
    State(app): State<App>,
    Path(path): Path<HashMap<String, String>>,
    caller: Authorization,
    body: Bytes,
) -> Result<Response, RestRefusal> {
    let scope = scope(&app, &path)?;
    caller.administers(&app, owner(&scope))?;
    let request: Request = wire::read(&body)?;
    let invalid = |why: &str| Refused::Unprocessable(format!("Invalid request.\n\n{why}"));
    let group = request.runner_group_id.ok_or_else(|| invalid("\"runner_group_id\" wasn't supplied."))?;
    if request.labels.is_empty() || request.labels.len() > 100 {
        return Err(invalid("\"labels\" takes 1 to 100 items.").into());
    }
    let numbers = tokio::task::spawn_blocking(private_numbers).await.ok().flatten();
    let numbers = numbers.ok_or_else(|| invalid("No key could be made."))?;
    let key = PublicKey { modulus: numbers[0].clone(), exponent: numbers[1].clone() };
    let runner = app.change(|github| {
        let id = github.register(Registration {
            scope,
            group,
            name: request.name.clone(),
            version: github.settings.runner_release.clone(),
            os: "unknown".to_owned(),
            labels: request.labels.iter().map(|name| Label { name: name.clone(), system: false }).collect(),
            ephemeral: true,
            disable_update: false,
            key,
        })?;
        github.runners.get(&id).cloned().ok_or(Refused::RunnerNotFound)
    })?;
    let work = request.work_folder.as_deref().unwrap_or("_work");
    let answer = json!({
        "runner": runner_json(&app, &runner),
        "encoded_jit_config": configuration(&app, &runner, &numbers, work),
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// The three files of a configured runner, as one text.
fn configuration(app: &App, runner: &Runner, numbers: &[Vec<u8>], work: &str) -> String {
    let tenant = format!("{}/_services/pipelines/fake/", app.base);
    let settings = json!({
        "AgentId": runner.id.to_string(),
        "AgentName": runner.registration.name,
        "PoolId": runner.registration.group.to_string(),
        "PoolName": "Default",
        "DisableUpdate": "True",
        "Ephemeral": "True",
        "ServerUrl": tenant,
        "WorkFolder": work,
        "UseV2Flow": "True",
        "ServerUrlV2": format!("{}/broker/", app.base),
    });
    let credentials = json!({
        "Scheme": "OAuth",
        "Data": {
            "ClientId": runner.client,
            "AuthorizationUrl": format!("{}/_apis/oauth2/token/{}", app.base, token_path(runner)),
            "RequireFipsCryptography": "True",
        },
    });
    let names = ["modulus", "exponent", "d", "p", "q", "dp", "dq", "inverseQ"];
    let key: serde_json::Map<String, Value> = names
        .iter()
        .zip(numbers)
        .map(|(name, number)| ((*name).to_owned(), json!(STANDARD.encode(number))))
        .collect();
    let files = json!({
        ".runner": STANDARD.encode(settings.to_string()),
        ".credentials": STANDARD.encode(credentials.to_string()),
        ".credentials_rsaparams": STANDARD.encode(Value::Object(key).to_string()),
    });
    STANDARD.encode(files.to_string())
}

/// n, e, d, p, q, dp, dq and qinv of a new key.
fn private_numbers() -> Option<Vec<Vec<u8>>> {
    let pair = KeyPair::generate(KeySize::Rsa2048).ok()?;
    let document: Pkcs8V1Der<'_> = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).ok()?;
    // PrivateKeyInfo: a sequence of a version, an algorithm, and in an octet string the key itself.
    let (_, info, _) = element(document.as_ref())?;
    let (_, _, rest) = element(info)?;
    let (_, _, rest) = element(rest)?;
    let (_, key, _) = element(rest)?;
    // RSAPrivateKey: a sequence of a version and the numbers.
    let (_, mut rest, _) = element(key)?;
    let mut numbers = Vec::new();
    while let Some((2, number, next)) = element(rest) {
        numbers.push(number.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(number).to_vec());
        rest = next;
    }
    (numbers.len() == 9).then(|| numbers.split_off(1))
}

/// Tag and content of the first DER element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}
