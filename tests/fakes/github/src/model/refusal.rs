//! Why GitHub refuses a call. Each service words it in its own way.

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No token, or one that is not valid here or any more.
    #[error("Bad credentials")]
    Unauthorized,
    /// Not with this token.
    #[error("{0}")]
    Forbidden(String),
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It is another's already.
    #[error("{0}")]
    Conflict(String),
    /// Well formed, but wrong.
    #[error("{0}")]
    Unprocessable(String),
    /// The registration is gone.
    #[error("Runner not found")]
    RunnerNotFound,
    /// The runner must update itself.
    #[error("Runner version v{0} is deprecated and cannot receive messages.")]
    RunnerTooOld(String),
    /// The session is over.
    #[error("The session is not valid any more")]
    SessionInvalid,
    /// The runner has a session elsewhere.
    #[error("A session for runner {0} already exists")]
    SessionConflict(String),
    /// Nothing to acknowledge.
    #[error("The job request {0} does not exist")]
    AcknowledgeJobNotFound(String),
    /// The name is taken.
    #[error("Runner {0} already exists in this pool")]
    RunnerExists(String),
    /// The runner works.
    #[error("Runner {0} is currently running a job and cannot be deleted.")]
    RunnerBusy(String),
    /// The OAuth request is refused.
    #[error("{0}")]
    InvalidClient(String),
}
