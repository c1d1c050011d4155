//! How a job stands between two steps.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use runspan_agent_protocol::{StepEnd, StepResult};
use serde::{Deserialize, Serialize};

use super::matcher::Matchers;

/// Variables in order.
pub(crate) type Variables = IndexMap<String, String>;

/// What the steps of a build have come to, from phase to phase.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Job {
    /// What steps find was made.
    pub(crate) prepared: bool,
    /// `env` of the job and what steps wrote to `GITHUB_ENV`.
    pub(crate) env: Variables,
    /// Where the local service is within reach of the build's processes.
    #[serde(default)]
    pub(crate) service: Option<String>,
    /// Steps with an id.
    pub(crate) steps: Records,
    /// Whether a step failed.
    pub(crate) status: JobStatus,
    /// Actions of repositories that are in the container, by `owner/name@ref`, with their directory.
    pub(crate) provided: IndexMap<String, String>,
    /// What is still to be done at the end; the last comes first.
    pub(crate) posts: Vec<Post>,
    /// Whether services were started.
    #[serde(default)]
    pub(crate) services_started: bool,
    /// How many containers of actions there were.
    #[serde(default)]
    pub(crate) containers: u32,
    /// Images that were made of Dockerfiles.
    #[serde(default)]
    pub(crate) images: Vec<String>,
    /// Problem matchers.
    pub(crate) matchers: Matchers,
}

/// Steps by id.
pub(crate) type Records = IndexMap<String, Record>;

/// What is known of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) outcome: StepResult,
    pub(crate) conclusion: StepResult,
    pub(crate) outputs: BTreeMap<String, String>,
}

impl From<&StepEnd> for Record {
    fn from(end: &StepEnd) -> Self {
        Self { outcome: end.outcome, conclusion: end.conclusion, outputs: end.outputs.clone() }
    }
}

/// `job.status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobStatus {
    #[default]
    Success,
    Failure,
    /// It never changes again.
    Cancelled,
}

impl JobStatus {
    /// As expressions see it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
        }
    }

    /// After a step that ended so.
    pub(crate) fn after(self, conclusion: StepResult) -> Self {
        match conclusion {
            StepResult::Success | StepResult::Skipped => self,
            StepResult::Failure => self.max(Self::Failure),
            StepResult::Cancelled => Self::Cancelled,
        }
    }
}

/// The last part of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Post {
    /// Position of the step in its phase.
    pub(crate) index: u32,
    pub(crate) name: String,
    /// `post-if`.
    pub(crate) condition: Option<String>,
    /// What runs.
    pub(crate) work: PostWork,
    /// Variables of its step, its inputs, and its place.
    pub(crate) environment: Vec<(String, String)>,
    /// What earlier parts saved.
    pub(crate) state: Vec<(String, String)>,
}

/// What the last part of an action runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PostWork {
    /// A file, by node of this major version.
    Node { version: u32, file: String },
    /// A container.
    Container(ContainerRun),
}

/// A container of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContainerRun {
    pub(crate) image: String,
    /// The Dockerfile in the container that it is made from.
    pub(crate) built_from: Option<String>,
    pub(crate) entrypoint: Option<String>,
    pub(crate) args: Option<Vec<String>>,
    /// Names of variables that it gets.
    pub(crate) names: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_never_gets_better() {
        let all = [StepResult::Success, StepResult::Failure, StepResult::Skipped, StepResult::Cancelled];
        for (before, expected) in [
            (
                JobStatus::Success,
                [JobStatus::Success, JobStatus::Failure, JobStatus::Success, JobStatus::Cancelled],
            ),
            (
                JobStatus::Failure,
                [JobStatus::Failure, JobStatus::Failure, JobStatus::Failure, JobStatus::Cancelled],
            ),
            (JobStatus::Cancelled, [JobStatus::Cancelled; 4]),
        ] {
            assert_eq!(all.map(|result| before.after(result)), expected);
        }
    }
}
