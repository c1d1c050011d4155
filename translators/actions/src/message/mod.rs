//! A job as GitHub's service sends it to a runner, and what it is as a buildspec.
//!
//! Source of the facts: the published runner's contracts of the job message, and messages of github.com.

mod container;
mod context;
mod job;
mod services;
mod step;
mod token;

pub use container::{Container, Credentials};
pub use context::Known;
pub use job::{Hidden, Job, read};
pub use step::{StepInfo, StepKind};

/// Why a message is no job that can be run. Says nothing of the message's values, which may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A member that every job has is missing or of another kind.
    #[error("the job's message has no usable `{member}`")]
    Missing {
        /// Its name.
        member: &'static str,
    },
    /// A template or context deeper than any real one.
    #[error("the job's message is nested too deeply")]
    TooDeep,
    /// A kind of token that is not known.
    #[error("the job's message has a token of the unknown kind {kind}")]
    Token {
        /// Its number.
        kind: u64,
    },
    /// An expression that cannot be evaluated before the first step.
    #[error("{place}: {reason}")]
    Expression {
        /// Where it stands.
        place: String,
        /// In GitHub's words.
        reason: String,
    },
}
