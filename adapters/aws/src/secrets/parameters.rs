//! Parameter Store: ten parameters a request, decrypted.

use std::collections::BTreeSet;

use runspan_agent_protocol::Secret;
use runspan_engine::ports::{PARAMETER_STORE_ERROR, SecretError};
use serde_json::{Value, json};

use crate::account::Account;
use crate::permissions::GET_PARAMETERS;
use crate::signed::Service;

const SSM: Service = Service::new("SSM", "ssm", "AmazonSSM");
const MAX_NAMES: usize = 10;

/// The values of these names, ARNs, or either with `:version` or `:label`, in their order.
pub(super) async fn fetch(account: &Account, names: &[&str]) -> Result<Vec<Secret>, SecretError> {
    let distinct: Vec<&str> = names.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut found: Vec<Value> = Vec::new();
    for names in distinct.chunks(MAX_NAMES) {
        let body = json!({ "Names": names, "WithDecryption": true });
        let answer =
            account.json(SSM, GET_PARAMETERS, &body).await.map_err(|error| failed(error.to_string()))?;
        let list = |member: &str| answer[member].as_array().cloned().unwrap_or_default();
        if let Some(invalid) = list("InvalidParameters").first() {
            let name = invalid.as_str().unwrap_or_default();
            return Err(failed(format!("parameter does not exist: {name}")));
        }
        found.extend(list("Parameters"));
    }
    names
        .iter()
        .map(|name| {
            // Not every server repeats the selector, but the newest is what a bare name means.
            let named = found.iter().filter(|parameter| is_named(parameter, name));
            let value = named.max_by_key(|parameter| parameter["Version"].as_u64());
            let value = value.and_then(|parameter| parameter["Value"].as_str());
            value.map(Secret::new).ok_or_else(|| failed(format!("parameter does not exist: {name}")))
        })
        .collect()
}

fn is_named(parameter: &Value, name: &str) -> bool {
    let text = |member: &str| parameter[member].as_str().unwrap_or_default();
    let version = format!(":{}", parameter["Version"]);
    [text("Name"), text("ARN")].iter().any(|known| {
        let Some(selector) = name.strip_prefix(known).filter(|_| !known.is_empty()) else { return false };
        selector == text("Selector") || selector == version
    })
}

fn failed(message: String) -> SecretError {
    SecretError { status_code: PARAMETER_STORE_ERROR, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_name_arn_and_selector() {
        let plain = json!({ "Name": "/a/b", "ARN": "arn:aws:ssm:r:1:parameter/a/b", "Version": 4 });
        let third =
            json!({ "Name": "/a/b", "ARN": "arn:aws:ssm:r:1:parameter/a/b", "Version": 3, "Selector": ":3" });
        let label = json!({ "Name": "/a/b", "ARN": "arn:aws:ssm:r:1:parameter/a/b", "Version": 2, "Selector": ":old" });
        for (name, answer) in [
            ("/a/b", &plain),
            ("arn:aws:ssm:r:1:parameter/a/b", &plain),
            ("/a/b:3", &third),
            ("arn:aws:ssm:r:1:parameter/a/b:old", &label),
        ] {
            let named = |parameter: &&&Value| is_named(parameter, name);
            assert_eq!(
                [&plain, &third, &label].iter().filter(named).collect::<Vec<_>>(),
                [&answer],
                "{name}"
            );
        }
        assert!(!is_named(&plain, "/a"));
    }
}
