//! What the pipeline is told of a job that is over.

use std::collections::BTreeMap;

use runspan_engine::batch::{BuildBatch, SUPERVISOR_LOST};
use runspan_engine::build::Build;
use runspan_engine::lifecycle::Status;
use serde::{Deserialize, Serialize};

use crate::work::Over;

/// CodePipeline takes no longer message.
const MAX_MESSAGE: usize = 5000;
/// Nor a longer summary.
const MAX_SUMMARY: usize = 2048;

/// The result of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobResult {
    Success { build: String, summary: String, variables: BTreeMap<String, String> },
    Failure { build: Option<String>, kind: FailureKind, message: String },
}

/// `failureDetails.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FailureKind {
    /// What the build does.
    JobFailed,
    /// What the action says.
    ConfigurationError,
    /// What the credentials may not.
    PermissionError,
    /// What this machine cannot do now.
    SystemUnavailable,
}

impl FailureKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::JobFailed => "JobFailed",
            Self::ConfigurationError => "ConfigurationError",
            Self::PermissionError => "PermissionError",
            Self::SystemUnavailable => "SystemUnavailable",
        }
    }
}

impl JobResult {
    pub(crate) fn failure(build: Option<&str>, kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Failure { build: build.map(str::to_owned), kind, message: cut(message.into(), MAX_MESSAGE) }
    }

    /// Of complete work whose artifacts, where it succeeded, are with the pipeline.
    pub(crate) fn of(over: &Over) -> Self {
        match over {
            Over::Build(build) => Self::of_build(build),
            Over::Batch(batch) => Self::of_batch(batch),
        }
    }

    fn of_batch(batch: &BuildBatch) -> Self {
        let id = batch.id.uuid();
        if batch.build_batch_status == Status::Succeeded {
            return Self::Success {
                build: id.to_owned(),
                summary: cut(format!("Batch {} succeeded", batch.id), MAX_SUMMARY),
                // Several builds may export the same.
                variables: BTreeMap::new(),
            };
        }
        let mut contexts = batch.phases.iter().flat_map(|phase| &phase.contexts);
        let is_ours = !batch.complete || contexts.any(|context| context.status_code == SUPERVISOR_LOST);
        let kind = if is_ours { FailureKind::SystemUnavailable } else { FailureKind::JobFailed };
        Self::failure(Some(id), kind, why_batch(batch))
    }

    fn of_build(build: &Build) -> Self {
        let id = build.id.uuid();
        let kind = match build.build_status {
            Status::Succeeded => {
                return Self::Success {
                    build: id.to_owned(),
                    summary: cut(format!("Build {} succeeded", build.id), MAX_SUMMARY),
                    variables: build
                        .exported_environment_variables
                        .iter()
                        .map(|variable| (variable.name.clone(), variable.value.clone()))
                        .collect(),
                };
            }
            Status::Fault | Status::InProgress => FailureKind::SystemUnavailable,
            _ => FailureKind::JobFailed,
        };
        Self::failure(Some(id), kind, why(build))
    }
}

/// The first phase that did not succeed, and why.
fn why(build: &Build) -> String {
    let failed = build
        .phases
        .iter()
        .find(|phase| phase.phase_status.is_some_and(|status| status != Status::Succeeded));
    let Some(phase) = failed else {
        return format!("Build {} ended {}", build.id, build.build_status.name());
    };
    let contexts = phase.contexts.iter().filter(|context| !context.status_code.is_empty());
    let reasons: Vec<String> =
        contexts.map(|context| format!(": {}: {}", context.status_code, context.message)).collect();
    let status = phase.phase_status.map_or("", Status::name);
    format!("Build {}: {} {status}{}", build.id, phase.phase_type.name(), reasons.concat())
}

/// What the batch says, and which of its builds did not succeed.
fn why_batch(batch: &BuildBatch) -> String {
    let said = batch.phases.iter().flat_map(|phase| &phase.contexts);
    let said = said.map(|context| format!("{}: {}", context.status_code, context.message));
    let failed = batch.build_groups.iter().filter_map(|group| {
        let status = group.current_build_summary.as_ref().map_or("SKIPPED", |made| made.build_status.name());
        (status != Status::Succeeded.name()).then(|| format!("{} {status}", group.identifier))
    });
    let reasons: Vec<String> = said.chain(failed).collect();
    format!("Batch {} {}: {}", batch.id, batch.build_batch_status.name(), reasons.join(", "))
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_fit() {
        let JobResult::Failure { message, .. } =
            JobResult::failure(None, FailureKind::JobFailed, "ü".repeat(4000))
        else {
            panic!("a failure is one");
        };
        assert_eq!(message, "ü".repeat(2500));
    }
}
