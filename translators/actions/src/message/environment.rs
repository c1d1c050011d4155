//! The variables that every command of a job sees.

use crate::expressions::Value;

use super::context::Known;

/// Members of the github context that are variables too, as the published runner has them.
const EXPORTED: &[&str] = &[
    "actor",
    "actor_id",
    "api_url",
    "base_ref",
    "event_name",
    "graphql_url",
    "head_ref",
    "job",
    "ref",
    "ref_name",
    "ref_protected",
    "ref_type",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "retention_days",
    "run_attempt",
    "run_id",
    "run_number",
    "server_url",
    "sha",
    "triggering_actor",
    "workflow",
    "workflow_ref",
    "workflow_sha",
];

/// `GITHUB_*`, `RUNNER_*` and the like, as far as they are known before the job has a container.
pub(super) fn variables(known: &Known) -> Vec<(String, String)> {
    let mut all =
        vec![("CI".to_owned(), "true".to_owned()), ("GITHUB_ACTIONS".to_owned(), "true".to_owned())];
    if let Some(Value::Object(github)) = known.get("github") {
        for name in EXPORTED {
            if let Some(value) = github.get(name).filter(|value| value.is_primitive()) {
                all.push((format!("GITHUB_{}", name.to_ascii_uppercase()), value.to_text().to_string()));
            }
        }
    }
    if let Some(Value::Object(runner)) = known.get("runner") {
        all.extend(runner.iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((format!("RUNNER_{}", name.to_ascii_uppercase()), text.to_string())),
            _ => None,
        }));
    }
    all
}
