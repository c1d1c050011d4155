//! The port to whoever builds jobs.

use std::sync::Arc;

use async_trait::async_trait;
use runspan_engine::build::Build;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::report::{Outline, Piece};
use crate::{JobMessage, Registration};

/// Builds jobs.
#[async_trait]
pub trait Workshop: Send + Sync {
    /// Begins with a job.
    ///
    /// # Errors
    /// Why it cannot be built, for whoever wrote the workflow.
    async fn start(&self, runner: &Registration, job: &JobMessage) -> Result<Work, String>;

    /// Goes on with a build that a process before this one began; of the job's message everything is there but secrets.
    ///
    /// # Errors
    /// Why nobody can go on with it.
    async fn resume(&self, job: &JobMessage, build: &str) -> Result<Work, String>;
}

/// A job that is being built.
pub struct Work {
    /// The build's id, for [`Workshop::resume`].
    pub build: String,
    /// Its steps.
    pub outline: Outline,
    /// All that happens, from the build's beginning on.
    pub feed: mpsc::Receiver<Piece>,
    /// Ends it.
    pub stop: Arc<dyn Fn(Stop) + Send + Sync>,
    /// What the job gives to others.
    pub outcome: Outcome,
}

/// Says what a job gives to others, once its build and steps have ended.
pub type Outcome = Box<dyn FnOnce(&Build, &StepsEnded) -> Results + Send>;

/// How a build is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// In good order.
    Gently,
    /// At once.
    AtOnce,
}

/// Conclusion and outputs of each step, by the service's id of it.
pub type StepsEnded = Vec<(uuid::Uuid, crate::Conclusion, std::collections::BTreeMap<String, String>)>;

/// What a job gives to others.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// Outputs as GitHub takes them.
    pub outputs: Map<String, Value>,
    /// Where the deployment is.
    pub environment_url: Option<String>,
    /// What could not be had, and why.
    pub warnings: Vec<String>,
    /// Why the job fails for it.
    pub error: Option<String>,
}
