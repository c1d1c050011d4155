//! Builds and batches by the names that people give them.

use clap::Args;
use runspan_engine::batch::BuildBatch;
use runspan_engine::build::BuildId;
use runspan_engine::journal::{Journal, Stored};
use runspan_engine::lifecycle::Status;
use serde::{Serialize, Serializer};

use crate::failure::Failure;

/// A build.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The build: its id, its uuid, or the first characters of that.
    pub(super) build: String,
}

/// A build or a batch.
#[derive(Debug, Args)]
pub(crate) struct NamedAny {
    /// The build or the batch: its id, its uuid, or the first characters of that.
    #[arg(value_name = "BUILD|BATCH")]
    pub(super) name: String,
}

/// What a name stands for.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Found {
    Build(#[serde(serialize_with = "as_record")] Box<Stored>),
    Batch(Box<BuildBatch>),
}

impl Found {
    pub(super) fn named(journal: &Journal, name: &str) -> Result<Self, Failure> {
        if let Some(stored) = journal.find(name)? {
            return Ok(Self::Build(Box::new(stored)));
        }
        let batch = journal.find_batch(name)?.ok_or_else(|| {
            Failure::input(format!("there is no build or batch `{name}`"))
                .help("`runspan builds list`, with `--batches` or without, shows those there are")
        })?;
        Ok(Self::Batch(Box::new(batch)))
    }

    pub(super) fn id(&self) -> &BuildId {
        match self {
            Self::Build(stored) => &stored.build.id,
            Self::Batch(batch) => &batch.id,
        }
    }

    /// How it ended, if it has.
    pub(super) fn end(&self) -> Option<Status> {
        match self {
            Self::Build(stored) => stored.build.build_complete.then_some(stored.build.build_status),
            Self::Batch(batch) => batch.complete.then_some(batch.build_batch_status),
        }
    }

    /// Whether it runs with nobody to supervise it.
    pub(super) fn is_orphan(&self, journal: &Journal) -> bool {
        match self {
            Self::Build(stored) => is_orphan(journal, stored),
            Self::Batch(batch) => is_orphan_batch(journal, batch),
        }
    }
}

/// The build of this name.
pub(in crate::cli) fn find(journal: &Journal, name: &str) -> Result<Stored, Failure> {
    journal.find(name)?.ok_or_else(|| {
        Failure::input(format!("there is no build `{name}`"))
            .help("`runspan builds list` shows those there are")
    })
}

/// Whether a batch runs with nobody to supervise it.
pub(in crate::cli) fn is_orphan_batch(journal: &Journal, batch: &BuildBatch) -> bool {
    !batch.complete && journal.home().try_lock_batch(batch.id.uuid()).is_ok_and(|lock| lock.is_some())
}

/// Whether a build runs with nobody to supervise it.
pub(super) fn is_orphan(journal: &Journal, stored: &Stored) -> bool {
    !stored.build.build_complete
        && journal.home().build(stored.build.id.uuid()).try_lock().is_ok_and(|lock| lock.is_some())
}

/// A build is its record.
fn as_record<S: Serializer>(stored: &Stored, serializer: S) -> Result<S::Ok, S::Error> {
    stored.build.serialize(serializer)
}
