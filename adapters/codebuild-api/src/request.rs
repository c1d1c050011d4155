//! What `StartBuild` asks for, as a request to the engine.

use runspan_engine::project::{EnvironmentVariable, Project, SourceType};
use runspan_engine::request::{BuildRequest, Grants};
use serde_json::{Map, Value};

use crate::api::{Api, INITIATOR};
use crate::error::ApiError;
use crate::operations::Input;

/// Overrides, each with the member of the project that it stands for.
const OVERRIDES: &[(&str, &[&str])] = &[
    ("sourceVersion", &["sourceVersion"]),
    ("secondarySourcesOverride", &["secondarySources"]),
    ("secondarySourcesVersionOverride", &["secondarySourceVersions"]),
    ("artifactsOverride", &["artifacts"]),
    ("secondaryArtifactsOverride", &["secondaryArtifacts"]),
    ("sourceTypeOverride", &["source", "type"]),
    ("sourceLocationOverride", &["source", "location"]),
    ("sourceAuthOverride", &["source", "auth"]),
    ("gitCloneDepthOverride", &["source", "gitCloneDepth"]),
    ("gitSubmodulesConfigOverride", &["source", "gitSubmodulesConfig"]),
    ("buildspecOverride", &["source", "buildspec"]),
    ("insecureSslOverride", &["source", "insecureSsl"]),
    ("environmentTypeOverride", &["environment", "type"]),
    ("imageOverride", &["environment", "image"]),
    ("computeTypeOverride", &["environment", "computeType"]),
    ("privilegedModeOverride", &["environment", "privilegedMode"]),
    ("registryCredentialOverride", &["environment", "registryCredential"]),
    ("imagePullCredentialsTypeOverride", &["environment", "imagePullCredentialsType"]),
    ("cacheOverride", &["cache"]),
    ("serviceRoleOverride", &["serviceRole"]),
    ("timeoutInMinutesOverride", &["timeoutInMinutes"]),
    ("buildTimeoutInMinutesOverride", &["timeoutInMinutes"]),
    ("queuedTimeoutInMinutesOverride", &["queuedTimeoutInMinutes"]),
    ("encryptionKeyOverride", &["encryptionKey"]),
    ("logsConfigOverride", &["logsConfig"]),
    ("autoRetryLimitOverride", &["autoRetryLimit"]),
    ("buildBatchConfigOverride", &["buildBatchConfig"]),
];

/// Overrides that this machine cannot honour, with the reason.
const REFUSED: &[(&str, &str)] = &[
    ("reportBuildStatusOverride", "this service reports no build status to source providers"),
    ("reportBuildBatchStatusOverride", "this service reports no build status to source providers"),
    ("buildStatusConfigOverride", "this service reports no build status to source providers"),
    ("certificateOverride", "this service fetches no certificates; put them into the image"),
    ("fleetOverride", "this service has no fleets"),
    ("hostKernelOverride", "builds run on this machine's kernel"),
];

impl Api {
    /// The request for a build of a project with overrides.
    pub(crate) fn request(&self, input: &Input, caller: &str) -> Result<BuildRequest, ApiError> {
        let name = input.required("projectName");
        let mut record = self.project_record(name)?;
        for (member, reason) in REFUSED {
            // Off is what it is anyway.
            if input.value(member).is_some_and(|value| *value != Value::Bool(false)) {
                return Err(ApiError::invalid(format!("{member}: {reason}")));
            }
        }
        if input.flag("privilegedModeOverride") && !self.settings.privileged {
            return Err(ApiError::invalid(
                "privilegedModeOverride: this service grants no privileged mode; its operator may with `runspan serve --privileged`",
            ));
        }
        if let (Some(_), Some(Value::Object(environment))) =
            (input.value("imageOverride"), record.get_mut("environment"))
        {
            // The project's login is for the project's image.
            environment.remove("registryCredential");
        }
        for (member, path) in OVERRIDES {
            if let Some(value) = input.value(member) {
                put(&mut record, path, value.clone());
            }
        }
        let variables = input.value("environmentVariablesOverride").cloned().unwrap_or_default();
        let variables: Option<Vec<EnvironmentVariable>> = serde_json::from_value(variables)
            .map_err(|error| ApiError::invalid(format!("environmentVariablesOverride: {error}")))?;
        let project = self.project_of(&record)?;
        let image = project.environment.image.clone().unwrap_or_default();
        Ok(BuildRequest {
            source: project.source.clone().unwrap_or_default(),
            source_version: project.source_version.clone().filter(|version| !version.is_empty()),
            secondary_sources: secondary_sources(&project),
            environment: variables.unwrap_or_default(),
            grants: Grants {
                privileged: self.settings.privileged,
                local_roots: self.grants_root(&image),
                host_network: self.settings.host_network,
                ..Grants::default()
            },
            debug_session: input.flag("debugSessionEnabled"),
            initiator: format!("{INITIATOR}{caller}"),
            idempotency_token: input.text("idempotencyToken").map(str::to_owned),
            cache_dir: self.settings.cache_dir.clone(),
            project,
            ..BuildRequest::default()
        })
    }

    /// The project that a record describes, if it can be built.
    pub(crate) fn project_of(&self, record: &Map<String, Value>) -> Result<Project, ApiError> {
        check(record)?;
        let project = Project::of_record(&Value::Object(record.clone()))
            .map_err(|error| ApiError::invalid(error.to_string()))?;
        let image = project.environment.image.as_deref().unwrap_or_default();
        if runspan_engine::RootFs::named(image).is_local() && !self.grants_root(image) {
            return Err(ApiError::invalid(format!(
                "environment.image: `{image}` is a root of this machine; its operator may give it with `runspan serve --image {image}`"
            )));
        }
        Ok(project)
    }
}

/// What CodeBuild checks of a project beyond its shape.
fn check(record: &Map<String, Value>) -> Result<(), ApiError> {
    let text = |path: [&str; 2]| {
        record.get(path[0]).and_then(|outer| outer.get(path[1])).and_then(Value::as_str).unwrap_or_default()
    };
    let kind = text(["source", "type"]);
    if kind == "NO_SOURCE" && text(["source", "buildspec"]).is_empty() {
        return Err(ApiError::invalid("Project source: buildspec is required when source type is NO_SOURCE"));
    }
    if !matches!(kind, "NO_SOURCE" | "CODEPIPELINE") && text(["source", "location"]).is_empty() {
        return Err(ApiError::invalid(format!(
            "Project source: location is required when source type is {kind}"
        )));
    }
    if text(["artifacts", "type"]) == "S3" && text(["artifacts", "location"]).is_empty() {
        return Err(ApiError::invalid("Project artifacts: location is required when artifacts type is S3"));
    }
    if matches!(kind, "CODEPIPELINE") != matches!(text(["artifacts", "type"]), "CODEPIPELINE") {
        return Err(ApiError::invalid(
            "Both source and artifacts must be of type CODEPIPELINE, or neither of them",
        ));
    }
    let environment = text(["environment", "type"]);
    if environment.starts_with("WINDOWS") || environment == "MAC_ARM" {
        return Err(ApiError::invalid(format!(
            "environment.type: {environment} cannot be had on this machine"
        )));
    }
    Ok(())
}

fn secondary_sources(project: &Project) -> Vec<(runspan_engine::project::ProjectSource, Option<String>)> {
    let version = |identifier: &Option<String>| {
        let found = project
            .secondary_source_versions
            .iter()
            .find(|version| Some(&version.source_identifier) == identifier.as_ref());
        found.map(|version| version.source_version.clone())
    };
    let sources = project.secondary_sources.iter();
    sources.map(|source| (source.clone(), version(&source.source_identifier))).collect()
}

/// Puts a value where a path of members ends.
fn put(record: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => drop(record.insert((*last).to_owned(), value)),
        [first, rest @ ..] => {
            let inner = record.entry(*first).or_insert_with(|| Map::new().into());
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// Whether a build of this project can be begun by itself.
pub(crate) fn is_buildable(project: &Project) -> Result<(), ApiError> {
    if project.source.as_ref().is_some_and(|source| source.kind == SourceType::Codepipeline) {
        return Err(ApiError::invalid(
            "ArtifactsOverride must be set when using artifacts type CodePipelines",
        ));
    }
    Ok(())
}

/// Whether a member of `StartBuild` is taken or refused here.
#[cfg(test)]
pub(crate) fn is_known(member: &str) -> bool {
    let own = ["projectName", "environmentVariablesOverride", "idempotencyToken", "debugSessionEnabled"];
    own.contains(&member)
        || OVERRIDES.iter().any(|(name, _)| *name == member)
        || REFUSED.iter().any(|(name, _)| *name == member)
}
