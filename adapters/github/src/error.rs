//! What GitHub, or the way to it, refuses.

/// What could not be done with GitHub.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// A URL that names nothing a runner can be registered with.
    #[error("{url} cannot have a runner: {reason}")]
    Scope {
        /// As it was given.
        url: String,
        /// Why.
        reason: String,
    },
    /// The network, or a proxy in it.
    #[error("{doing}: no answer from {host}: {reason}")]
    Unreachable {
        /// What was being done.
        doing: &'static str,
        /// The host.
        host: String,
        /// Why.
        reason: String,
    },
    /// A login, token or registration that is not good, or not good any more.
    #[error("{doing}: GitHub refuses the login: {reason}; {remedy}")]
    Login {
        /// What was being done.
        doing: &'static str,
        /// GitHub's own words.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The runner was removed at GitHub.
    #[error("the runner's registration is gone: {reason}; register again with `runspan register github`")]
    RegistrationGone {
        /// GitHub's own words.
        reason: String,
    },
    /// GitHub wants a newer runner.
    #[error(
        "GitHub refuses runner version {version}: {reason}; set a newer one with --runner-version or RUNSPAN_GITHUB_RUNNER_VERSION"
    )]
    Version {
        /// What was advertised.
        version: String,
        /// GitHub's own words.
        reason: String,
    },
    /// Another session of the same runner is open.
    #[error("another process runs this runner: {reason}")]
    SessionConflict {
        /// GitHub's own words.
        reason: String,
    },
    /// The session has ended; a new one must be made.
    #[error("the session is over: {reason}")]
    SessionOver {
        /// GitHub's own words.
        reason: String,
    },
    /// The job is not there (any more), or somebody else has it.
    #[error("the job cannot be had: {reason}")]
    JobGone {
        /// GitHub's own words.
        reason: String,
    },
    /// An action that a job uses and that is not there.
    #[error("{reason} ({action})")]
    Action {
        /// `owner/name@version`.
        action: String,
        /// GitHub's own words.
        reason: String,
    },
    /// This machine's clock differs from GitHub's.
    #[error("this machine's clock is wrong: {reason}; set it, for example with NTP")]
    ClockSkew {
        /// GitHub's own words.
        reason: String,
    },
    /// Any other answer than the one that was asked for.
    #[error("{doing}: GitHub answers {status}: {reason}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// HTTP status.
        status: u16,
        /// GitHub's own words.
        reason: String,
        /// After how long to try again, where GitHub says it.
        retry_after: Option<std::time::Duration>,
    },
    /// An answer that cannot be read.
    #[error("{doing}: GitHub's answer cannot be read: {reason}")]
    Malformed {
        /// What was being done.
        doing: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that cannot be used.
    #[error("the key cannot be used: {reason}")]
    Key {
        /// Why.
        reason: String,
    },
    /// A runner of this name is there already.
    #[error(
        "a runner named {name} is registered already; choose another --name, or take its place with --replace"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A runner group that is not there.
    #[error("there is no runner group {name}; there are: {known}")]
    UnknownGroup {
        /// As asked for.
        name: String,
        /// Those that are there.
        known: String,
    },
}

impl GitHubError {
    /// Whether the same call may succeed a while later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::SessionConflict { .. } | Self::ClockSkew { .. } => true,
            Self::Refused { status, .. } => *status == 408 || *status == 429 || *status >= 500,
            _ => false,
        }
    }
}
