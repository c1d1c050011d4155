//! Steps in GitHub Actions' sense: what the agent is asked to run, and what it tells of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Event, Exit, Secret, Variable};

/// Directories and files that steps find when they begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareSteps {
    /// Directories of every user, absolute.
    pub directories: Vec<String>,
    /// Files by their absolute path.
    pub files: Vec<(String, String)>,
    /// Values that must not appear from now on, beside those of [`crate::Configure`].
    pub mask: Vec<Secret>,
}

/// One process of a step: a script, or what an action runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStep {
    /// Told before anything else, in this order.
    pub tell: Vec<Event>,
    /// Whose output and annotations these are; they belong to no step when absent.
    pub step: Option<StepId>,
    /// Shown in the log as what runs.
    pub title: String,
    /// Programs with their arguments; the first whose program is there is run. `{0}` in an argument is the script.
    pub commands: Vec<Vec<String>>,
    /// The script.
    pub script: Option<Script>,
    /// Variables of this process, over those that are carried.
    pub environment: Vec<Variable>,
    /// Variables of this process where none is carried.
    pub defaults: Vec<Variable>,
    /// Relative to the source directory, which it is when absent.
    pub working_directory: Option<String>,
    /// User to run as; root when absent.
    pub run_as: Option<String>,
    /// Seconds until it is killed.
    pub timeout_seconds: Option<u64>,
    /// A failure is no reason to pause for somebody to look.
    pub may_fail: bool,
}

/// A script in a file of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Its text.
    pub text: String,
    /// What the file's name ends with, as in `.sh`.
    pub extension: String,
}

/// Which step of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StepId {
    /// Position in the phase's list, from 0.
    pub index: u32,
    /// Which part of it.
    pub stage: Stage,
}

/// The parts of a step that uses an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before all steps.
    Pre,
    /// In its place.
    #[default]
    Main,
    /// After all steps.
    Post,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// It did what it had to.
    Success,
    /// It failed.
    Failure,
    /// The job was cancelled.
    Cancelled,
    /// Its condition did not hold.
    Skipped,
}

impl StepResult {
    /// As expressions see it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

/// The end of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEnd {
    /// Before `continue-on-error`.
    pub outcome: StepResult,
    /// After it.
    pub conclusion: StepResult,
    /// What it set, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
}

/// A remark about a line of a file, or about the step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// How bad it is.
    pub level: Level,
    /// What is to be said.
    pub message: String,
    /// In short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Path of a file, as the command gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The last column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Notice,
    /// Should not be.
    Warning,
    /// Wrong.
    #[default]
    Error,
}

impl Level {
    /// The name of its command.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a process of a step left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// How it ended.
    pub exit: Exit,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// For the steps after it; the agent has applied them.
    pub environment: Vec<(String, String)>,
    /// Outputs in the order in which they were set.
    pub outputs: Vec<(String, String)>,
    /// For the later parts of the same action.
    pub state: Vec<(String, String)>,
    /// Problem matchers that come and go.
    pub matchers: Vec<MatcherChange>,
    /// Faults in its commands and files, each of which fails it.
    pub faults: Vec<String>,
}

/// A problem matcher comes or goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatcherChange {
    /// The text of a file of matchers.
    Add(String),
    /// The owner of one.
    Remove(String),
}
