//! A plan: what one build will do, made of request, project and buildspec by pure rules.

use runspan_agent_protocol::{Command, Shell};
use runspan_buildspec::{Buildspec, Cache, OnFailure, Phase, ReportFormat, Step, Version, Work};

use crate::lifecycle::PhaseType;
use crate::ports::{Encryption, Place};
use crate::project::{
    ArtifactPackaging, ArtifactsType, BucketOwnerAccess, CacheType, EnvironmentVariable, NamespaceType,
    ProjectArtifacts, VariableType, compute_size,
};
use crate::request::BuildRequest;

/// What one build will do, as far as it is known before it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The shell of every command.
    pub shell: Shell,
    /// Whether state carries over (version 0.2).
    pub carry_state: bool,
    /// Variables by name, with what wins already chosen; some are still to be fetched.
    pub variables: Vec<EnvironmentVariable>,
    /// INSTALL, PRE_BUILD, BUILD, POST_BUILD.
    pub phases: Vec<PlannedPhase>,
    /// Names of `exported-variables`.
    pub exported: Vec<String>,
    /// `git-credential-helper`.
    pub git_credential_helper: bool,
    /// The primary artifact first, when there is one.
    pub artifacts: Vec<PlannedArtifact>,
    /// `reports`.
    pub reports: Vec<PlannedReport>,
    /// `cache`, when there is one and it is not turned off.
    pub cache: Option<Cache>,
}

/// One of the four phases with commands.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedPhase {
    /// Which.
    pub phase: PhaseType,
    /// Whether the buildspec names it at all.
    pub named: bool,
    /// `commands`.
    pub commands: Vec<Command>,
    /// `steps`, in place of them.
    pub steps: Vec<Step>,
    /// `finally`.
    pub finally: Vec<Command>,
    /// The user, root when absent.
    pub run_as: Option<String>,
    /// `on-failure`.
    pub on_failure: Option<OnFailure>,
    /// `runtime-versions`.
    pub runtime_versions: Vec<(String, String)>,
}

/// One artifact to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedArtifact {
    /// `None` for the primary one.
    pub identifier: Option<String>,
    /// The block of the buildspec.
    pub files: Vec<String>,
    /// `exclude-paths`.
    pub exclude: Vec<String>,
    /// `base-directory`, with variables still in it.
    pub base_directory: String,
    /// `discard-paths`.
    pub discard_paths: bool,
    /// `enable-symlinks`.
    pub keep_symlinks: bool,
    /// Where it goes.
    pub target: ArtifactTarget,
}

/// Where an artifact goes, by the key rule of CodeBuild's project settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactTarget {
    /// `path`.
    pub path: Option<String>,
    /// `namespaceType`.
    pub namespace: NamespaceType,
    /// Object or directory name, with shell text still in it; `/` for none.
    pub name: String,
    /// `packaging`.
    pub packaging: ArtifactPackaging,
    /// Whether the buildspec's name counts, where a project says.
    pub overrides_name: Option<bool>,
    /// The bucket, where a project names one and the request no directory.
    pub bucket: Option<Bucket>,
}

/// A bucket for artifacts, and how they are kept there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// `encryptionDisabled` and the project's `encryptionKey`.
    pub encryption: Encryption,
    /// `bucketOwnerAccess`.
    pub owner_access: BucketOwnerAccess,
}

/// One report group to fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedReport {
    /// Name or ARN, with variables still in it.
    pub group: String,
    /// `file-format`.
    pub format: ReportFormat,
    /// `files`.
    pub files: Vec<String>,
    /// `base-directory`.
    pub base_directory: String,
    /// `discard-paths`, which is for exported files.
    pub discard_paths: bool,
}

/// Why a buildspec that reads well cannot be run; CodeBuild's status code and message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// As in `YAML_FILE_ERROR`.
    pub status_code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

/// Makes the plan.
///
/// # Errors
/// [`PlanError`] for what this runner does not do.
pub fn plan(request: &BuildRequest, project_name: &str, spec: &Buildspec) -> Result<Plan, PlanError> {
    let shell = match spec.env.shell {
        None | Some(runspan_buildspec::Shell::Sh) => Shell::Sh,
        Some(runspan_buildspec::Shell::Bash) => Shell::Bash,
        Some(_) => {
            return Err(PlanError {
                status_code: "YAML_FILE_ERROR",
                message: "env.shell: PowerShell and cmd need Windows; on Linux use `bash` or `/bin/sh`"
                    .into(),
            });
        }
    };
    let phases = [
        (PhaseType::Install, &spec.phases.install),
        (PhaseType::PreBuild, &spec.phases.pre_build),
        (PhaseType::Build, &spec.phases.build),
        (PhaseType::PostBuild, &spec.phases.post_build),
    ]
    .into_iter()
    .map(|(phase, given)| planned_phase(phase, given.as_ref(), spec))
    .collect();
    let cache = match request.project.cache.kind {
        Some(CacheType::NoCache) => None,
        _ => spec.cache.clone(),
    };
    Ok(Plan {
        shell,
        carry_state: spec.version == Version::V0_2,
        variables: variables(request, spec),
        phases,
        exported: spec.env.exported_variables.clone(),
        git_credential_helper: spec.env.git_credential_helper.unwrap_or_default(),
        artifacts: artifacts(request, project_name, spec),
        reports: spec
            .reports
            .iter()
            .map(|(group, report)| PlannedReport {
                group: group.clone(),
                format: report.file_format.unwrap_or_default(),
                files: report.files.clone(),
                base_directory: report.base_directory.clone().unwrap_or_default(),
                discard_paths: report.discard_paths.unwrap_or_default(),
            })
            .collect(),
        cache,
    })
}

fn planned_phase(phase: PhaseType, given: Option<&Phase>, spec: &Buildspec) -> PlannedPhase {
    let empty = Phase::default();
    let block = given.unwrap_or(&empty);
    let commands = |texts: &[String]| texts.iter().map(|text| Command::from(text.as_str())).collect();
    let (commands_of_it, steps) = match &block.work {
        Work::Commands(texts) => (commands(texts), Vec::new()),
        Work::Steps(steps) => (Vec::new(), steps.clone()),
    };
    PlannedPhase {
        phase,
        named: given.is_some(),
        commands: commands_of_it,
        steps,
        finally: commands(&block.finally),
        run_as: block.run_as.clone().or_else(|| spec.run_as.clone()),
        on_failure: block.on_failure.clone(),
        runtime_versions: block.runtime_versions.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
    }
}

/// Override beats project beats buildspec; the place of a name is where it was first seen.
fn variables(request: &BuildRequest, spec: &Buildspec) -> Vec<EnvironmentVariable> {
    let mut all: indexmap::IndexMap<String, EnvironmentVariable> = indexmap::IndexMap::new();
    let kinds = [
        (&spec.env.variables, VariableType::Plaintext),
        (&spec.env.parameter_store, VariableType::ParameterStore),
        (&spec.env.secrets_manager, VariableType::SecretsManager),
    ];
    for (map, kind) in kinds {
        for (name, value) in map {
            all.insert(name.clone(), EnvironmentVariable { name: name.clone(), value: value.clone(), kind });
        }
    }
    for variable in request.variables() {
        all.insert(variable.name.clone(), variable);
    }
    for name in &request.secret_names {
        all.shift_remove(name);
    }
    all.into_values().collect()
}

fn artifacts(request: &BuildRequest, project_name: &str, spec: &Buildspec) -> Vec<PlannedArtifact> {
    let Some(block) = &spec.artifacts else { return Vec::new() };
    let mut all = Vec::new();
    let primary = request.project.artifacts.as_ref();
    if primary.is_none_or(|artifacts| artifacts.kind != ArtifactsType::NoArtifacts)
        && !block.primary.files.is_empty()
    {
        all.push(planned_artifact(request, None, &block.primary, primary, project_name));
    }
    for (identifier, artifact) in &block.secondary {
        let settings = request
            .project
            .secondary_artifacts
            .iter()
            .find(|settings| settings.artifact_identifier.as_deref() == Some(identifier));
        all.push(planned_artifact(request, Some(identifier), artifact, settings, project_name));
    }
    all
}

fn planned_artifact(
    request: &BuildRequest,
    identifier: Option<&String>,
    block: &runspan_buildspec::Artifact,
    settings: Option<&ProjectArtifacts>,
    project_name: &str,
) -> PlannedArtifact {
    let prefixed = |path: Option<&str>| {
        let parts: Vec<&str> = block.s3_prefix.as_deref().into_iter().chain(path).collect();
        (!parts.is_empty()).then(|| parts.join("/"))
    };
    let target = match settings {
        Some(settings) => {
            let overridden = block.name.clone().filter(|_| settings.override_artifact_name == Some(true));
            ArtifactTarget {
                path: prefixed(settings.path.as_deref()),
                namespace: settings.namespace_type,
                name: overridden.or_else(|| settings.name.clone()).unwrap_or_else(|| project_name.to_owned()),
                packaging: settings.packaging,
                overrides_name: settings.override_artifact_name,
                bucket: bucket(request, settings),
            }
        }
        // No project says where: the buildspec's own name counts, and `.zip` in it asks for a zip file.
        None => {
            let name = block.name.clone().or_else(|| identifier.cloned()).unwrap_or_else(|| "/".into());
            let packaging =
                if name.ends_with(".zip") { ArtifactPackaging::Zip } else { ArtifactPackaging::None };
            ArtifactTarget {
                path: prefixed(None),
                namespace: NamespaceType::None,
                name,
                packaging,
                overrides_name: None,
                bucket: None,
            }
        }
    };
    PlannedArtifact {
        identifier: identifier.cloned(),
        files: block.files.clone(),
        exclude: block.exclude_paths.clone(),
        base_directory: block.base_directory.clone().unwrap_or_default(),
        discard_paths: block.discard_paths.unwrap_or_default(),
        keep_symlinks: block.enable_symlinks.unwrap_or_default(),
        target,
    }
}

/// The bucket that the project names for an artifact, where the request names no directory.
pub(crate) fn bucket(request: &BuildRequest, settings: &ProjectArtifacts) -> Option<Bucket> {
    let name = settings.location.clone().filter(|name| !name.is_empty())?;
    (settings.kind == ArtifactsType::S3 && request.artifacts_dir.is_none()).then(|| Bucket {
        name: Place::parse(&name).bucket,
        encryption: Encryption::of(settings.encryption_disabled, request.project.encryption_key.as_deref()),
        owner_access: settings.bucket_owner_access,
    })
}

/// Memory in bytes and vCPUs a build may use: none when nothing names a size.
///
/// # Errors
/// The name of a compute type that CodeBuild does not have.
pub fn compute(request: &BuildRequest) -> Result<Option<(u64, f64)>, String> {
    let environment = &request.project.environment;
    if let Some(configuration) = &environment.compute_configuration
        && let (Some(cpus), Some(gib)) = (configuration.v_cpu, configuration.memory)
    {
        return Ok(Some((u64::from(gib) << 30, f64::from(cpus))));
    }
    match request.compute_type.as_ref().or(environment.compute_type.as_ref()) {
        None => Ok(None),
        Some(name) => compute_size(name).map(Some).ok_or_else(|| name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runspan_buildspec::{Artifact, Artifacts};

    #[test]
    fn override_beats_project_beats_buildspec() {
        let mut spec = Buildspec::default();
        for name in ["A", "B", "C"] {
            spec.env.variables.insert(name.into(), "buildspec".into());
        }
        let mut request = BuildRequest::default();
        request.project.environment.environment_variables =
            vec![EnvironmentVariable::plain("B", "project"), EnvironmentVariable::plain("C", "project")];
        request.environment = vec![EnvironmentVariable::plain("C", "override")];
        let plan = plan(&request, "p", &spec).unwrap();
        let values: Vec<_> = plan.variables.iter().map(|v| (v.name.as_str(), v.value.as_str())).collect();
        assert_eq!(values, [("A", "buildspec"), ("B", "project"), ("C", "override")]);
    }

    #[test]
    fn the_name_of_a_buildspec_counts_only_where_the_project_lets_it() {
        let block = Artifact { files: vec!["x".into()], name: Some("n.zip".into()), ..Artifact::default() };
        let spec = Buildspec {
            artifacts: Some(Artifacts { primary: block, ..Artifacts::default() }),
            ..Buildspec::default()
        };
        let mut request = BuildRequest::default();
        let target = |request: &BuildRequest| plan(request, "p", &spec).unwrap().artifacts[0].target.clone();
        assert_eq!(
            (target(&request).name.as_str(), target(&request).packaging),
            ("n.zip", ArtifactPackaging::Zip)
        );
        request.project.artifacts = Some(ProjectArtifacts::default());
        assert_eq!(
            (target(&request).name.as_str(), target(&request).packaging),
            ("p", ArtifactPackaging::None)
        );
        request.project.artifacts =
            Some(ProjectArtifacts { override_artifact_name: Some(true), ..ProjectArtifacts::default() });
        assert_eq!(target(&request).name, "n.zip");
        request.project.artifacts =
            Some(ProjectArtifacts { kind: ArtifactsType::NoArtifacts, ..ProjectArtifacts::default() });
        assert!(plan(&request, "p", &spec).unwrap().artifacts.is_empty());
    }
}
