//! `runspan unregister` and `runspan list`.

use clap::{Args, Subcommand};
use runspan_github::{Api, unregister};

use super::Format;
use super::register::{LoginArgs, store};
use crate::config::Config;
use crate::console;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Be a runner no longer.
#[derive(Debug, Subcommand)]
pub(crate) enum UnregisterCommand {
    /// Remove a runner at GitHub and on this machine.
    Github(GitHubArgs),
    /// Remove a worker of CodePipeline on this machine.
    Codepipeline(super::pipelines::UnregisterArgs),
}

/// Remove a runner at GitHub and on this machine.
#[derive(Debug, Args)]
pub(crate) struct GitHubArgs {
    /// The runner, as `runspan list` names it.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    login: LoginArgs,
    /// Forget it on this machine only.
    #[arg(long)]
    local: bool,
}

/// List the runners that this machine is.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// How to print them.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

/// Removes a runner.
pub(super) async fn unregister_with(command: UnregisterCommand, config: Config) -> Result<Exit, Failure> {
    let args = match command {
        UnregisterCommand::Github(args) => args,
        UnregisterCommand::Codepipeline(args) => return super::pipelines::unregister(args, &config).await,
    };
    let store = store(&config)?;
    let found = store.all().map_err(|error| Failure::of(&error))?;
    let names: Vec<String> = found.iter().map(|(_, registration)| registration.name.clone()).collect();
    let Some((place, registration)) =
        found.into_iter().find(|(_, registration)| registration.name == args.name)
    else {
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(Failure::input(format!("there is no runner {} on this machine", args.name))
            .help(format!("there are: {known}")));
    };
    let lock = place.try_lock().map_err(|error| Failure::of(&error))?;
    if lock.is_none() {
        return Err(Failure::input(format!("runner {} is being served", args.name))
            .help("end its `runspan serve` first"));
    }
    if !args.local {
        let scope = registration.scope.clone().ok_or_else(|| {
            Failure::input(format!("what runner {} is registered with is not known", args.name))
                .help("remove it on GitHub's page, and here with --local")
        })?;
        let api = Api::new(scope, args.login.login()?, &registration.version)?;
        unregister(&api, &registration).await?;
    }
    place.remove().map_err(|error| Failure::of(&error))?;
    console::print(&format!("{} is removed\n", args.name));
    Ok(Exit::Success)
}

/// Lists the runners of this machine.
pub(super) fn list(args: &ListArgs, config: &Config) -> Result<Exit, Failure> {
    let found = store(config)?.all().map_err(|error| Failure::of(&error))?;
    let workers = super::pipelines::all(config)?;
    if args.format == Format::Json {
        let mut all: Vec<_> = found
            .iter()
            .map(|(_, registration)| {
                serde_json::json!({
                    "host": "github",
                    "name": registration.name,
                    "url": registration.scope.as_ref().map(ToString::to_string),
                    "labels": registration.labels,
                    "ephemeral": registration.ephemeral,
                    "id": registration.identity.agent_id,
                })
            })
            .collect();
        all.extend(workers.iter().map(|(_, worker)| super::pipelines::json(worker)));
        console::print(&format!("{}\n", serde_json::Value::from(all)));
        return Ok(Exit::Success);
    }
    let mut rows: Vec<[String; 4]> = found
        .into_iter()
        .map(|(_, registration)| {
            let url = registration.scope.map(|scope| scope.to_string()).unwrap_or_default();
            ["github".to_owned(), registration.name, url, registration.labels.join(",")]
        })
        .collect();
    rows.extend(workers.iter().map(|(_, worker)| super::pipelines::row(worker)));
    console::print(&console::table(["HOST", "NAME", "URL", "LABELS"], &rows));
    Ok(Exit::Success)
}
