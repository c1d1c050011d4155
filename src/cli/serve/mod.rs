//! `runspan serve`: the jobs of every host, until it is told to end.

mod actions;
mod api;
mod feed;
mod hosting;
mod job;
mod labels;
mod rest;
mod storage;
mod workshop;

use std::sync::Arc;

use clap::Args;
use runspan_agent_protocol::Secret;
use runspan_aws::Account;
use runspan_codepipeline::{Desk, Worker};
use runspan_engine::request::{BuildRequest, Grants};
use runspan_github::{Notes, Place, Registration, ServedRunner, Shutdown};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::api::{ApiArgs, ApiService, Gifts};
use self::storage::StorageArgs;
use self::workshop::{Builder, Defaults};
use super::executor::Choice;
use super::pipelines;
use super::register::store;
use super::watch::{OutputArgs, Session, Signals};
use crate::config::Config;
use crate::console;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Take jobs of every host that this machine is a runner of, and answer CodeBuild's API.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Only these runners, as `runspan list` names them.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Image of jobs that name none; `host` is this machine's own root, which every such job may then read.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
    /// What gives jobs their containers.
    #[arg(long, value_enum, default_value_t)]
    executor: Choice,
    /// Give containers every right over this machine, for jobs that run Docker inside.
    #[arg(long)]
    privileged: bool,
    /// Let jobs use this machine's network where they cannot have one of their own.
    #[arg(long)]
    host_network: bool,
    /// Be the runner of this configuration for one job: what GitHub's `generate-jitconfig` answers.
    #[arg(long, value_name = "TEXT", env = "RUNSPAN_GITHUB_JIT_CONFIG", hide_env_values = true)]
    jit_config: Option<String>,
    #[command(flatten)]
    storage: StorageArgs,
}

/// Serves until a signal: the first lets jobs end, the second ends them, the third leaves them to the next process.
pub(super) async fn serve(args: ServeArgs, config: Config) -> Result<Exit, Failure> {
    let Chosen { runners, workers } = chosen(&args, &config)?;
    let journal = config.journal()?;
    let output = OutputArgs { json: false, quiet: true };
    let session = Session::open(&config, journal, args.executor, output).await?;
    let image = args.image.clone().or_else(|| config.image.clone());
    let api = match args.api.listen {
        Some(address) => {
            let gifts =
                Gifts { image: image.clone(), privileged: args.privileged, host_network: args.host_network };
            Some(ApiService::open(address, &args.api, gifts, &session, &config).await?)
        }
        None => None,
    };
    let template = BuildRequest {
        image: image.clone(),
        privileged: args.privileged.then_some(true),
        grants: Grants {
            privileged: args.privileged,
            host_network: args.host_network,
            // The project is the operator's, who may name a root of this machine in it.
            local_roots: true,
            ..Grants::default()
        },
        cache_dir: session.journal.home().cache(),
        ..BuildRequest::default()
    };
    let defaults = Defaults {
        image,
        privileged: args.privileged,
        host_network: args.host_network,
        cache_dir: session.journal.home().cache(),
    };
    let storage = storage::open(&args.storage, &config)?;
    let builder = Arc::new(Builder::new(&session, defaults, storage)?);
    let mut signals = Signals::new()?;
    let shutdown = watch::Sender::new(Shutdown::No);
    let notes: Notes = Arc::new(|text| console::note(&text));
    let mut serving = JoinSet::new();
    for (place, registration) in runners {
        let name = registration.name.clone();
        let runner = ServedRunner::new(
            place,
            registration,
            Arc::clone(&builder) as Arc<dyn runspan_github::Workshop>,
            Arc::clone(&notes),
            shutdown.subscribe(),
        )?;
        serving.spawn(async move { (name, runner.run().await.map_err(|error| error.to_string())) });
    }
    let account = Arc::new(Account::new(config.region.clone()));
    for (place, registration) in workers {
        let name = registration.name.clone();
        let worker = Worker::new(
            place,
            registration,
            Arc::clone(&account),
            Desk {
                supervisor: session.supervisor.clone(),
                journal: Arc::clone(&session.journal),
                template: template.clone(),
                notes: Arc::clone(&notes),
            },
            shutdown.subscribe(),
        );
        serving.spawn(async move { (name, worker.run().await.map_err(|error| error.to_string())) });
    }
    if let Some(api) = api {
        let shutdown = shutdown.subscribe();
        serving.spawn(async move {
            api.run(shutdown).await;
            (String::new(), Ok(()))
        });
    }
    let _resting = tokio::spawn(rest::rest_while_idle());
    let mut failed = 0;
    let all = serving.len();
    loop {
        tokio::select! {
            ended = serving.join_next() => match ended {
                None => break,
                Some(Ok((_, Ok(())))) => {}
                Some(Ok((name, Err(error)))) => {
                    failed += 1;
                    console::note(&format!("{name}: {error}"));
                }
                Some(Err(error)) => {
                    failed += 1;
                    console::note(&format!("a runner's task died: {error}"));
                }
            },
            () = signals.next() => {
                let next = match *shutdown.borrow() {
                    Shutdown::No => Shutdown::Drain,
                    Shutdown::Drain => Shutdown::Stop,
                    // Jobs are taken up by the next process.
                    Shutdown::Stop => return Ok(Exit::Stopped),
                };
                console::note(match next {
                    Shutdown::Drain => "note: takes no more jobs; once more to end those that run",
                    _ => "note: ends the jobs that run; once more to leave them to the next process",
                });
                shutdown.send_replace(next);
            }
        }
    }
    Ok(if failed == all && all > 0 { Exit::Infrastructure } else { Exit::Success })
}

/// Everything that this machine is for its hosts.
struct Chosen {
    runners: Vec<(Place, Registration)>,
    workers: Vec<(runspan_codepipeline::Place, runspan_codepipeline::Registration)>,
}

/// What is asked for of it.
fn chosen(args: &ServeArgs, config: &Config) -> Result<Chosen, Failure> {
    let store = store(config)?;
    if let Some(text) = &args.jit_config {
        let registration = Registration::from_jit(&Secret::new(text.trim()))?;
        let place = store.place(&registration.name);
        // Kept, so that the job is not lost with this process.
        place.keep(&registration).map_err(|error| Failure::of(&error))?;
        return Ok(Chosen { runners: vec![(place, registration)], workers: Vec::new() });
    }
    let all = store.all().map_err(|error| Failure::of(&error))?;
    let workers = pipelines::all(config)?;
    let runners = all.iter().map(|(_, registration)| registration.name.clone());
    let known: Vec<String> = runners.chain(workers.iter().map(|(_, worker)| worker.name.clone())).collect();
    if let Some(unknown) = args.names.iter().find(|name| !known.contains(name)) {
        return Err(Failure::input(format!("there is no runner {unknown} on this machine")).help(format!(
            "there are: {}",
            if known.is_empty() { "none".into() } else { known.join(", ") }
        )));
    }
    let is_wanted = |name: &String| args.names.is_empty() || args.names.contains(name);
    let runners: Vec<_> = all.into_iter().filter(|(_, runner)| is_wanted(&runner.name)).collect();
    let workers: Vec<_> = workers.into_iter().filter(|(_, worker)| is_wanted(&worker.name)).collect();
    if runners.is_empty() && workers.is_empty() && args.api.listen.is_none() {
        return Err(Failure::input("this machine is no runner yet").help(
            "register one: runspan register github --url https://github.com/OWNER/REPOSITORY --token TOKEN; \
             or answer CodeBuild's API with --listen",
        ));
    }
    Ok(Chosen { runners, workers })
}
