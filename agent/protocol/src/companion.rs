//! Containers beside a build's own: services, and actions that are images. Their first process is the agent's program
//! too; it runs what the build's agent asks for at a socket, and the build's agent holds what that prints.

use serde::{Deserialize, Serialize};

use crate::Variable;

/// The variable that holds the [`Order`] of the agent's program as a step.
pub const ORDER_VARIABLE: &str = "RUNSPAN_COMPANION_ORDER";

/// What an image runs when nothing else is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Program {
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub command: Vec<String>,
    /// `user[:group]`, by name or number; empty for root.
    pub user: String,
    /// Working directory; empty for `/`.
    pub directory: String,
    /// How it is seen to be ready.
    pub health: Option<Health>,
}

/// A health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Program and arguments; a status other than 0 says that it is not ready.
    pub command: Vec<String>,
    /// Between two checks.
    pub interval_ms: u64,
    /// A check that takes longer has failed.
    pub timeout_ms: u64,
    /// Failures that count for nothing, at the beginning.
    pub start_period_ms: u64,
    /// So many failures in a row, and it is not healthy.
    pub retries: u32,
}

/// What is to be run in a companion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompanionProcess {
    /// In the place of the image's, whose `CMD` then is not used either.
    pub entrypoint: Option<Vec<String>>,
    /// In the place of the image's `CMD`.
    pub arguments: Option<Vec<String>>,
    /// Variables over those of the image.
    pub environment: Vec<Variable>,
    /// Names of variables of the asking process that it gets too.
    pub pass: Vec<String>,
    /// Working directory, in the place of the image's.
    pub directory: Option<String>,
    /// User, in the place of the image's.
    pub user: Option<String>,
    /// Symbolic links that are made first: path and target.
    pub links: Vec<(String, String)>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What people call it.
    pub name: String,
    /// Name of its directory in [`crate::layout::COMPANIONS`].
    pub companion: String,
    /// What it runs.
    pub process: CompanionProcess,
    /// Ports that lead to others, on the loopback interface: from and to.
    pub forwards: Vec<(u16, u16)>,
    /// How it is seen to be ready.
    pub health: HealthChoice,
}

/// Which health check counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthChoice {
    /// That of the image, if any.
    #[default]
    OfImage,
    /// None.
    None,
    /// This one; what it leaves open is as the image says, or the default.
    Changed(HealthChange),
}

/// `--health-*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "as in Health")]
pub struct HealthChange {
    pub command: Option<Vec<String>>,
    pub interval_ms: Option<u64>,
    pub timeout_ms: Option<u64>,
    pub start_period_ms: Option<u64>,
    pub retries: Option<u32>,
}

/// The program of a health check as images declare it: `["CMD", …]`, `["CMD-SHELL", text]` or `["NONE"]`.
pub fn health_command(test: Vec<String>) -> Option<Vec<String>> {
    let mut parts = test.into_iter();
    match parts.next()?.as_str() {
        "CMD" => Some(parts.collect()).filter(|command: &Vec<String>| !command.is_empty()),
        "CMD-SHELL" => Some(vec!["/bin/sh".into(), "-c".into(), parts.next()?]),
        _ => None,
    }
}

impl HealthChoice {
    /// What is checked in the end.
    pub fn settled(&self, of_image: Option<&Health>) -> Option<Health> {
        let change = match self {
            Self::None => return None,
            Self::OfImage => return of_image.cloned(),
            Self::Changed(change) => change,
        };
        let command = change.command.clone().or_else(|| of_image.map(|health| health.command.clone()))?;
        let of = |own: Option<u64>, image: fn(&Health) -> u64, default: u64| {
            own.or_else(|| of_image.map(image)).filter(|value| *value > 0).unwrap_or(default)
        };
        Some(Health {
            command,
            interval_ms: of(change.interval_ms, |health| health.interval_ms, 30_000),
            timeout_ms: of(change.timeout_ms, |health| health.timeout_ms, 30_000),
            start_period_ms: of(change.start_period_ms, |health| health.start_period_ms, 0),
            retries: change
                .retries
                .or_else(|| of_image.map(|health| health.retries))
                .filter(|retries| *retries > 0)
                .unwrap_or(3),
        })
    }
}

/// What the agent's program does as a step of the build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Start services and wait until they are ready.
    Start(Vec<Service>),
    /// Show what services have printed: what people call each, and its companion.
    Show(Vec<(String, String)>),
    /// Run a process in a companion to its end.
    Run {
        /// Name of the companion's directory in [`crate::layout::COMPANIONS`].
        companion: String,
        /// What it runs.
        process: CompanionProcess,
    },
}

/// What a companion is asked for at its socket; one a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Run a process: data frames, then the end. It ends with the connection.
    Run(CompanionProcess),
    /// Start a process that stays.
    Start {
        /// What it runs.
        process: CompanionProcess,
        /// Ports that lead to others, on the loopback interface: from and to.
        forwards: Vec<(u16, u16)>,
    },
    /// How the process that stays is: complete while it runs, else its exit status.
    State,
    /// What it has printed.
    Log,
    /// The health check that counts: an optional [`Health`] in a data frame.
    Health(HealthChoice),
    /// The exit status of one check.
    Check(Health),
}
