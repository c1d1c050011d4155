//! Where what builds make goes: artifacts, caches, logs and the raw files of reports.

use serde::{Deserialize, Serialize};

/// `artifacts`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct ProjectArtifacts {
    #[serde(rename = "type")]
    pub kind: ArtifactsType,
    pub location: Option<String>,
    pub path: Option<String>,
    pub namespace_type: NamespaceType,
    pub name: Option<String>,
    pub packaging: ArtifactPackaging,
    pub override_artifact_name: Option<bool>,
    pub artifact_identifier: Option<String>,
    pub encryption_disabled: Option<bool>,
    pub bucket_owner_access: BucketOwnerAccess,
}

/// `bucketOwnerAccess`: what the bucket's owner may do with objects of another account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum BucketOwnerAccess {
    #[default]
    None,
    ReadOnly,
    Full,
}

/// `artifacts.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum ArtifactsType {
    #[default]
    S3,
    NoArtifacts,
    Codepipeline,
}

/// `artifacts.namespaceType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum NamespaceType {
    #[default]
    None,
    BuildId,
}

/// `artifacts.packaging`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum ArtifactPackaging {
    #[default]
    None,
    Zip,
}

/// `cache`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct ProjectCache {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<CacheType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<CacheMode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_namespace: Option<String>,
}

/// `cache.type`. Without one, a buildspec that names `cache.paths` gets the cache on this machine's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum CacheType {
    NoCache,
    S3,
    Local,
}

/// One of `cache.modes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum CacheMode {
    LocalSourceCache,
    LocalDockerLayerCache,
    LocalCustomCache,
}

/// `logsConfig`. CodeBuild's default for CloudWatch Logs is ENABLED; here nothing leaves the machine unless asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct LogsConfig {
    pub cloud_watch_logs: CloudWatchLogsConfig,
    pub s3_logs: S3LogsConfig,
}

/// `logsConfig.cloudWatchLogs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct CloudWatchLogsConfig {
    pub status: Switch,
    pub group_name: Option<String>,
    pub stream_name: Option<String>,
}

/// `logsConfig.s3Logs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct S3LogsConfig {
    pub status: Switch,
    pub location: Option<String>,
    pub encryption_disabled: Option<bool>,
    pub bucket_owner_access: BucketOwnerAccess,
}

/// A report group, as `CreateReportGroup` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct ReportGroupSettings {
    /// As the buildspec has it, or with the project's name before it.
    pub name: String,
    pub export_config: ReportExportConfig,
}

/// `exportConfig`: where the raw files of reports go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct ReportExportConfig {
    pub export_config_type: ReportExportType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_destination: Option<S3ReportDestination>,
}

/// `exportConfigType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum ReportExportType {
    S3,
    #[default]
    NoExport,
}

/// `s3Destination`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct S3ReportDestination {
    pub bucket: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    pub packaging: ArtifactPackaging,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_disabled: Option<bool>,
}

/// `ENABLED` or `DISABLED`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum Switch {
    Enabled,
    #[default]
    Disabled,
}
