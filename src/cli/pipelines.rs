//! `runspan register codepipeline`, and what else concerns workers of CodePipeline.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use runspan_aws::Account;
use runspan_codepipeline::{ActionType, Api, Created, Place, Registration, Store};
use runspan_engine::project::Project;
use serde_json::{Value, json};

use crate::config::Config;
use crate::console;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Which custom action.
#[derive(Debug, Args)]
struct ActionArgs {
    /// Category of the action.
    #[arg(long, value_name = "CATEGORY", default_value = "Build", value_parser = ["Build", "Test"])]
    category: String,
    /// Provider of the action, as pipelines name it.
    #[arg(long, value_name = "NAME", default_value = "Runspan")]
    provider: String,
    /// Version of the action.
    #[arg(long, value_name = "VERSION", default_value = "1")]
    action_version: String,
}

/// Be a worker for a custom action of CodePipeline.
#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// The project that the worker builds, in CodeBuild's JSON or YAML; pipelines name it as ProjectName.
    #[arg(long, value_name = "FILE")]
    project: PathBuf,
    #[command(flatten)]
    action: ActionArgs,
    /// Page of a build, for the pipeline's console, with {ExternalExecutionId} for the build's id.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Take the place of a worker for the same project.
    #[arg(long)]
    replace: bool,
    /// Take so many jobs at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    slots: u16,
    /// Ask for jobs every so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    poll: u64,
    /// Show the pipeline the build of a job that lasts longer than so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=1800))]
    show_after: u64,
}

/// Remove a worker of CodePipeline on this machine.
#[derive(Debug, Args)]
pub(crate) struct UnregisterArgs {
    /// The worker, as `runspan list` names it.
    #[arg(value_name = "NAME")]
    name: String,
    /// Remove the custom action in the account, too; pipelines that use it fail from then on.
    #[arg(long)]
    action_type: bool,
}

/// Makes the custom action where it is missing, and the worker.
pub(super) async fn register(args: RegisterArgs, config: &Config) -> Result<Exit, Failure> {
    let shown = args.project.display();
    let text = std::fs::read_to_string(&args.project)
        .map_err(|error| Failure::input(format!("the project {shown} cannot be read")).because(&error))?;
    let project = Project::parse(&text)
        .map_err(|error| Failure::input(format!("the project {shown} cannot be used")).because(&error))?;
    let name = project.name.clone().ok_or_else(|| {
        Failure::input(format!("the project {shown} has no name"))
            .help("give it one; actions of pipelines say it as ProjectName")
    })?;
    let place = store(config)?.place(&name);
    if place.registration().map_err(|error| Failure::of(&error))?.is_some() && !args.replace {
        return Err(Failure::input(format!("{name} is registered on this machine already"))
            .help("take its place with --replace"));
    }
    let ActionArgs { category, provider, action_version: version } = args.action;
    let action_type = ActionType { category, provider, version };
    let made = api(config).create(&action_type, args.url.as_deref()).await?;
    let registration = Registration {
        name,
        action_type,
        project,
        slots: args.slots,
        poll_seconds: args.poll,
        continue_seconds: args.show_after,
    };
    place.keep(&registration).map_err(|error| {
        Failure::machine(format!("the registration cannot be kept in {}", place.root().display()))
            .because(&error)
    })?;
    let [_, name, what, _] = row(&registration);
    let how = if made == Created::Now { "which is made now" } else { "which was there" };
    console::print(&format!("{name} is a worker for the action {what}, {how}\n"));
    console::note("note: `runspan serve` takes its jobs");
    Ok(Exit::Success)
}

/// Forgets a worker.
pub(super) async fn unregister(args: UnregisterArgs, config: &Config) -> Result<Exit, Failure> {
    let place = store(config)?.place(&args.name);
    let registration = place.registration().map_err(|error| Failure::of(&error))?;
    let registration = registration.ok_or_else(|| {
        Failure::input(format!("there is no worker {} on this machine", args.name)).help("see `runspan list`")
    })?;
    let lock = place.try_lock().map_err(|error| Failure::of(&error))?;
    if lock.is_none() {
        return Err(Failure::input(format!("worker {} is being served", args.name))
            .help("end its `runspan serve` first"));
    }
    if args.action_type {
        api(config).delete(&registration.action_type).await?;
    }
    place.remove().map_err(|error| Failure::of(&error))?;
    console::print(&format!("{} is removed\n", args.name));
    Ok(Exit::Success)
}

/// The workers of this machine.
pub(super) fn all(config: &Config) -> Result<Vec<(Place, Registration)>, Failure> {
    store(config)?.all().map_err(|error| Failure::of(&error))
}

/// A worker in a table of runners.
pub(super) fn row(worker: &Registration) -> [String; 4] {
    let ActionType { category, provider, version } = &worker.action_type;
    ["codepipeline".into(), worker.name.clone(), format!("{category}/{provider}/{version}"), String::new()]
}

/// A worker for programs.
pub(super) fn json(worker: &Registration) -> Value {
    json!({
        "host": "codepipeline",
        "name": worker.name,
        "actionType": worker.action_type,
        "slots": worker.slots,
    })
}

fn store(config: &Config) -> Result<Store, Failure> {
    let root = config.journal()?.home().root().join("codepipeline");
    Store::open(&root).map_err(|error| {
        Failure::machine(format!("workers cannot be kept in {}", root.display())).because(&error)
    })
}

fn api(config: &Config) -> Api {
    Api::new(Arc::new(Account::new(config.region.clone())))
}
