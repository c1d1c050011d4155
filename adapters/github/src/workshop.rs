//! The port to whoever builds jobs.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::report::{Checks, Outline, Piece};
use crate::{JobMessage, Registration};

/// Builds jobs.
#[async_trait]
pub trait Workshop: Send + Sync {
    /// Begins with a job, or goes on with it when a process before this one began.
    ///
    /// # Errors
    /// Why it cannot be built, for whoever wrote the workflow.
    async fn start(&self, runner: &Registration, job: &JobMessage) -> Result<Work, String>;

    /// Goes on with a build that a process before this one began.
    ///
    /// # Errors
    /// Why nobody can go on with it.
    async fn resume(&self, runner: &Registration, job: &JobMessage, build: &str) -> Result<Work, String>;
}

/// A job that is being built.
pub struct Work {
    /// The build's id, for [`Workshop::resume`].
    pub build: String,
    /// Its steps.
    pub outline: Outline,
    /// Where its reports are shown, when they can be.
    pub checks: Option<Checks>,
    /// All that happens, from the build's beginning on.
    pub feed: mpsc::Receiver<Piece>,
    /// Ends it.
    pub stop: Arc<dyn Fn(Stop) + Send + Sync>,
}

/// How a build is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// In good order.
    Gently,
    /// At once.
    AtOnce,
}

/// The output of a job that is the URL of its environment, and no output at GitHub.
pub const ENVIRONMENT_URL: &str = "environment.url";
