//! A job's message as a request for a build.

use runspan_actions::message::{self, Job, StepInfo, StepKind};
use runspan_agent_protocol::{Secret, Variable};
use runspan_buildspec::{Comments, write};
use runspan_engine::RootFs;
use runspan_engine::project::{Project, ProjectSource, SourceType, project_name_from};
use runspan_engine::request::{BuildRequest, BuildspecChoice, Grants};
use runspan_github::{JobMessage, Outline, OutlinedStep};
use uuid::Uuid;

use super::workshop::Defaults;

/// A job may run as long as CodeBuild lets any build run; GitHub ends it sooner by itself.
const LONGEST: u64 = 2160 * 60;

/// Reads a job's message.
pub(super) fn read(job: &JobMessage, runner: &str) -> Result<Job, String> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "X64",
        "aarch64" => "ARM64",
        "arm" => "ARM",
        _ => "X86",
    };
    let facts = [("os", "Linux"), ("arch", arch), ("name", runner), ("environment", "self-hosted")];
    message::read(&job.message, &facts).map_err(|error| error.to_string())
}

/// What the service and its pages need of the steps.
pub(super) fn outline(job: &Job) -> Outline {
    Outline {
        steps: job.steps.iter().map(outlined).collect(),
        masks: job.mask_patterns.iter().map(|pattern| Secret::new(pattern.reveal())).collect(),
    }
}

fn outlined(step: &StepInfo) -> OutlinedStep {
    let (kind, action) = match &step.kind {
        StepKind::Script => ("run", "sh".to_owned()),
        StepKind::Action { name, .. } => ("action", name.clone()),
        StepKind::Local(path) => ("action", path.clone()),
        StepKind::Image(image) => ("DockerHub", image.clone()),
    };
    OutlinedStep {
        id: step.id.parse().unwrap_or_else(|_| Uuid::new_v4()),
        name: step.display_name.clone(),
        kind: kind.to_owned(),
        action,
    }
}

/// The build of a job.
pub(super) fn request(job: &Job, runner: &str, defaults: &Defaults) -> Result<BuildRequest, String> {
    if let Some((alias, _)) = job.services.first() {
        return Err(format!(
            "the job's service `{alias}` cannot be started: this runner has no service containers yet"
        ));
    }
    let own = defaults.image.clone().unwrap_or_else(|| "host".to_owned());
    let image = match &job.container {
        // A workflow must not choose this machine's own files for a root.
        Some(container) if RootFs::named(&container.image).is_local() => {
            return Err(format!("`container: {}` is no image; name one of a registry", container.image));
        }
        Some(container) => container.image.clone(),
        None => own.clone(),
    };
    let local_roots = image == own;
    let repository = job.contexts.text("github", "repository").unwrap_or_default();
    let environment = job.container.iter().flat_map(|container| &container.env);
    let secrets = job.secret_variables.iter();
    let secrets = secrets.map(|(name, value)| Variable::new(name.as_str(), value.reveal()));
    let mut buildspec = job.buildspec.clone();
    for (name, value) in environment {
        buildspec.env.variables.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Ok(BuildRequest {
        project: Project {
            name: Some(project_name_from(&repository.replace('/', "-"))),
            ..Project::default()
        },
        source: ProjectSource { kind: SourceType::NoSource, ..ProjectSource::default() },
        source_version: job.contexts.text("github", "sha"),
        buildspec: Some(BuildspecChoice::Inline(write(&buildspec, &Comments::default()))),
        image: Some(image),
        secret_names: job.secret_variables.iter().map(|(name, _)| name.clone()).collect(),
        secrets: secrets.collect(),
        masks: job.masks.iter().map(|mask| Secret::new(mask.reveal())).collect(),
        privileged: defaults.privileged.then_some(true),
        grants: Grants {
            privileged: defaults.privileged,
            local_roots,
            host_network: defaults.host_network,
            ..Grants::default()
        },
        timeout_seconds: Some(LONGEST),
        initiator: format!("github/{runner}"),
        cache_dir: defaults.cache_dir.clone(),
        ..BuildRequest::default()
    })
}
