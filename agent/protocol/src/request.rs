use serde::{Deserialize, Serialize};

use crate::{Event, Offers, PrepareSteps, RunStep, Secret};

/// An order to the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Grows by one with every request of an attempt, from 1.
    pub id: u64,
    /// What to do.
    pub verb: Verb,
}

/// What the agent can be asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// The first request: environment and rules of the build. Answered by [`crate::Reply::Nothing`].
    Configure(Box<Configure>),
    /// More environment, after a phase told us values. Answered by [`crate::Reply::Nothing`].
    SetEnvironment(Vec<Variable>),
    /// Take a tar stream over a download connection and unpack it. Answered by [`crate::Reply::Unpacked`].
    Unpack(Unpack),
    /// Read a small file. Answered by [`crate::Reply::File`].
    ReadFile {
        /// Absolute path.
        path: String,
        /// Larger files are an error.
        max_bytes: u64,
    },
    /// Let the shell expand texts as it would between double quotes. Answered by [`crate::Reply::Texts`].
    Evaluate(Vec<String>),
    /// Run commands. Answered by [`crate::Reply::Phase`].
    RunPhase(RunPhase),
    /// Make what steps find when they begin. Answered by [`crate::Reply::Nothing`].
    PrepareSteps(PrepareSteps),
    /// Run one process of a step. Answered by [`crate::Reply::Step`].
    RunStep(Box<RunStep>),
    /// Tell events of the supervisor's own, masked and in order with the output. Answered by [`crate::Reply::Nothing`].
    Tell(Vec<Event>),
    /// One SHA-256 over the files that the globs take, as GitHub's `hashFiles`. Answered by [`crate::Reply::Texts`].
    HashFiles(Vec<String>),
    /// Texts as they would be shown. Answered by [`crate::Reply::Texts`].
    Mask(Vec<Secret>),
    /// Find files and send them over an upload connection. Answered by [`crate::Reply::Collected`].
    Collect(Collect),
    /// Values of variables as the last command left them. Answered by [`crate::Reply::Variables`].
    Export(Vec<String>),
    /// Let processes of the build connect to the local service. Answered by [`crate::Reply::Texts`] with the address and
    /// port where they may.
    OfferService {
        /// Engines inside of the build are to reach it too, not only what sees its loopback.
        beyond_loopback: bool,
    },
    /// End the running request now. Not answered itself; the ended request is.
    Stop(Stop),
    /// Go on after a pause. Not answered.
    Resume,
    /// Write agent lines to the log, in order with the commands' output. Answered by [`crate::Reply::Nothing`].
    Log(Vec<String>),
    /// Kill what is left, flush the spool and exit. Answered by [`crate::Reply::Nothing`] just before.
    Finish,
}

/// One environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, which may be secret, so it never prints.
    pub value: Secret,
}

impl Variable {
    /// A variable of this name and value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Secret::new(value) }
    }
}

/// Environment and rules of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configure {
    /// Every variable the commands start with, over the image's own.
    pub environment: Vec<Variable>,
    /// Values that must not appear in anything the agent sends.
    pub mask: Vec<Secret>,
    /// The shell of the commands.
    pub shell: Shell,
    /// Whether directory and variables carry over from command to command (buildspec 0.2).
    pub carry_state: bool,
    /// Working directory of the first command; made if absent.
    pub source_dir: String,
    /// The build ends TIMED_OUT when this many seconds have passed.
    pub timeout_seconds: u64,
    /// The agent ends everything and exits when no supervisor was there for so many seconds.
    pub orphan_seconds: u64,
    /// `codebuild-breakpoint` pauses; otherwise it does nothing.
    pub breakpoints: bool,
    /// Pause when a command failed, before anything else happens.
    pub pause_on_failure: bool,
    /// The container's memory limit in bytes, to name it when it was hit.
    pub memory_limit: Option<u64>,
    /// Milliseconds between two [`crate::Event::Sample`]s; 0 for none.
    pub sample_interval_ms: u64,
    /// What the build may ask for.
    pub offers: Offers,
}

/// The shell of a build's commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shell {
    /// `sh`.
    #[default]
    Sh,
    /// `bash`.
    Bash,
}

/// Where a tar stream goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpack {
    /// Absolute directory, made if absent. Names in the stream are relative to it.
    pub directory: String,
    /// Names in the stream may also be absolute (caches hold `/root/.m2`).
    pub absolute_names: bool,
    /// Owner of everything unpacked: root when absent, else this user of the image.
    pub owner: Option<String>,
    /// Globs that a later [`Collect`] will ask for, to say whether what was unpacked is still as it was; empty when none
    /// will.
    #[serde(default)]
    pub remember: Vec<String>,
}

/// One phase's commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPhase {
    /// CodeBuild's name of the phase, as in `BUILD`.
    pub phase: String,
    /// `commands`, run in order up to the first that fails.
    pub commands: Vec<Command>,
    /// `finally`, run in order whatever `commands` did, up to the first that fails.
    pub finally: Vec<Command>,
    /// User to run as; root when absent.
    pub run_as: Option<String>,
    /// `CODEBUILD_BUILD_SUCCEEDING` at the start; the agent turns it to 0 when a command fails.
    pub succeeding: bool,
}

/// One command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The shell text, as the buildspec has it.
    pub text: String,
}

impl From<&str> for Command {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned() }
    }
}

/// Files to find and send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collect {
    /// A directory or a glob of directories, absolute or relative to the source directory. Shell variables are
    /// already expanded. Empty means the source directory.
    pub base_directory: String,
    /// Globs under the base directory. `*` does not cross `/`, `**` does. Absolute ones stand for themselves.
    pub files: Vec<String>,
    /// Globs under the base directory of what to leave out.
    pub exclude: Vec<String>,
    /// Put every file at the top; of equal names the last wins.
    pub discard_paths: bool,
    /// Keep symbolic links as links; otherwise what they point at is sent.
    pub keep_symlinks: bool,
    /// Names in the stream are absolute paths (for caches), with directories, owners and modes kept.
    pub absolute_names: bool,
    /// How the stream is packed.
    pub packaging: Packaging,
    /// What is said in the log while it happens.
    pub log: CollectLog,
    /// End of the search after so many seconds, with what was found (0: no end).
    pub search_seconds: u64,
    /// Send nothing where everything is as the last [`Unpack`] that remembered these globs left it.
    #[serde(default)]
    pub unless_unchanged: bool,
}

/// How collected files are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packaging {
    /// A tar stream, not compressed: the supervisor decides.
    Tar,
    /// A zip file, deflated at zlib's default level.
    Zip,
}

/// What the agent says in the log about a [`Collect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CollectLog {
    /// Nothing.
    Quiet,
    /// CodeBuild's `Expanding base directory path: …` to `Found N file(s)`.
    Artifacts,
    /// `Expanded cache path …` for each path.
    Cache,
}

/// Why everything must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// What the ended phase will say.
    pub reason: StopReason,
    /// Milliseconds between TERM and KILL.
    pub grace_ms: u64,
}

/// Why a phase was ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Somebody stopped the build.
    Stopped,
    /// The build's time is over.
    TimedOut,
}
