//! Those who follow builds from outside: each at its own pace, from a cursor that is kept in the journal.
//!
//! A sink that is slow, fails or is absent holds up nobody. What it did not get waits in the journal and is listed
//! with the build, until a later try delivers it.

mod courier;
mod page;

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use courier::{Couriers, Undelivered, undelivered};
pub use page::{Page, log_times};

use crate::build::Build;
use crate::request::BuildRequest;

/// Somebody who wants to know.
#[async_trait]
pub trait Sink: Send + Sync {
    /// As it is listed, and known again by a later process.
    fn name(&self) -> &'static str;

    /// Whether a build concerns it.
    fn wants(&self, request: &BuildRequest) -> bool;

    /// Takes the next part of a build. It is given again when this fails, or when the process dies before it has
    /// noted that this succeeded; [`Delivery::uncertain`] tells.
    ///
    /// # Errors
    /// [`SinkError`]; there is always another try, sooner or later.
    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), SinkError>;
}

/// One part of a build for one sink.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// The record as it stands, which may be further on than the page.
    pub build: &'a Build,
    /// What was asked for.
    pub request: &'a BuildRequest,
    /// The part.
    pub page: &'a Page,
    /// Where all of the build can be read again.
    pub journal: &'a crate::journal::Journal,
    /// An earlier try may have arrived, in whole or in part.
    pub uncertain: bool,
    /// The parts of the page that an earlier try is known to have got through: [`SinkError::taken`] of it.
    pub taken: &'a BTreeSet<u64>,
}

/// How far a sink has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Bytes of the log.
    pub log: u64,
    /// Number of the last event.
    pub events: u64,
}

/// Why a sink did not take something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What happened, where, what to do.
    pub message: String,
    /// The parts of the page that were taken all the same, by numbers of the sink's own.
    pub taken: Vec<u64>,
}

impl SinkError {
    /// Nothing was taken.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), taken: Vec::new() }
    }

    /// The same, but for these parts.
    #[must_use]
    pub fn but_for(self, taken: Vec<u64>) -> Self {
        Self { taken, ..self }
    }
}
