//! `runspan builds list`.

use clap::Args;
use runspan_engine::journal::{Journal, JournalError, Order, Span};

use super::show::{json, time, took};
use super::{Format, Found};
use crate::console::{self, table};
use crate::exit_code::Exit;
use crate::failure::Failure;

/// List builds or batches, the newest first.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Batches instead of builds.
    #[arg(long)]
    batches: bool,
    /// Only those of this project.
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// How they are printed.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(super) fn list(journal: &Journal, args: &ListArgs) -> Result<Exit, Failure> {
    let found = find(journal, args)?;
    console::print(&match args.format {
        Format::Human => {
            let rows: Vec<_> = found.iter().map(|found| row(journal, found)).collect();
            table(["STATUS", "NUMBER", "STARTED", "TOOK", "ID"], &rows)
        }
        Format::Json => json(&found)?,
    });
    Ok(Exit::Success)
}

fn find(journal: &Journal, args: &ListArgs) -> Result<Vec<Found>, JournalError> {
    let project = args.project.as_deref();
    if !args.batches {
        let builds = journal.list(project, args.limit)?;
        return Ok(builds.into_iter().map(|stored| Found::Build(Box::new(stored))).collect());
    }
    let span = Span { order: Order::Descending, from: 0, count: args.limit as u64 };
    let mut batches = Vec::new();
    for id in journal.batch_ids(project, None, span)? {
        batches.extend(journal.find_batch(&id)?.map(|batch| Found::Batch(Box::new(batch))));
    }
    Ok(batches)
}

fn row(journal: &Journal, found: &Found) -> [String; 5] {
    let (status, number, start, end) = match found {
        Found::Build(stored) => {
            let build = &stored.build;
            (build.build_status, build.build_number, build.start_time, build.end_time)
        }
        Found::Batch(batch) => {
            (batch.build_batch_status, batch.build_batch_number, batch.start_time, batch.end_time)
        }
    };
    let status = if found.is_orphan(journal) { "ORPHANED" } else { status.name() };
    [status.to_owned(), number.to_string(), time(start), took(start, end), found.id().to_string()]
}
