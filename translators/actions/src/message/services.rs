//! The variables with which actions find GitHub's services.

use serde_json::Value as Json;

use super::job::{Hidden, Variables};

/// Of each member of the connection's data that is a variable.
const OF_CONNECTION: &[(&str, &str)] = &[
    ("PipelinesServiceUrl", "ACTIONS_RUNTIME_URL"),
    ("ResultsServiceUrl", "ACTIONS_RESULTS_URL"),
    ("CacheServerUrl", "ACTIONS_CACHE_URL"),
];

pub(super) fn variables(message: &Json, variables: &Variables<'_>) -> Vec<(String, Hidden)> {
    let endpoints = message.pointer("/resources/endpoints").and_then(Json::as_array).into_iter().flatten();
    let is_it = |endpoint: &&Json| {
        let name = endpoint.get("name").and_then(Json::as_str).unwrap_or_default();
        name.eq_ignore_ascii_case("SystemVssConnection")
    };
    let Some(endpoint) = endpoints.into_iter().find(is_it) else { return Vec::new() };
    let data = |name: &str| {
        let value = endpoint.pointer(&format!("/data/{name}")).and_then(Json::as_str)?;
        (!value.is_empty()).then_some(value)
    };
    let mut all = Vec::new();
    let mut set = |name: &str, value: &str| all.push((name.to_owned(), Hidden::new(value)));
    for (member, name) in OF_CONNECTION {
        if let Some(url) = data(member) {
            set(name, url);
        }
    }
    let token = endpoint.pointer("/authorization/parameters/AccessToken").and_then(Json::as_str);
    if let Some(token) = token.filter(|token| !token.is_empty()) {
        set("ACTIONS_RUNTIME_TOKEN", token);
        if let Some(url) = data("GenerateIdTokenUrl") {
            set("ACTIONS_ID_TOKEN_REQUEST_URL", url);
            set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token);
        }
    }
    let is_on = |name: &str| variables.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if is_on("actions_uses_cache_service_v2") {
        set("ACTIONS_CACHE_SERVICE_V2", "True");
    }
    if is_on("actions_set_orchestration_id_env_for_actions")
        && let Some(id) = variables.get("system.orchestrationId")
    {
        set("ACTIONS_ORCHESTRATION_ID", id);
    }
    all
}
