//! What can go wrong between a pipeline and this machine.

use std::io;

use runspan_aws::CallError;

/// Why a worker, or one of its calls, failed.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// CodePipeline said no, or nothing.
    #[error(transparent)]
    Aws(#[from] CallError),
    /// It said something else than was agreed.
    #[error("{operation} was answered with something else than expected: {reason}")]
    Malformed {
        /// Which call.
        operation: &'static str,
        /// What is wrong with the answer.
        reason: String,
    },
    /// This machine's disk.
    #[error("the state of worker {worker} cannot be used: {source}")]
    State {
        /// Which.
        worker: String,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("worker {0} is served by another process on this machine")]
    Served(String),
}

impl PipelineError {
    /// Whether the same may succeed later though nobody changes anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Aws(error) => error.is_passing(),
            Self::Malformed { .. } => true,
            Self::State { .. } | Self::Served(_) => false,
        }
    }

    /// Whether the pipeline does not wait for the job any more: it was abandoned, or has its result.
    pub(crate) fn is_over(&self) -> bool {
        let Self::Aws(error) = self else { return false };
        matches!(error.code(), "JobNotFoundException" | "InvalidJobStateException")
    }
}
