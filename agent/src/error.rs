//! What the agent could not do.

use std::io;
use std::path::PathBuf;

use runspan_agent_protocol::StopReason;

/// What the agent could not do: what happened, where, what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// A file or directory.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// On which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A kernel service.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A shell is not there.
    #[error("{shell} is not in the image (PATH={path}): use an image that has it{}", .remedy)]
    NoShell {
        /// Which.
        shell: &'static str,
        /// Where it was looked for.
        path: String,
        /// What else to do.
        remedy: &'static str,
    },
    /// None of the programs of a step is there.
    #[error("{names} is not in the image (PATH={path}): use an image that has it, or another `shell`")]
    NoProgram {
        /// Which.
        names: String,
        /// Where they were looked for.
        path: String,
    },
    /// A step's directory is not there.
    #[error("the step's working directory {} does not exist: make it in an earlier step", path.display())]
    NoDirectory {
        /// Which.
        path: PathBuf,
    },
    /// A process could not be started.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A user is not there.
    #[error("user `{name}` is not in the image's {}: check `run-as`, or add the user to the image", passwd.display())]
    NoUser {
        /// Which.
        name: String,
        /// Where it was looked for.
        passwd: PathBuf,
    },
    /// A variable's name.
    #[error("`{name}` cannot be the name of an environment variable: it is empty or holds `=` or NUL")]
    VariableName {
        /// The name.
        name: String,
    },
    /// A variable's value.
    #[error("the value of environment variable `{name}` holds a NUL byte, which no process can be given")]
    VariableValue {
        /// The name.
        name: String,
    },
    /// Texts could not be expanded.
    #[error("the shell could not expand `{text}`: exit status {status}")]
    Evaluate {
        /// The text.
        text: String,
        /// The shell's status.
        status: i32,
    },
    /// The carried state could not be read.
    #[error("the shell could not read the variables that earlier commands saved in {}: exit status {status}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// The shell's status.
        status: i32,
    },
    /// A file is too large.
    #[error("{} is larger than the {limit} bytes allowed", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// The request was ended from outside.
    #[error("{}", match .0 { StopReason::Stopped => "the build was stopped", StopReason::TimedOut => "the build's time is over" })]
    Ended(StopReason),
    /// A request came before its time.
    #[error("the build is not configured yet: send `configure` first")]
    NotConfigured,
    /// `configure` came twice.
    #[error("the build is configured already: use `set_environment` for more variables")]
    ConfiguredAlready,
    /// A connection for a blob.
    #[error("the connection to the supervisor broke during {what}: {source}")]
    Blob {
        /// The transfer.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Secrets that cannot be looked for.
    #[error("cannot mask the build's secrets: {reason}; make them fewer or smaller")]
    Mask {
        /// Why not.
        reason: String,
    },
    /// Files could not be found, packed or unpacked.
    #[error("{0}")]
    Files(String),
}

impl AgentError {
    /// For `map_err` on operations on a file.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }

    /// For `map_err` on other operations.
    pub(crate) fn system<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { doing, source: source.into() }
    }
}
