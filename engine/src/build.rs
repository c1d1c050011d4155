//! The record of a build, in the shape and words of CodeBuild's `Build` object.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::lifecycle::{BuildPhase, PhaseType, Status};
use crate::project::{BucketOwnerAccess, EnvironmentVariable, ProjectArtifacts, ProjectCache, ProjectSource};

/// The account of builds that run on no account, as CodeBuild's local agent has it.
pub const LOCAL_ACCOUNT: &str = "000000000000";

/// `<project>:<uuid>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BuildId(String);

impl BuildId {
    /// A new id for a build of this project.
    pub fn new(project: &str) -> Self {
        Self(format!("{project}:{}", uuid::Uuid::new_v4()))
    }

    /// An id as it was printed.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The part behind the colon, which names the log stream, the build's directory and every resource.
    pub fn uuid(&self) -> &str {
        self.0.rsplit_once(':').map_or(self.0.as_str(), |(_, uuid)| uuid)
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A build: what was asked for, how it stands, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct Build {
    pub id: BuildId,
    pub arn: String,
    pub build_number: u64,
    pub start_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    pub current_phase: PhaseType,
    pub build_status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_source_version: Option<String>,
    pub project_name: String,
    pub phases: Vec<BuildPhase>,
    pub source: ProjectSource,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secondary_sources: Vec<ProjectSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<BuildArtifacts>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secondary_artifacts: Vec<BuildArtifacts>,
    pub cache: ProjectCache,
    pub environment: BuildEnvironment,
    pub logs: BuildLogs,
    pub timeout_in_minutes: u32,
    pub queued_timeout_in_minutes: u32,
    pub build_complete: bool,
    pub initiator: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exported_environment_variables: Vec<ExportedVariable>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub report_arns: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<serde_json::Value>,
    pub auto_retry_config: AutoRetry,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_batch_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_identifier: Option<String>,
    pub debug_session: DebugSession,
}

/// `Build.environment`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct BuildEnvironment {
    #[serde(rename = "type")]
    pub kind: String,
    pub image: String,
    pub compute_type: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_variables: Vec<EnvironmentVariable>,
    pub privileged_mode: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_credentials_type: Option<String>,
}

/// `Build.artifacts`: where an artifact went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct BuildArtifacts {
    pub location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256sum: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub md5sum: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_artifact_name: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_disabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_owner_access: Option<BucketOwnerAccess>,
    /// Ours: the page that shows it, of an artifact in S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Ours: where it also is on this machine while the batch runs that it belongs to, of an artifact in S3.
    #[serde(skip)]
    pub copy: Option<String>,
    /// Files in it.
    pub files: u64,
    /// Its bytes, as stored.
    pub bytes: u64,
}

impl BuildArtifacts {
    /// Where it is on this machine.
    pub fn local(&self) -> &str {
        self.copy.as_deref().unwrap_or(&self.location)
    }
}

impl From<&ProjectArtifacts> for BuildArtifacts {
    fn from(project: &ProjectArtifacts) -> Self {
        Self { artifact_identifier: project.artifact_identifier.clone(), ..Self::default() }
    }
}

/// `Build.logs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct BuildLogs {
    pub group_name: String,
    pub stream_name: String,
    pub deep_link: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_watch_logs_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_logs_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_deep_link: Option<String>,
}

/// One of `Build.exportedEnvironmentVariables`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct ExportedVariable {
    pub name: String,
    pub value: String,
}

/// `Build.autoRetryConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct AutoRetry {
    pub auto_retry_limit: u32,
    pub auto_retry_number: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_auto_retry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_auto_retry: Option<String>,
}

/// `Build.debugSession`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct DebugSession {
    pub session_enabled: bool,
}
