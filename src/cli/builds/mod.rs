//! `runspan builds`.

mod deliver;
mod found;
mod list;
mod logs;
mod show;
mod stop;

use std::sync::Arc;

use clap::{Args, Subcommand};
use runspan_engine::journal::Journal;

pub(super) use self::deliver::said;
use self::found::{Found, Named, NamedAny, is_orphan};
pub(super) use self::found::{find, is_orphan_batch};
use super::executor::Choice;
use super::run::resume_batch;
use super::watch::{OutputArgs, Session};
use super::{Format, block_on};
use crate::config::Config;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Look at builds, stop them, run them again.
#[derive(Debug, Subcommand)]
pub(crate) enum BuildsCommand {
    /// List builds or batches, the newest first.
    List(list::ListArgs),
    /// Show the record of a build or a batch.
    Show(show::ShowArgs),
    /// Print the log of a build.
    Logs(logs::LogsArgs),
    /// Stop a build or a batch, and wait until it is over.
    Stop(NamedAny),
    /// Try again what could not be delivered: artifacts, logs, metrics, events.
    Deliver(deliver::DeliverArgs),
    /// Run a build again, as it was asked for.
    Retry(Again),
    /// Go on with a build or a batch whose supervising process died.
    Attach(AttachArgs),
}

/// A build to run again.
#[derive(Debug, Args)]
pub(crate) struct Again {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    output: OutputArgs,
}

/// A build or a batch to supervise.
#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    #[command(flatten)]
    named: NamedAny,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn builds(command: BuildsCommand, config: &Config) -> Result<Exit, Failure> {
    let journal = config.journal()?;
    match command {
        BuildsCommand::List(args) => list::list(&journal, &args),
        BuildsCommand::Show(args) => show::show(&journal, &args),
        BuildsCommand::Logs(args) => logs::logs(&journal, &args),
        BuildsCommand::Stop(named) => block_on(stop::stop(journal, config, &named.name)),
        BuildsCommand::Deliver(args) => block_on(deliver::deliver(journal, config, args)),
        BuildsCommand::Retry(again) => block_on(retry(journal, config, &again)),
        BuildsCommand::Attach(args) => block_on(attach(journal, config, &args)),
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

async fn attach(journal: Arc<Journal>, config: &Config, args: &AttachArgs) -> Result<Exit, Failure> {
    let found = Found::named(&journal, &args.named.name)?;
    let session = Session::open(config, journal, Choice::Auto, args.output).await?;
    let exit = match found {
        Found::Batch(batch) => resume_batch(&session, &batch).await,
        Found::Build(stored) => {
            session.to_the_end(session.supervisor.attach(stored.build.id.as_str())?).await
        }
    };
    session.drain().await;
    exit
}
