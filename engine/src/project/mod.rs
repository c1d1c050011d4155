//! A project in the shape of CodeBuild's project JSON or YAML.
//!
//! Source: CodeBuild API, `CreateProject` and `Project`. Members that mean nothing here are accepted and kept out.

mod environment;
mod output;
mod source;

pub use environment::*;
pub use output::*;
pub use source::*;

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
