//! What a worker works for, as it is kept.

use runspan_engine::project::Project;
use serde::{Deserialize, Serialize};

use crate::ActionType;

/// A worker for the jobs of one project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// The project's name, which is the action's `ProjectName`, and the worker's.
    pub name: String,
    /// Whose jobs it takes.
    pub action_type: ActionType,
    /// How they are built. Source and artifacts are the pipeline's.
    pub project: Project,
    /// Jobs at the same time.
    pub slots: u16,
    /// Between two questions for jobs.
    pub poll_seconds: u64,
    /// A job that lasts longer is handed back with a link to its build, to be given to this worker again.
    pub continue_seconds: u64,
}
