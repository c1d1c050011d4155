//! `runspan builds`.

mod deliver;
mod logs;
mod show;
mod stop;

use std::sync::Arc;

use clap::{Args, Subcommand};
use runspan_engine::batch::BuildBatch;
use runspan_engine::journal::{Journal, Stored};

use super::executor::Choice;
use super::watch::{OutputArgs, Session};
pub(super) use deliver::said;

use super::run::resume_batch;
use super::{Format, block_on};
use crate::config::Config;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Look at builds, stop them, run them again.
#[derive(Debug, Subcommand)]
pub(crate) enum BuildsCommand {
    /// List builds, the newest first.
    List(show::ListArgs),
    /// Show the record of a build or a batch.
    Show(show::ShowArgs),
    /// Print the log of a build.
    Logs(logs::LogsArgs),
    /// Stop a build, and wait until it is over.
    Stop(Named),
    /// Try again what could not be delivered: artifacts, logs, metrics, events.
    Deliver(deliver::DeliverArgs),
    /// Run a build again, as it was asked for.
    Retry(Again),
    /// Go on with a build or a batch whose supervising process died.
    Attach(Again),
}

/// A build.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The build: its id, its uuid, or the first characters of that.
    build: String,
}

/// A build to supervise.
#[derive(Debug, Args)]
pub(crate) struct Again {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn builds(command: BuildsCommand, config: &Config) -> Result<Exit, Failure> {
    let journal = config.journal()?;
    match command {
        BuildsCommand::List(args) => show::list(&journal, &args),
        BuildsCommand::Show(args) => show::show(&journal, &args),
        BuildsCommand::Logs(args) => logs::logs(&journal, &args),
        BuildsCommand::Stop(named) => block_on(stop::stop(journal, config, &named.build)),
        BuildsCommand::Deliver(args) => block_on(deliver::deliver(journal, config, args)),
        BuildsCommand::Retry(again) => block_on(retry(journal, config, &again)),
        BuildsCommand::Attach(again) => block_on(attach(journal, config, &again)),
    }
}

async fn retry(journal: Arc<Journal>, config: &Config, again: &Again) -> Result<Exit, Failure> {
    let mut request = find(&journal, &again.named.build)?.request;
    // A new build of its own, with all its tries before it.
    request.retry = Default::default();
    request.batch = None;
    let session = Session::open(config, journal, Choice::Auto, again.output).await?;
    session.sweep().await;
    let handle = session.supervisor.start(request)?;
    let exit = session.to_the_end(handle).await;
    session.drain().await;
    exit
}

async fn attach(journal: Arc<Journal>, config: &Config, again: &Again) -> Result<Exit, Failure> {
    let name = &again.named.build;
    let batch = if journal.find(name)?.is_some() { None } else { journal.find_batch(name)? };
    let session = Session::open(config, journal, Choice::Auto, again.output).await?;
    let exit = match batch {
        Some(batch) => resume_batch(&session, &batch).await,
        None => session.to_the_end(session.supervisor.attach(name)?).await,
    };
    session.drain().await;
    exit
}

/// The build of this name.
pub(super) fn find(journal: &Journal, name: &str) -> Result<Stored, Failure> {
    journal.find(name)?.ok_or_else(|| {
        Failure::input(format!("there is no build `{name}`"))
            .help("`runspan builds list` shows those there are")
    })
}

/// Whether a batch runs with nobody to supervise it.
pub(super) fn is_orphan_batch(journal: &Journal, batch: &BuildBatch) -> bool {
    !batch.complete && journal.home().try_lock_batch(batch.id.uuid()).is_ok_and(|lock| lock.is_some())
}

/// Whether a build runs with nobody to supervise it.
fn is_orphan(journal: &Journal, stored: &Stored) -> bool {
    !stored.build.build_complete
        && journal.home().build(stored.build.id.uuid()).try_lock().is_ok_and(|lock| lock.is_some())
}
