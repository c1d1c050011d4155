//! Batch builds: one buildspec, many builds.

mod begin;
mod combine;
mod expand;
mod finish;
mod resume;
mod run;

pub use begin::{BatchHandle, BatchOutcome, Batchspec};
pub use expand::*;
pub use run::BatchProgress;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::build::{BuildArtifacts, BuildId};
use crate::lifecycle::{PhaseContext, Status};

/// Why a build or a batch failed whose process was killed.
pub const SUPERVISOR_LOST: &str = "SUPERVISOR_LOST";

/// A batch, in the shape of CodeBuild's `BuildBatch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct BuildBatch {
    pub id: BuildId,
    pub arn: String,
    pub build_batch_number: u64,
    pub project_name: String,
    pub start_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    pub build_batch_status: Status,
    pub phases: Vec<BuildBatchPhase>,
    pub complete: bool,
    pub build_groups: Vec<BuildGroup>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<BuildArtifacts>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secondary_artifacts: Vec<BuildArtifacts>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<serde_json::Value>,
}

impl BuildBatch {
    /// Ends the batch in the running phase.
    fn fail(&mut self, status_code: &str, message: String) {
        if let Some(phase) = self.phases.last_mut() {
            phase.contexts.push(PhaseContext { status_code: status_code.to_owned(), message });
        }
        self.build_batch_status = Status::Failed;
        self.advance(BatchPhaseType::Failed, Timestamp::now());
        self.end_time = Some(Timestamp::now());
        self.complete = true;
    }

    /// Ends the running phase and begins the next; one that it has been in stays as it is.
    fn advance(&mut self, next: BatchPhaseType, now: Timestamp) {
        if self.phases.iter().any(|phase| phase.phase_type == next) {
            return;
        }
        if let Some(phase) = self.phases.last_mut() {
            let failed = matches!(next, BatchPhaseType::Failed | BatchPhaseType::Stopped);
            phase.phase_status = Some(if failed { self.build_batch_status } else { Status::Succeeded });
            phase.end_time = Some(now);
            phase.duration_in_seconds = Some((now.as_second() - phase.start_time.as_second()).max(0));
        }
        self.phases.push(BuildBatchPhase {
            phase_type: next,
            phase_status: None,
            start_time: now,
            end_time: None,
            duration_in_seconds: None,
            contexts: Vec::new(),
        });
    }
}

/// One of `BuildBatch.phases`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct BuildBatchPhase {
    pub phase_type: BatchPhaseType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase_status: Option<Status>,
    pub start_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_in_seconds: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<PhaseContext>,
}

/// `BuildBatchPhaseType`; the last three are how a batch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum BatchPhaseType {
    Submitted,
    DownloadBatchspec,
    InProgress,
    CombineArtifacts,
    Succeeded,
    Failed,
    Stopped,
}

/// One of `BuildBatch.buildGroups`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct BuildGroup {
    pub identifier: String,
    pub depends_on: Vec<String>,
    pub ignore_failure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_build_summary: Option<BuildSummary>,
}

/// `BuildGroup.currentBuildSummary`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct BuildSummary {
    pub arn: String,
    pub requested_on: Timestamp,
    pub build_status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_artifact: Option<BuildArtifacts>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secondary_artifacts: Vec<BuildArtifacts>,
}

impl BuildSummary {
    /// What the build made.
    pub(crate) fn artifacts(&self) -> impl Iterator<Item = &BuildArtifacts> {
        self.primary_artifact.iter().chain(&self.secondary_artifacts).filter(|made| !made.location.is_empty())
    }
}
