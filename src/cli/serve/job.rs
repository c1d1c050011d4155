//! A job's message as a request for a build.

use std::collections::BTreeMap;

use runspan_actions::message::{self, Container, Hidden, Job, StepInfo, StepKind};
use runspan_agent_protocol::{Secret, Variable};
use runspan_buildspec::{Comments, write};
use runspan_engine::RootFs;
use runspan_engine::project::{Project, ProjectSource, SourceType, project_name_from};
use runspan_engine::request::{BuildRequest, BuildspecChoice, Grants};
use runspan_engine::steps::{Defaults as StepDefaults, JobContainer, JobContexts};
use runspan_github::{ENVIRONMENT_URL, FoundAction, JobMessage, Outline, OutlinedStep};
use serde_json::json;
use uuid::Uuid;

use super::actions::archive;
use super::hosting::{Hosting, inside};
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
        contexts.actions =
            found.into_iter().map(|(key, found)| (key, archive(found, token.as_ref()))).collect();
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
    hosting: Hosting,
) -> Result<BuildRequest, String> {
    let Hosting { project, image: of_label, compute_type, around } = hosting;
    let of_project = project.as_ref().and_then(|project| project.environment.image.clone());
    let image = match &job.container {
        // A workflow must not choose this machine's own files for a root.
        Some(container) if RootFs::named(&container.image).is_local() => {
            return Err(format!("`container: {}` is no image; name one of a registry", container.image));
        }
        Some(container) => container.image.clone(),
        // This machine's own root is for whoever runs it to give.
        None => of_label.clone().or(of_project.clone()).or_else(|| defaults.image.clone()).ok_or(
            "the job has no `container:`, and its runner no image for such jobs; `runspan serve --image IMAGE` gives it \
             one, `--image host` this machine's own root",
        )?,
    };
    // Nor must its labels.
    if let Some(label) = of_label.filter(|label| RootFs::named(label).is_local()) {
        return Err(format!("the label `image:custom-linux-{label}` is no image; name one of a registry"));
    }
    let local_roots = job.container.is_none();
    let repository = job.contexts.text("github", "repository").unwrap_or_default();
    let mut buildspec = job.buildspec.clone();
    buildspec.env.variables.extend(container_env(job, false));
    let buildspec = inside(buildspec, around);
    let project = project.unwrap_or_else(|| Project {
        name: Some(project_name_from(&repository.replace('/', "-"))),
        ..Project::default()
    });
    Ok(BuildRequest {
        // The project's own limit holds for its jobs.
        timeout_seconds: project.timeout_in_minutes.is_none().then_some(LONGEST),
        compute_type,
        // Its source and artifacts are of builds of its own.
        project: Project { source: None, artifacts: None, secondary_artifacts: Vec::new(), ..project },
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
        contexts.container = job.container.as_ref().map(container);
        contexts.services =
            job.services.iter().map(|(name, service)| (name.clone(), container(service))).collect();
    }
    request.secrets = container_env(job, true).map(|(name, value)| Variable::new(name, value)).collect();
}

/// `env` of the job's container, as far as it holds secrets, which must not stand in a build's record, or does not.
fn container_env(job: &Job, secret: bool) -> impl Iterator<Item = (String, String)> {
    let holds_one = |value: &str| job.masks.iter().any(|mask| value.contains(mask.reveal()));
    let env = job.container.iter().flat_map(|container| &container.env);
    env.filter(move |(_, value)| holds_one(value) == secret).cloned()
}

fn container(asked: &Container) -> JobContainer {
    JobContainer {
        image: asked.image.clone(),
        env: asked.env.iter().map(|(name, value)| (name.clone(), Secret::new(value.as_str()))).collect(),
        options: asked.options.clone(),
        ports: asked.ports.clone(),
        volumes: asked.volumes.clone(),
        entrypoint: asked.entrypoint.clone(),
        command: asked.command.clone(),
        login: asked
            .credentials
            .as_ref()
            .map(|login| (login.username.clone(), Secret::new(login.password.reveal()))),
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
