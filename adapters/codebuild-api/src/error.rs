//! Answers that say no.

use std::path::PathBuf;

use hyper::StatusCode;
use runspan_engine::journal::JournalError;
use runspan_engine::{EngineError, Refusal};

/// A refusal, as AWS's clients read it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// As in `InvalidInputException`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    pub(crate) status: StatusCode,
}

impl ApiError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status: StatusCode::BAD_REQUEST }
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidInputException", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new("ResourceNotFoundException", message)
    }

    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self::new("ResourceAlreadyExistsException", message)
    }

    /// This service's own fault; SDKs try again.
    pub(crate) fn failure(message: impl Into<String>) -> Self {
        Self::new("InternalFailure", message).with_status(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<JournalError> for ApiError {
    fn from(error: JournalError) -> Self {
        Self::failure(error.to_string())
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Request(message) => Self::invalid(message),
            other => Self::failure(other.to_string()),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            // Another process may take the build soon.
            Refusal::Ending => {
                Self::new("ServiceUnavailable", message).with_status(StatusCode::SERVICE_UNAVAILABLE)
            }
            Refusal::QueueFull(_) | Refusal::ProjectLimit(_) => {
                Self::new("AccountLimitExceededException", message)
            }
            Refusal::TokenReused => Self::invalid(message),
            Refusal::Engine(error) => error.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::failure(error.to_string())
    }
}

/// A file with secrets cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used: {source}", path.display())]
pub struct StoreError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}
