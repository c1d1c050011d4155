//! The services that actions speak to, for the jobs of this process.

use std::io;
use std::os::unix::net::UnixStream;

use clap::{Args, ValueEnum};
use runspan_actions::message::Job;
use runspan_actions_storage::{Artifacts, Grant, Scope, Settings, Storage};
use runspan_agent_protocol::{Secret, Variable};
use runspan_engine::ports::LocalService;
use runspan_engine::request::BuildRequest;
use runspan_github::JobMessage;

use crate::config::Config;
use crate::failure::Failure;

/// Bytes that are kept, where nothing else is said.
const LIMIT: u64 = 20 << 30;
/// Variables that say where the services are.
const ADDRESSES: &[&str] = &["ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL"];

/// Who keeps what jobs hand over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Keeper {
    /// GitHub.
    Github,
    /// This machine.
    #[default]
    Local,
}

#[derive(Debug, Args)]
pub(super) struct StorageArgs {
    /// Who keeps the caches of jobs.
    #[arg(long, value_enum, default_value_t = Keeper::Local)]
    caches: Keeper,
    /// Who keeps the artifacts of jobs; GitHub's pages show only those that GitHub keeps.
    #[arg(long, value_enum, default_value_t = Keeper::Github)]
    artifacts: Keeper,
}

/// The storage, when this machine keeps anything.
pub(super) fn open(args: &StorageArgs, config: &Config) -> Result<Option<Storage>, Failure> {
    let artifacts = match (args.caches, args.artifacts) {
        (Keeper::Github, Keeper::Github) => return Ok(None),
        (Keeper::Github, Keeper::Local) => {
            return Err(Failure::input("--artifacts local needs --caches local").help(
                "both have one address in a job, and what this machine does not keep is handed on to GitHub only as a whole",
            ));
        }
        (Keeper::Local, Keeper::Github) => Artifacts::GitHub,
        (Keeper::Local, Keeper::Local) => Artifacts::Local,
    };
    let root = config.home.join("actions-storage");
    let limit = config.actions_storage_limit.unwrap_or(LIMIT);
    let storage = Storage::open(Settings { root, limit, artifacts });
    storage.map(Some).map_err(|error| Failure::of(&error))
}

/// Hands connections of builds to the storage.
pub(super) struct Connections(pub(super) Storage);

impl LocalService for Connections {
    fn connect(&self, stream: UnixStream) -> io::Result<()> {
        self.0.connect(stream)
    }
}

/// Admits a job, and tells its actions where the services are. Of a job without a token there is nothing to tell.
pub(super) fn admit(storage: &Storage, job: &Job, message: &JobMessage, request: &mut BuildRequest) {
    let Some(contexts) = &mut request.job else { return };
    let Some(grant) = grant(job, message) else { return };
    storage.admit(grant);
    contexts.service_variables = ADDRESSES.iter().map(|name| (*name).to_owned()).collect();
    let hosted = job.contexts.text("github", "server_url").is_some_and(|url| has_results(&url));
    let is_set = contexts.action_variables.iter().any(|variable| variable.name == "ACTIONS_CACHE_SERVICE_V2");
    if hosted && !is_set {
        contexts.action_variables.push(Variable::new("ACTIONS_CACHE_SERVICE_V2", "True"));
    }
}

/// Whether clients use the newer calls with this server.
fn has_results(server: &str) -> bool {
    let host = server.split("://").nth(1).unwrap_or(server);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    host == "github.com" || host.ends_with(".ghe.com") || host.ends_with(".localhost")
}

/// The job's own token for GitHub's services.
fn token(job: &Job) -> Option<&str> {
    let found = job.service_variables.iter().find(|(name, _)| name == "ACTIONS_RUNTIME_TOKEN");
    found.map(|(_, token)| token.reveal())
}

/// The run and the job, as these services name them.
fn ids(job: &Job, message: &JobMessage) -> (String, String) {
    token(job).and_then(Grant::ids_of_token).unwrap_or_else(|| {
        let plan = message.message.pointer("/plan/planId").and_then(|plan| plan.as_str());
        (plan.unwrap_or_default().to_owned(), message.job_id.to_string())
    })
}

/// The job, as the storage knows it.
pub(super) fn id(job: &Job, message: &JobMessage) -> String {
    ids(job, message).1
}

/// What GitHub lets a job do.
fn grant(job: &Job, message: &JobMessage) -> Option<Grant> {
    let token = token(job)?;
    let github = |name: &str| job.contexts.text("github", name);
    let scopes = Scope::of_token(token).unwrap_or_else(|| {
        let event = job.contexts.json("github");
        let default = event.pointer("/event/repository/default_branch").and_then(|name| name.as_str());
        let reference = github("ref").unwrap_or_default();
        Scope::of_event(&reference, github("base_ref").as_deref(), default)
    });
    let (run, job_id) = ids(job, message);
    let results = job.service_variables.iter().find(|(name, _)| name == "ACTIONS_RESULTS_URL");
    Some(Grant {
        repository: github("repository")?,
        run,
        job: job_id,
        scopes,
        token: Secret::new(token),
        upstream: results.map(|(_, url)| url.reveal().to_owned()),
    })
}
