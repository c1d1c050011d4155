use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Annotation, StepEnd, StepId, StepReport, StopReason};

/// What the agent tells, in spool order. Output of commands is not an event but a frame of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The agent is PID 1 and listens.
    Ready {
        /// Memory limit it found for itself, in bytes.
        memory_limit: Option<u64>,
    },
    /// Somebody asked the container to stop, as `docker stop` does.
    StopAsked,
    /// A command begins.
    CommandStarted {
        /// Position in its list, from 0.
        index: u32,
        /// Whether it stands in `finally`.
        finally: bool,
        /// Its text.
        text: String,
    },
    /// A command ended.
    CommandEnded {
        /// Position in its list, from 0.
        index: u32,
        /// Whether it stands in `finally`.
        finally: bool,
        /// How.
        exit: Exit,
        /// Wall time in milliseconds.
        duration_ms: u64,
    },
    /// A step begins.
    StepStarted {
        /// Which.
        step: StepId,
        /// Its name.
        name: String,
    },
    /// A step ended, or was skipped.
    StepEnded {
        /// Which.
        step: StepId,
        /// Its name.
        name: String,
        /// How.
        end: StepEnd,
    },
    /// A step says something about a file or itself.
    Annotated {
        /// Which.
        step: StepId,
        /// What it says.
        annotation: Annotation,
    },
    /// A step's summary, in Markdown.
    Summarised {
        /// Which.
        step: StepId,
        /// The text.
        text: String,
    },
    /// What the job of the steps gives.
    JobOutputs {
        /// By name.
        outputs: BTreeMap<String, String>,
    },
    /// The build waits for somebody.
    Paused(Pause),
    /// The build goes on.
    Resumed,
    /// Resource use since the container started.
    Sample(Sample),
    /// A request was carried out, or not.
    Done {
        /// Its id.
        request: u64,
        /// What came of it; the error text says what happened, where, and what to do.
        result: Result<Reply, String>,
    },
}

/// Why a build waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// `codebuild-breakpoint` ran.
    Breakpoint,
    /// A command failed and the build was asked to wait then.
    Failure,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// By the kernel, for want of memory.
    OutOfMemory {
        /// The limit in bytes, where known.
        limit: Option<u64>,
    },
    /// By us.
    Ended(StopReason),
    /// It could not be started; the text says why.
    NotStarted(String),
}

impl Exit {
    /// Whether the command succeeded.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Status(0))
    }
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It has none.
    Nothing,
    /// Of [`crate::Verb::RunPhase`].
    Phase(PhaseEnd),
    /// Of [`crate::Verb::Unpack`].
    Unpacked {
        /// Files written.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Of [`crate::Verb::RunStep`].
    Step(Box<StepReport>),
    /// Of [`crate::Verb::ReadFile`]; nothing when there is no such file.
    File(Option<Vec<u8>>),
    /// Of [`crate::Verb::Evaluate`], [`crate::Verb::HashFiles`] and [`crate::Verb::Mask`], in the order of the request.
    Texts(Vec<String>),
    /// Of [`crate::Verb::Collect`].
    Collected(Collected),
    /// Of [`crate::Verb::Export`]: those that are set.
    Variables(Vec<(String, String)>),
}

/// How a phase's commands ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseEnd {
    /// Every command of both lists passed.
    Succeeded,
    /// A command did not.
    Failed {
        /// The first that failed.
        command: String,
        /// How.
        exit: Exit,
    },
    /// It was ended from outside.
    Ended(StopReason),
}

/// What a [`crate::Collect`] found and sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// Files sent; when 0, no upload connection was made.
    pub files: u64,
    /// There are files, but as they were unpacked, so none was sent.
    #[serde(default)]
    pub unchanged: bool,
    /// Bytes of the stream, which the supervisor must have received.
    pub bytes: u64,
    /// Globs that matched nothing.
    pub unmatched: Vec<String>,
    /// Faults that did not stop it, one line each (a file that vanished, a socket).
    pub warnings: Vec<String>,
}

/// Resource use since the container started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// CPU time in microseconds.
    pub cpu_us: u64,
    /// Memory in use, in bytes, less file pages that can be dropped.
    pub memory_bytes: u64,
    /// The highest so far.
    pub memory_peak_bytes: u64,
    /// Bytes read from disks.
    pub disk_read_bytes: u64,
    /// Bytes written to disks.
    pub disk_write_bytes: u64,
    /// Bytes received on all interfaces but loopback.
    pub network_rx_bytes: u64,
    /// Bytes sent on all interfaces but loopback.
    pub network_tx_bytes: u64,
}
