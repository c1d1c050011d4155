//! What is known here of `github` and `runner`.

use runspan_agent_protocol::layout;

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use super::services::companion;
use crate::build::Build;
use crate::steps::{Architecture, Asked, JobContainer};
use crate::supervisor::driver::Driver;

/// The file of `github.event`.
pub(super) const EVENT_FILE: &str = "/codebuild/output/runner/temp/_github_workflow/event.json";

/// What is known here of `github`.
pub(super) fn github(driver: &Driver, from_host: bool) -> Vec<(&'static str, String)> {
    let mut known = vec![("workspace", driver.dirs.primary.clone()), ("event_path", EVENT_FILE.to_owned())];
    if from_host {
        return known;
    }
    let build = &driver.build;
    let location = driver.request.source.location.as_deref().unwrap_or_default();
    let repository = location.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let repository =
        repository.map(|(_, path)| path.trim_end_matches('/').trim_end_matches(".git").to_owned());
    let version = build.source_version.clone().unwrap_or_default();
    for (name, value) in [
        ("sha", build.resolved_source_version.clone()),
        ("ref", Some(version.clone()).filter(|version| version.starts_with("refs/"))),
        ("ref_name", version.strip_prefix("refs/heads/").map(str::to_owned)),
        (
            "repository_owner",
            repository.as_ref().and_then(|path| path.split_once('/')).map(|(owner, _)| owner.to_owned()),
        ),
        ("repository", repository),
        ("run_id", Some(build.build_number.to_string())),
        ("run_number", Some(build.build_number.to_string())),
        ("run_attempt", Some("1".into())),
        ("job", Some(build.project_name.clone())),
        ("workflow", Some(build.project_name.clone())),
        ("actor", Some(build.initiator.clone())),
        ("event_name", Some("workflow_dispatch".into())),
        ("server_url", Some("https://github.com".into())),
        ("api_url", Some("https://api.github.com".into())),
        ("graphql_url", Some("https://api.github.com/graphql".into())),
    ] {
        known.extend(value.map(|value| (name, value)));
    }
    known
}

pub(super) fn runner() -> Vec<(&'static str, String)> {
    let machine = Architecture::of_machine(std::env::consts::ARCH);
    vec![
        ("os", "Linux".into()),
        ("arch", machine.map_or(std::env::consts::ARCH, Architecture::name).to_uppercase()),
        ("name", "runspan".into()),
        ("environment", "self-hosted".into()),
        ("temp", layout::STEPS_TEMP.into()),
        ("tool_cache", layout::STEPS_TOOLS.into()),
    ]
}

/// `job` with its containers: their names, and where their ports are found.
pub(super) fn with_containers(
    job: Json,
    build: &Build,
    services: &IndexMap<String, JobContainer>,
    has_container: bool,
) -> Json {
    let network = format!("runspan-{}", build.id.uuid());
    let mut job = match job {
        Json::Object(members) => members,
        _ => serde_json::Map::new(),
    };
    if has_container {
        job.insert("container".into(), json!({ "id": network, "network": network }));
    }
    if !services.is_empty() {
        let of = |(index, (name, container)): (usize, (&String, &JobContainer))| {
            let ports = Asked::read(container).map(|asked| asked.ports).unwrap_or_default();
            let ports: serde_json::Map<_, _> = ports
                .iter()
                .map(|port| (port.inside.to_string(), Json::from(port.outside.to_string())))
                .collect();
            let id = format!("{network}-{}", companion(index));
            (name.clone(), json!({ "id": id, "network": network, "ports": ports }))
        };
        job.insert(
            "services".into(),
            services.iter().enumerate().map(of).collect::<serde_json::Map<_, _>>().into(),
        );
    }
    Json::Object(job)
}
