//! A project in the shape of CodeBuild's project JSON or YAML.
//!
//! Source: CodeBuild API, `CreateProject` and `Project`. Members that mean nothing here are accepted and kept out.

use serde::{Deserialize, Serialize};

/// A build project. Everything has a default, so a file says only what differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct Project {
    pub name: Option<String>,
    pub source: Option<ProjectSource>,
    pub secondary_sources: Vec<ProjectSource>,
    pub source_version: Option<String>,
    pub secondary_source_versions: Vec<SecondarySourceVersion>,
    pub artifacts: Option<ProjectArtifacts>,
    pub secondary_artifacts: Vec<ProjectArtifacts>,
    pub cache: ProjectCache,
    pub environment: ProjectEnvironment,
    pub timeout_in_minutes: Option<u32>,
    pub queued_timeout_in_minutes: Option<u32>,
    pub encryption_key: Option<String>,
    pub service_role: Option<String>,
    pub logs_config: LogsConfig,
    pub build_batch_config: Option<BuildBatchConfig>,
    /// Ours: what `CreateReportGroup` would say of the groups that the buildspec names.
    pub report_groups: Vec<ReportGroupSettings>,
    pub concurrent_build_limit: Option<u32>,
    pub auto_retry_limit: Option<u32>,
    pub debug_session_enabled: bool,
}

/// `source`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct ProjectSource {
    #[serde(rename = "type")]
    pub kind: SourceType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_clone_depth: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_submodules_config: Option<GitSubmodulesConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buildspec: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_ssl: Option<bool>,
}

/// `source.type`, and `DIRECTORY` for a directory of this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum SourceType {
    /// Ours: a directory, or a zip file, of this machine.
    #[default]
    Directory,
    Codecommit,
    Codepipeline,
    Github,
    GithubEnterprise,
    Gitlab,
    GitlabSelfManaged,
    Bitbucket,
    S3,
    NoSource,
}

impl SourceType {
    /// Its name, CodeBuild's where it has one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "DIRECTORY",
            Self::Codecommit => "CODECOMMIT",
            Self::Codepipeline => "CODEPIPELINE",
            Self::Github => "GITHUB",
            Self::GithubEnterprise => "GITHUB_ENTERPRISE",
            Self::Gitlab => "GITLAB",
            Self::GitlabSelfManaged => "GITLAB_SELF_MANAGED",
            Self::Bitbucket => "BITBUCKET",
            Self::S3 => "S3",
            Self::NoSource => "NO_SOURCE",
        }
    }

    /// Whether the source is fetched with git.
    pub const fn is_git(self) -> bool {
        matches!(
            self,
            Self::Codecommit
                | Self::Github
                | Self::GithubEnterprise
                | Self::Gitlab
                | Self::GitlabSelfManaged
                | Self::Bitbucket
        )
    }
}

/// `source.gitSubmodulesConfig`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct GitSubmodulesConfig {
    pub fetch_submodules: bool,
}

/// One of `secondarySourceVersions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct SecondarySourceVersion {
    pub source_identifier: String,
    pub source_version: String,
}

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

/// `environment`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct ProjectEnvironment {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub image: Option<String>,
    pub compute_type: Option<String>,
    pub compute_configuration: Option<ComputeConfiguration>,
    pub environment_variables: Vec<EnvironmentVariable>,
    pub privileged_mode: Option<bool>,
    pub registry_credential: Option<RegistryCredential>,
    pub image_pull_credentials_type: Option<String>,
}

/// `environment.computeConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComputeConfiguration {
    /// vCPUs.
    pub v_cpu: Option<u32>,
    /// GiB.
    pub memory: Option<u32>,
}

/// `environment.registryCredential`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct RegistryCredential {
    pub credential: String,
    pub credential_provider: String,
}

/// One of `environment.environmentVariables`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct EnvironmentVariable {
    pub name: String,
    pub value: String,
    #[serde(rename = "type", default)]
    pub kind: VariableType,
}

impl EnvironmentVariable {
    /// A plain variable.
    pub fn plain(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), kind: VariableType::Plaintext }
    }
}

/// `environmentVariables[].type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum VariableType {
    #[default]
    Plaintext,
    ParameterStore,
    SecretsManager,
}

/// `buildBatchConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct BuildBatchConfig {
    pub combine_artifacts: Option<bool>,
    pub restrictions: BatchRestrictions,
    pub timeout_in_mins: Option<u32>,
}

/// `buildBatchConfig.restrictions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct BatchRestrictions {
    pub maximum_builds_allowed: Option<u32>,
    pub compute_types_allowed: Vec<String>,
}

/// Why a project file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// It is no project.
    #[error("not a CodeBuild project: {0}")]
    Malformed(String),
    /// A member has a value that CodeBuild refuses.
    #[error("{member}: {reason}")]
    Refused {
        /// The member.
        member: &'static str,
        /// Why, and what is allowed.
        reason: String,
    },
}

impl Project {
    /// Reads JSON or YAML: a project, what `create-project` takes, or what `batch-get-projects` prints.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub fn parse(text: &str) -> Result<Self, ProjectError> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Listed {
            projects: Vec<Project>,
            project: Option<Project>,
        }
        let malformed = |error: serde_saphyr::Error| ProjectError::Malformed(error.to_string());
        let listed: Listed = serde_saphyr::from_str(text).map_err(malformed)?;
        let project = match (listed.project, listed.projects.into_iter().next()) {
            (Some(project), _) | (None, Some(project)) => project,
            (None, None) => serde_saphyr::from_str(text).map_err(malformed)?,
        };
        project.validate()?;
        Ok(project)
    }

    /// Reads a project that the journal keeps.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub fn of_record(record: &serde_json::Value) -> Result<Self, ProjectError> {
        let project =
            Self::deserialize(record).map_err(|error| ProjectError::Malformed(error.to_string()))?;
        project.validate()?;
        Ok(project)
    }

    fn validate(&self) -> Result<(), ProjectError> {
        if let Some(name) = &self.name
            && !is_project_name(name)
        {
            return Err(ProjectError::Refused {
                member: "name",
                reason: format!("`{name}` is no project name; use 2 to 150 letters, digits, `-` and `_`"),
            });
        }
        let ranges = [
            ("timeoutInMinutes", self.timeout_in_minutes, 1..=2160),
            ("queuedTimeoutInMinutes", self.queued_timeout_in_minutes, 1..=480),
        ];
        for (member, value, range) in ranges {
            if let Some(value) = value
                && !range.contains(&value)
            {
                return Err(ProjectError::Refused {
                    member,
                    reason: format!("{value} is out of range; use {} to {}", range.start(), range.end()),
                });
            }
        }
        for (member, count) in [
            ("secondarySources", self.secondary_sources.len()),
            ("secondaryArtifacts", self.secondary_artifacts.len()),
        ] {
            if count > 12 {
                return Err(ProjectError::Refused {
                    member,
                    reason: format!("{count} given; at most 12 are allowed"),
                });
            }
        }
        Ok(())
    }
}

/// Whether CodeBuild would take this as a project's name.
pub fn is_project_name(name: &str) -> bool {
    (2..=150).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// A valid project name made of any text, as a directory's name.
pub fn project_name_from(text: &str) -> String {
    let mut name: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' })
        .collect();
    while name.starts_with(['-', '_']) {
        name.remove(0);
    }
    name.truncate(150);
    if name.len() < 2 { format!("project{name}") } else { name }
}

/// Memory in bytes and vCPUs of a compute type; `None` for one that CodeBuild does not have.
pub fn compute_size(compute_type: &str) -> Option<(u64, f64)> {
    const GIB: u64 = 1 << 30;
    let (memory, cpus) = match compute_type {
        "BUILD_GENERAL1_SMALL" => (4, 2.0),
        "BUILD_GENERAL1_MEDIUM" => (8, 4.0),
        "BUILD_GENERAL1_LARGE" => (16, 8.0),
        "BUILD_GENERAL1_XLARGE" => (72, 36.0),
        "BUILD_GENERAL1_2XLARGE" => (144, 72.0),
        "BUILD_LAMBDA_1GB" => (1, 1.0),
        "BUILD_LAMBDA_2GB" => (2, 2.0),
        "BUILD_LAMBDA_4GB" => (4, 3.0),
        "BUILD_LAMBDA_8GB" => (8, 5.0),
        "BUILD_LAMBDA_10GB" => (10, 6.0),
        _ => return None,
    };
    Some((memory * GIB, cpus))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_json_yaml_and_what_the_cli_prints() {
        let json = r#"{"name":"web","environment":{"image":"a:1","computeType":"BUILD_GENERAL1_SMALL",
            "environmentVariables":[{"name":"A","value":"1"}]},"serviceRole":"arn:x","artifacts":{"type":"NO_ARTIFACTS"}}"#;
        let project = Project::parse(json).unwrap();
        assert_eq!(project.name.as_deref(), Some("web"));
        assert_eq!(project.environment.environment_variables, [EnvironmentVariable::plain("A", "1")]);
        assert_eq!(project.artifacts.as_ref().map(|a| a.kind), Some(ArtifactsType::NoArtifacts));
        assert_eq!(
            Project::parse("name: web\nenvironment:\n  image: a:1\n").unwrap().environment.image.unwrap(),
            "a:1"
        );
        assert_eq!(Project::parse(&format!("{{\"projects\":[{json}]}}")).unwrap(), project);
    }

    #[test]
    fn refuses_what_codebuild_refuses() {
        let error = Project::parse("name: 'a b'").unwrap_err().to_string();
        assert!(error.contains("`a b` is no project name"), "{error}");
        let error = Project::parse("timeoutInMinutes: 9999").unwrap_err().to_string();
        assert!(error.contains("timeoutInMinutes: 9999 is out of range"), "{error}");
        assert!(Project::parse("source: {type: SVN}").is_err());
    }

    #[test]
    fn names_are_made_valid() {
        for (text, name) in [("my app", "my-app"), ("_x.y", "x-y"), ("", "project"), ("é", "project")] {
            assert_eq!(project_name_from(text), name);
        }
    }
}
