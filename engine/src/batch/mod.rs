//! Batch builds: one buildspec, many builds.

mod expand;
mod run;

pub use expand::*;
pub use run::*;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::build::{BuildArtifacts, BuildId};
use crate::lifecycle::Status;

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
    pub complete: bool,
    pub build_groups: Vec<BuildGroup>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<serde_json::Value>,
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
