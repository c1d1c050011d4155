//! The project that a job's labels name, and what of it runs around the job.

use runspan_actions::message::Job;
use runspan_buildspec::{Buildspec, Phases};
use runspan_engine::journal::Journal;
use runspan_engine::project::Project;
use runspan_engine::request::BuildspecChoice;
use runspan_github::{Checks, JobApi, Registration};
use serde_json::Value;

use super::job::token;
use super::labels::Labels;
use crate::projects::find;

/// What CodeBuild's labels add to a job.
#[derive(Debug, Default)]
pub(super) struct Hosting {
    pub(super) project: Option<Project>,
    pub(super) image: Option<String>,
    pub(super) compute_type: Option<String>,
    /// What runs around the job.
    pub(super) around: Option<Buildspec>,
}

impl Hosting {
    /// Of a job that this runner took.
    ///
    /// # Errors
    /// What is wrong with the labels, the project or its buildspec.
    pub(super) async fn of(job: &Job, runner: &Registration, journal: &Journal) -> Result<Self, String> {
        let is_codebuilds = runner.labels.iter().any(|label| label.starts_with("codebuild-"));
        // GitHub tells only whoever asks; a runner of a JIT configuration does not know its own.
        if !is_codebuilds && !runner.labels.is_empty() {
            return Ok(Self::default());
        }
        let api = api(job)?;
        let check_run = job
            .contexts
            .json("job")
            .get("check_run_id")
            .and_then(|number| number.as_u64().or_else(|| number.as_f64().map(|number| number as u64)));
        let asked = match (&api, check_run) {
            // A token that may not read actions leaves what the runner knows of itself.
            (Some(api), Some(check_run)) => api.labels(check_run).await.ok(),
            _ => None,
        };
        let labels = Labels::read(asked.as_deref().unwrap_or(&runner.labels))?;
        let Some(name) = &labels.project else { return Ok(Self::default()) };
        let project = find(journal, name)?;
        let around = match (&project, labels.overrides_buildspec) {
            (_, false) => None,
            (None, true) => {
                return Err(format!(
                    "`buildspec-override:true` needs the project `{name}`, and there is none: make it through the API, \
                     or as {}",
                    journal.home().root().join("projects").join(format!("{name}.json")).display()
                ));
            }
            (Some(project), true) => Some(around(project, api.as_ref(), &text(job, "sha")).await?),
        };
        Ok(Self { project, image: labels.image, compute_type: labels.compute_type, around })
    }
}

/// Where reports of the job's build are shown.
pub(super) fn checks(job: &Job) -> Option<Checks> {
    let github = job.contexts.json("github");
    let of_request = github.pointer("/event/pull_request/head/sha").and_then(Value::as_str);
    let head_sha = of_request.map_or_else(|| text(job, "sha"), str::to_owned);
    Some(Checks { api: api(job).ok()??, head_sha, attempt: text(job, "run_attempt") })
}

/// The API, as far as the job's token goes.
fn api(job: &Job) -> Result<Option<JobApi>, String> {
    let api = token(job).map(|token| JobApi::new(&text(job, "api_url"), &text(job, "repository"), token));
    api.transpose().map_err(|error| error.to_string())
}

/// A member of the job's `github`.
fn text(job: &Job, name: &str) -> String {
    job.contexts.text("github", name).unwrap_or_default()
}

/// The project's buildspec; of the source, only that file is fetched.
async fn around(project: &Project, api: Option<&JobApi>, commit: &str) -> Result<Buildspec, String> {
    let choice = project.source.as_ref().and_then(|source| source.buildspec.as_deref());
    let choice =
        choice.map_or_else(|| BuildspecChoice::Path("buildspec.yml".into()), BuildspecChoice::from_text);
    let (what, text) = match choice {
        BuildspecChoice::Inline(text) => ("the project's buildspec".to_owned(), text),
        BuildspecChoice::Path(path) => {
            let api = api.ok_or("the job has no token to fetch the project's buildspec with")?;
            let bytes = api.file(&path, commit).await.map_err(|error| format!("{path}: {error}"))?;
            let text = String::from_utf8(bytes).map_err(|_| format!("{path} is not UTF-8"))?;
            (path, text)
        }
        BuildspecChoice::File(path) => return Err(format!("{} cannot be used here", path.display())),
    };
    let parsed = runspan_buildspec::parse(&text);
    parsed.buildspec.ok_or_else(|| {
        let said: Vec<String> = parsed.diagnostics.iter().map(ToString::to_string).collect();
        format!("{what}: {}", said.join("; "))
    })
}

/// A job's buildspec inside of a project's: its INSTALL, PRE_BUILD and POST_BUILD, and what those need.
pub(super) fn inside(job: Buildspec, around: Option<Buildspec>) -> Buildspec {
    let Some(around) = around else { return job };
    let Buildspec { version, run_as, env, proxy, phases, reports, cache, .. } = around;
    let phases = Phases { build: job.phases.build, ..phases };
    let mut env = env;
    env.variables.extend(job.env.variables);
    Buildspec { version, run_as, env, proxy, phases, reports, cache, ..job }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_takes_the_place_of_the_build_phase() {
        let read = |text: &str| runspan_buildspec::parse(text).buildspec.unwrap();
        let job = read("version: 0.2\nphases:\n  build:\n    steps: [{run: make}]\n");
        let around = read(
            "version: 0.2\nenv: {variables: {A: b}}\nphases:\n  install: {commands: [i]}\n  build: {commands: [never]}\n  post_build: {commands: [p]}\nartifacts: {files: [x]}\n",
        );
        let both = inside(job.clone(), Some(around));
        assert_eq!(both.phases.build, job.phases.build);
        assert!(both.phases.install.is_some() && both.phases.post_build.is_some());
        assert_eq!((both.env.variables["A"].as_str(), both.artifacts.is_none()), ("b", true));
        assert_eq!(inside(job.clone(), None), job);
    }
}
