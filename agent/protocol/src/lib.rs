//! What the supervisor and the agent say to each other.
//!
//! The agent dials the supervisor's socket. The first frame of every connection is a [`Hello`], whose
//! [`Purpose`] decides the rest:
//!
//! - **Events** (one at a time): the supervisor answers [`Welcome`] with the spool offset it has durably
//!   applied; the agent then sends its spool from that offset on, as it grows, and takes [`Request`]s and
//!   acknowledgements. The spool *is* a sequence of frames, so bytes go from disk to socket untouched and a
//!   supervisor that comes back loses nothing and doubles nothing.
//! - **Upload** and **Download**: one blob, as data frames closed by an end frame; never spooled. The supervisor
//!   answers the end of an upload with an end frame of its own, when it has everything. A blob whose connection breaks
//!   is sent again, from its beginning.
//!
//! - **Ask**: a question of the build's, and the answer.
//!
//! Requests other than [`Verb::Stop`], [`Verb::Resume`] are carried out in order, one at a time, and each is
//! answered by exactly one [`Event::Done`]. A request whose id was seen before is ignored, so a supervisor may
//! repeat what it is not sure was received.

mod companion;
mod event;
mod frame;
mod question;
mod request;
mod secret;
mod send_file;
mod step;

pub use companion::*;
pub use event::*;
pub use frame::*;
pub use question::*;
pub use request::*;
pub use secret::Secret;
pub use send_file::{SendFileError, send_file};
pub use step::*;

use serde::{Deserialize, Serialize};

/// Version of this protocol; both ends are built together, so a difference means a stale agent.
pub const PROTOCOL: u32 = 1;

/// Fixed places inside the container.
pub mod layout {
    /// Directory shared with the supervisor: sockets and spool, nothing else.
    pub const RUN_DIR: &str = "/codebuild/run";
    /// The agent's own binary.
    pub const AGENT: &str = "/codebuild/agent";
    /// Where commands' scripts and carried state live.
    pub const TMP_DIR: &str = "/codebuild/output/tmp";
    /// What steps find as `RUNNER_TEMP`.
    pub const STEPS_TEMP: &str = "/codebuild/output/runner/temp";
    /// Where steps keep tools: `RUNNER_TOOL_CACHE`.
    pub const STEPS_TOOLS: &str = "/codebuild/output/runner/tools";
    /// Actions of repositories, by owner, name and version.
    pub const STEPS_ACTIONS: &str = "/codebuild/output/runner/actions";
    /// Runtimes of actions that the image lacks.
    pub const STEPS_RUNTIMES: &str = "/codebuild/output/runner/runtimes";
    /// A directory for every container beside this one, with its socket.
    pub const COMPANIONS: &str = "/codebuild/companions";
    /// In the run directory of such a container: what it is asked for things at.
    pub const COMPANION_SOCKET: &str = "companion.sock";
    /// What a container and those beside it see the same files in: sources, and what steps work with.
    pub const SHARED: &str = "/codebuild/output";
    /// Inline or overridden buildspec.
    pub const READONLY_DIR: &str = "/codebuild/readonly";
    /// The `codebuild-*` helper commands, last in `PATH`.
    pub const HELPER_DIR: &str = "/codebuild/user/bin";
    /// Socket of the helper commands; any user of the container may connect.
    pub const HELPER_SOCKET: &str = "/codebuild/user/agent.sock";
    /// In the run directory: the supervisor listens here, the agent dials.
    pub const SUPERVISOR_SOCKET: &str = "supervisor.sock";
    /// In the run directory: the agent listens here for interactive shells.
    pub const SHELL_SOCKET: &str = "shell.sock";
    /// In the run directory: the spool.
    pub const SPOOL: &str = "spool";
    /// Runtimes an image offers, if it offers any.
    pub const RUNTIMES: &str = "/codebuild/image/config/runtimes.yml";
}

/// First frame of every connection, from whoever dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the sender.
    pub protocol: u32,
    /// The attempt this agent was placed for; a supervisor refuses another's.
    pub attempt: String,
    /// What this connection is for.
    pub purpose: Purpose,
}

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Spool out, requests in.
    Events,
    /// Blob to the supervisor, made by this request.
    Upload {
        /// Id of the request.
        request: u64,
    },
    /// Blob from the supervisor, wanted by this request.
    Download {
        /// Id of the request.
        request: u64,
    },
    /// A question of the build's: the supervisor answers with a data frame, a JSON [`Answer`], or with an end frame
    /// that says why not.
    Ask(Question),
    /// A connection to the local service, which is handed on as it is: only bytes follow.
    Service,
    /// An interactive shell: the dialler is `runspan shell`, the agent answers with data frames.
    Shell {
        /// Terminal rows; 0 for no terminal.
        rows: u16,
        /// Terminal columns.
        columns: u16,
        /// `TERM` of the user's terminal.
        term: String,
        /// A command line for the shell, or an interactive one when absent.
        command: Option<String>,
    },
}

/// The supervisor's answer to [`Purpose::Events`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Spool offset in bytes up to which everything is durably applied.
    pub resume_from: u64,
}

/// Closes a blob: how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All bytes were sent.
    Complete,
    /// The sender failed; the text says why.
    Failed(String),
    /// A shell ended with this exit status.
    Exited(i32),
}
