//! `runspan builds`.

mod deliver;
mod logs;
mod show;
mod stop;

use std::sync::Arc;

use clap::{Args, Subcommand};
use runspan_engine::batch::BuildBatch;
use runspan_engine::build::BuildId;
use runspan_engine::journal::{Journal, Stored};
use runspan_engine::lifecycle::Status;

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
    /// Stop a build or a batch, and wait until it is over.
    Stop(NamedAny),
    /// Try again what could not be delivered: artifacts, logs, metrics, events.
    Deliver(deliver::DeliverArgs),
    /// Run a build again, as it was asked for.
    Retry(Again),
    /// Go on with a build or a batch whose supervising process died.
    Attach(AttachArgs),
}

/// A build.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The build: its id, its uuid, or the first characters of that.
    build: String,
}

/// A build or a batch.
#[derive(Debug, Args)]
pub(crate) struct NamedAny {
    /// The build or the batch: its id, its uuid, or the first characters of that.
    #[arg(value_name = "BUILD|BATCH")]
    name: String,
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
        BuildsCommand::List(args) => show::list(&journal, &args),
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

/// What a name stands for.
enum Found {
    Build(Box<Stored>),
    Batch(Box<BuildBatch>),
}

impl Found {
    fn named(journal: &Journal, name: &str) -> Result<Self, Failure> {
        if let Some(stored) = journal.find(name)? {
            return Ok(Self::Build(Box::new(stored)));
        }
        let batch = journal.find_batch(name)?.ok_or_else(|| {
            Failure::input(format!("there is no build or batch `{name}`"))
                .help("`runspan builds list` shows those there are")
        })?;
        Ok(Self::Batch(Box::new(batch)))
    }

    fn id(&self) -> &BuildId {
        match self {
            Self::Build(stored) => &stored.build.id,
            Self::Batch(batch) => &batch.id,
        }
    }

    /// How it ended, if it has.
    fn end(&self) -> Option<Status> {
        match self {
            Self::Build(stored) => stored.build.build_complete.then_some(stored.build.build_status),
            Self::Batch(batch) => batch.complete.then_some(batch.build_batch_status),
        }
    }

    /// Whether it runs with nobody to supervise it.
    fn is_orphan(&self, journal: &Journal) -> bool {
        match self {
            Self::Build(stored) => is_orphan(journal, stored),
            Self::Batch(batch) => is_orphan_batch(journal, batch),
        }
    }
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
