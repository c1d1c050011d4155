//! What is known of a job's steps before the first of them begins.

use runspan_agent_protocol::Secret;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A job's steps, and what must not be seen of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outline {
    /// In the order in which the buildspec has them.
    pub steps: Vec<OutlinedStep>,
    /// Regular expressions for what must not be seen, in .NET's syntax.
    pub masks: Vec<Secret>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutlinedStep {
    /// GitHub's id of it.
    pub id: Uuid,
    /// What people see.
    pub name: String,
    /// `run`, or the runtime of an action.
    pub kind: String,
    /// A shell, or an action.
    pub action: String,
    /// The script of `run`.
    pub script: Option<String>,
}
