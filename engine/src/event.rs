//! What anyone learns of a build: the stream that sinks follow.

use std::collections::BTreeMap;

use runspan_agent_protocol::{Annotation, Exit, Pause, Sample, StepEnd, StepId};
use serde::{Deserialize, Serialize};

use crate::build::{Build, BuildArtifacts};
use crate::lifecycle::{BuildPhase, PhaseType};

/// One event of a build. Log text is kept beside the events, in the build's log file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The build was accepted.
    Submitted {
        /// Its record.
        build: Box<Build>,
    },
    /// A phase begins.
    PhaseStarted {
        /// Which.
        phase: PhaseType,
    },
    /// A phase ended.
    Phase {
        /// How it ended.
        #[serde(flatten)]
        phase: BuildPhase,
    },
    /// A command begins.
    CommandStarted {
        /// Position in its list, from 0.
        index: u32,
        /// Whether it stands in `finally`.
        finally: bool,
        /// Its text.
        command: String,
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
        /// Which step of the running phase.
        step: StepId,
        /// Its name.
        name: String,
    },
    /// A step ended, or was skipped.
    StepEnded {
        /// Which step of the running phase.
        step: StepId,
        /// Its name.
        name: String,
        /// How.
        #[serde(flatten)]
        end: StepEnd,
    },
    /// A step says something about a file or itself.
    Annotation {
        /// Which step of the running phase.
        step: StepId,
        /// What it says.
        #[serde(flatten)]
        annotation: Annotation,
    },
    /// A step's summary.
    StepSummary {
        /// Which step of the running phase.
        step: StepId,
        /// Markdown.
        text: String,
    },
    /// What the job of the steps gives.
    JobOutputs {
        /// By name; what holds a secret is left out.
        outputs: BTreeMap<String, String>,
    },
    /// The build waits for somebody.
    Paused {
        /// Why.
        reason: Pause,
    },
    /// The build goes on.
    Resumed,
    /// Resource use since the container started.
    Sample(Sample),
    /// A cache was looked for or saved.
    Cache {
        /// What happened, in words.
        message: String,
    },
    /// An artifact was stored.
    Artifact(BuildArtifacts),
    /// A report was made, in the shape of CodeBuild's `Report`.
    Report {
        /// The report.
        report: serde_json::Value,
    },
    /// Something the user should know that did not change the build.
    Warning {
        /// What, where, and what to do.
        message: String,
    },
    /// The build is COMPLETED; the last event.
    Build {
        /// Its record.
        build: Box<Build>,
    },
}
