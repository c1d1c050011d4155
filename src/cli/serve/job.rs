//! A job's message as a request for a build.

use std::collections::BTreeMap;

use runspan_actions::message::{self, Hidden, Job, StepInfo, StepKind};
use runspan_agent_protocol::{Secret, Variable};
use runspan_buildspec::{Comments, write};
use runspan_engine::RootFs;
use runspan_engine::project::{Project, ProjectSource, SourceType, project_name_from};
use runspan_engine::request::{BuildRequest, BuildspecChoice, Grants};
use runspan_engine::steps::{ActionArchive, Defaults as StepDefaults, JobContexts};
use runspan_github::{ENVIRONMENT_URL, FoundAction, JobMessage, Outline, OutlinedStep};
use serde_json::json;
use uuid::Uuid;

use super::workshop::Defaults;

/// A job may run as long as CodeBuild lets any build run; GitHub ends it sooner by itself.
const LONGEST: u64 = 2160 * 60;

/// Reads a job's message.
pub(super) fn read(job: &JobMessage) -> Result<Job, String> {
    message::read(&job.message).map_err(|error| error.to_string())
}

/// The actions of repositories that a job uses: `owner/name` and version.
pub(super) fn actions(job: &Job) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for step in &job.steps {
        if let StepKind::Action { name, reference } = &step.kind {
            let repository: Vec<&str> = name.splitn(3, '/').take(2).collect();
            let wanted = (repository.join("/"), reference.clone());
            if !all.contains(&wanted) {
                all.push(wanted);
            }
        }
    }
    all
}

/// The job's own token.
pub(super) fn token(job: &Job) -> Option<Secret> {
    let is_it = |(name, _): &&(String, Hidden)| name.eq_ignore_ascii_case("github_token");
    job.secrets.iter().find(is_it).map(|(_, token)| Secret::new(token.reveal()))
}

/// Where the actions of a request are; those without a login of their own are had with the job's.
pub(super) fn with_actions(
    request: &mut BuildRequest,
    found: BTreeMap<String, FoundAction>,
    token: Option<Secret>,
) {
    if let Some(contexts) = &mut request.job {
        contexts.actions = found
            .into_iter()
            .map(|(key, action)| {
                let FoundAction { sha, url, token: own } = action;
                (key, ActionArchive { sha, url, token: own.or_else(|| token.clone()) })
            })
            .collect();
    }
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
        script: step.script.clone(),
    }
}

/// The build of a job, without what [`reveal`] puts into it.
pub(super) fn request(
    job: &Job,
    runner: &str,
    initiator: &str,
    defaults: &Defaults,
) -> Result<BuildRequest, String> {
    if let Some((alias, _)) = job.services.first() {
        return Err(format!(
            "the job's service `{alias}` cannot be started: this runner has no service containers yet"
        ));
    }
    let image = match &job.container {
        // A workflow must not choose this machine's own files for a root.
        Some(container) if RootFs::named(&container.image).is_local() => {
            return Err(format!("`container: {}` is no image; name one of a registry", container.image));
        }
        Some(container) => container.image.clone(),
        // This machine's own root is for whoever runs it to give.
        None => defaults.image.clone().ok_or(
            "the job has no `container:`, and its runner no image for such jobs; `runspan serve --image IMAGE` gives it \
             one, `--image host` this machine's own root",
        )?,
    };
    let local_roots = job.container.is_none();
    let repository = job.contexts.text("github", "repository").unwrap_or_default();
    let mut buildspec = job.buildspec.clone();
    if let Some(container) = &job.container {
        buildspec.env.variables.extend(container.env.iter().cloned());
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
        privileged: defaults.privileged.then_some(true),
        grants: Grants {
            privileged: defaults.privileged,
            local_roots,
            host_network: defaults.host_network,
            ..Grants::default()
        },
        timeout_seconds: Some(LONGEST),
        initiator: initiator.to_owned(),
        cache_dir: defaults.cache_dir.clone(),
        job: Some(contexts(job, runner)),
        ..BuildRequest::default()
    })
}

/// Puts what is never written down into a request.
pub(super) fn reveal(job: &Job, request: &mut BuildRequest) {
    let variables = |all: &[(String, Hidden)]| {
        all.iter().map(|(name, value)| Variable::new(name.as_str(), value.reveal())).collect()
    };
    request.masks = job.masks.iter().map(|mask| Secret::new(mask.reveal())).collect();
    if let Some(contexts) = &mut request.job {
        contexts.secrets = variables(&job.secrets);
        contexts.action_variables = variables(&job.service_variables);
    }
}

fn contexts(job: &Job, runner: &str) -> JobContexts {
    let json = |name: &str| job.contexts.json(name);
    let mut github = json("github");
    if let Some(github) = github.as_object_mut() {
        github.remove("token");
    }
    let (shell, working_directory) = job.defaults.clone();
    let mut outputs = job.outputs.clone();
    if let Some(url) = &job.environment_url {
        outputs.insert(ENVIRONMENT_URL.to_owned(), url.clone());
    }
    JobContexts {
        github,
        vars: json("vars"),
        inputs: json("inputs"),
        matrix: json("matrix"),
        strategy: json("strategy"),
        needs: json("needs"),
        job: json("job"),
        runner: json!({ "name": runner }),
        env: job.env.clone(),
        defaults: StepDefaults { shell, working_directory },
        outputs,
        secret_names: job.secrets.iter().map(|(name, _)| name.clone()).collect(),
        ..JobContexts::default()
    }
}
