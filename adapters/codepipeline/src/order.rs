//! The request for a build that a job's configuration and artifacts make.

use std::path::{Path, PathBuf};

use runspan_engine::project::{
    ArtifactPackaging, ArtifactsType, EnvironmentVariable, ProjectArtifacts, ProjectSource, SourceType,
};
use runspan_engine::registrations::file_name;
use runspan_engine::request::{BuildRequest, BuildspecChoice};

use crate::Registration;
use crate::api::{Artifact, Job};

/// What is asked of the engine.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) request: BuildRequest,
    pub(crate) is_batch: bool,
}

/// What a job asks for. `template` has what this machine allows; the error is for whoever made the pipeline.
pub(crate) fn request(
    job: &Job,
    registration: &Registration,
    template: &BuildRequest,
    inputs: &Path,
    outputs: PathBuf,
) -> Result<Order, String> {
    let setting = |name: &str| job.configuration.get(name).filter(|value| !value.is_empty());
    let primary = primary(job, setting("PrimarySource").map(String::as_str))?;
    let mut project = registration.project.clone();
    // The pipeline tries again by itself, or not.
    project.auto_retry_limit = None;
    if let Some(role) = setting("ServiceRoleArnOverride") {
        project.service_role = Some(role.clone());
    }
    let flag = |name: &str| match setting(name).map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(format!("{name} is `{other}`, which is neither true nor false")),
    };
    let (is_batch, combines) = (flag("BatchEnabled")?, flag("CombineArtifacts")?);
    if combines && !is_batch {
        return Err("CombineArtifacts is for batches: BatchEnabled must be true, too".into());
    }
    if is_batch {
        project.build_batch_config.get_or_insert_default().combine_artifacts = Some(combines);
    }
    let artifact = |name: &str, identifier: Option<&str>| ProjectArtifacts {
        kind: ArtifactsType::Codepipeline,
        // No build of a batch has such a name, so that what is combined may lie beside their directories.
        name: Some(if is_batch { format!("artifact {name}") } else { name.to_owned() }),
        packaging: ArtifactPackaging::Zip,
        artifact_identifier: identifier.map(str::to_owned),
        ..ProjectArtifacts::default()
    };
    project.secondary_artifacts = Vec::new();
    project.artifacts = Some(match job.outputs.as_slice() {
        all if is_batch && !combines => {
            let ends = all.iter().flat_map(|output| ends(&output.name));
            project.secondary_artifacts = ends.map(|end| artifact(end, Some(end))).collect();
            artifact("", None)
        }
        [only] => artifact(&only.name, None),
        all => {
            project.secondary_artifacts =
                all.iter().map(|output| artifact(&output.name, Some(&output.name))).collect();
            ProjectArtifacts { kind: ArtifactsType::NoArtifacts, ..ProjectArtifacts::default() }
        }
    });
    let source = |input: &Artifact, identifier: Option<&str>| ProjectSource {
        kind: SourceType::Codepipeline,
        location: Some(file_of(inputs, &input.name).to_string_lossy().into_owned()),
        source_identifier: identifier.map(str::to_owned),
        ..ProjectSource::default()
    };
    let others = job.inputs.iter().filter(|input| input.name != primary.name);
    let request = BuildRequest {
        source: ProjectSource {
            buildspec: project.source.as_ref().and_then(|source| source.buildspec.clone()),
            ..source(primary, None)
        },
        source_version: Some(primary.place.arn()),
        source_revision: primary.revision.clone(),
        secondary_sources: others
            .map(|input| (source(input, Some(&input.name)), Some(input.place.arn())))
            .collect(),
        buildspec: setting("BuildspecOverride").map(|text| BuildspecChoice::from_text(text)),
        environment: variables(setting("EnvironmentVariables"))?,
        image: template.image.clone().filter(|_| project.environment.image.is_none()),
        initiator: format!("codepipeline/{}", job.pipeline),
        artifacts_dir: Some(outputs),
        project,
        ..template.clone()
    };
    Ok(Order { request, is_batch })
}

/// Every part of a name that may be the identifier of a secondary artifact, behind that of a build.
fn ends(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('_').map(|(at, _)| &name[at + 1..]).filter(|end| !end.is_empty())
}

/// Where an input artifact lies.
pub(crate) fn file_of(inputs: &Path, name: &str) -> PathBuf {
    // Names of artifacts are letters, digits, `-` and `_`; a pipeline that says otherwise gets no other path.
    inputs.join(format!("{}.zip", file_name(name)))
}

fn primary<'a>(job: &'a Job, named: Option<&str>) -> Result<&'a Artifact, String> {
    match (named, job.inputs.as_slice()) {
        (Some(name), inputs) => inputs
            .iter()
            .find(|input| input.name == name)
            .ok_or_else(|| format!("PrimarySource is `{name}`, which is no input artifact of the action")),
        (None, [only]) => Ok(only),
        (None, []) => Err("the action has no input artifact".into()),
        (None, _) => Err("the action has several input artifacts; name one as PrimarySource".into()),
    }
}

/// `EnvironmentVariables`, as CodeBuild's action has it.
fn variables(text: Option<&String>) -> Result<Vec<EnvironmentVariable>, String> {
    let Some(text) = text else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|error| {
        format!("EnvironmentVariables is no list as [{{\"name\":\"A\",\"value\":\"b\",\"type\":\"PLAINTEXT\"}}]: {error}")
    })
}

#[cfg(test)]
mod tests {
    use runspan_engine::ports::Place;
    use runspan_engine::project::{Project, VariableType};

    use super::*;
    use crate::ActionType;

    fn artifact(name: &str) -> Artifact {
        Artifact { name: name.into(), place: Place::new("b", format!("k/{name}.zip")), revision: None }
    }

    fn job(inputs: &[&str], outputs: &[&str], configuration: &[(&str, &str)]) -> Job {
        Job {
            pipeline: "shop".into(),
            inputs: inputs.iter().map(|name| artifact(name)).collect(),
            outputs: outputs.iter().map(|name| artifact(name)).collect(),
            configuration: configuration.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            ..Job::default()
        }
    }

    fn asked(job: &Job) -> Result<BuildRequest, String> {
        ordered(job).map(|order| order.request)
    }

    fn ordered(job: &Job) -> Result<Order, String> {
        let registration = Registration {
            name: "till".into(),
            action_type: ActionType::default(),
            project: Project::default(),
            slots: 1,
            poll_seconds: 1,
            continue_seconds: 1,
        };
        request(job, &registration, &BuildRequest::default(), Path::new("/in"), "/out".into())
    }

    #[test]
    fn artifacts_are_sources_and_results() {
        let one = asked(&job(&["App"], &["Made"], &[])).unwrap();
        assert_eq!(one.initiator, "codepipeline/shop");
        assert_eq!(one.source.location.as_deref(), Some("/in/App.zip"));
        assert_eq!(one.source_version.as_deref(), Some("arn:aws:s3:::b/k/App.zip"));
        assert_eq!(one.project.artifacts.unwrap().name.as_deref(), Some("Made"));

        let several = [("PrimarySource", "Other"), ("BuildspecOverride", "ci/spec.yml")];
        let several = asked(&job(&["App", "Other"], &["A", "B"], &several)).unwrap();
        assert_eq!(several.source.location.as_deref(), Some("/in/Other.zip"));
        assert_eq!(several.secondary_sources[0].0.source_identifier.as_deref(), Some("App"));
        assert_eq!(several.buildspec, Some(BuildspecChoice::Path("ci/spec.yml".into())));
        let identifiers: Vec<_> =
            several.project.secondary_artifacts.iter().map(|a| a.artifact_identifier.as_deref()).collect();
        assert_eq!(identifiers, [Some("A"), Some("B")]);
    }

    #[test]
    fn a_batch_has_artifacts_for_each_build_or_for_all() {
        let each = [("BatchEnabled", "true"), ("ServiceRoleArnOverride", "arn:aws:iam::1:role/other")];
        let each = ordered(&job(&["App"], &["one", "one_left_over"], &each)).unwrap();
        assert!(each.is_batch);
        let project = each.request.project;
        assert_eq!(project.service_role.as_deref(), Some("arn:aws:iam::1:role/other"));
        assert_eq!(project.build_batch_config.unwrap().combine_artifacts, Some(false));
        assert_eq!(project.artifacts.unwrap().packaging, ArtifactPackaging::Zip);
        let identifiers: Vec<_> = project
            .secondary_artifacts
            .iter()
            .filter_map(|made| made.artifact_identifier.as_deref())
            .collect();
        assert_eq!(identifiers, ["left_over", "over"]);

        let all = [("BatchEnabled", "true"), ("CombineArtifacts", "true")];
        let all = asked(&job(&["App"], &["Made"], &all)).unwrap().project;
        assert_eq!(all.build_batch_config.unwrap().combine_artifacts, Some(true));
        assert_eq!(all.artifacts.unwrap().kind, ArtifactsType::Codepipeline);
    }

    #[test]
    fn variables_are_those_of_the_action() {
        let text = r#"[{"name":"A","value":"b"},{"name":"P","value":"/p","type":"PARAMETER_STORE"}]"#;
        let made = asked(&job(&["App"], &[], &[("EnvironmentVariables", text)])).unwrap();
        let kinds: Vec<_> = made.environment.iter().map(|variable| variable.kind).collect();
        assert_eq!(kinds, [VariableType::Plaintext, VariableType::ParameterStore]);
    }

    #[test]
    fn a_wrong_configuration_is_said() {
        for (job, said) in [
            (job(&[], &[], &[]), "no input artifact"),
            (job(&["A", "B"], &[], &[]), "name one as PrimarySource"),
            (job(&["A"], &[], &[("PrimarySource", "X")]), "`X`"),
            (job(&["A"], &[], &[("EnvironmentVariables", "A=b")]), "EnvironmentVariables is no list"),
            (job(&["A"], &[], &[("BatchEnabled", "yes")]), "neither true nor false"),
            (job(&["A"], &[], &[("CombineArtifacts", "true")]), "BatchEnabled must be true"),
        ] {
            let error = asked(&job).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
