//! What somebody asks for: the input of a build, kept with its record so that it can be retried and adopted.

use std::path::PathBuf;

use runspan_agent_protocol::{Secret, Variable};
use serde::{Deserialize, Serialize};

use crate::build::AutoRetry;
use crate::project::{EnvironmentVariable, Project, ProjectSource};
use crate::steps::JobContexts;

/// A request for one build. Overrides beat the project, which beats the buildspec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildRequest {
    /// The project.
    pub project: Project,
    /// The primary source, after overrides.
    pub source: ProjectSource,
    /// The version of the primary source, after overrides.
    pub source_version: Option<String>,
    /// The commit of a primary source that comes without its history, as a pipeline's.
    pub source_revision: Option<String>,
    /// Secondary sources with their versions; each has a `sourceIdentifier`.
    pub secondary_sources: Vec<(ProjectSource, Option<String>)>,
    /// `buildspecOverride`.
    pub buildspec: Option<BuildspecChoice>,
    /// `imageOverride`.
    pub image: Option<String>,
    /// `computeTypeOverride`.
    pub compute_type: Option<String>,
    /// `environmentVariablesOverride`.
    pub environment: Vec<EnvironmentVariable>,
    /// Variables whose values are masked wherever they appear; they beat all others, and are never written down.
    #[serde(skip)]
    pub secrets: Vec<Variable>,
    /// Values that are masked wherever they appear, though no variable holds them; never written down.
    #[serde(skip)]
    pub masks: Vec<Secret>,
    /// The names of [`Self::secrets`], which are written down.
    pub secret_names: Vec<String>,
    /// `privilegedModeOverride`. Privileged mode is also never given without [`Grants::privileged`].
    pub privileged: Option<bool>,
    /// What the operator of this machine allows.
    pub grants: Grants,
    /// `timeoutInMinutesOverride`, to the second.
    pub timeout_seconds: Option<u64>,
    /// `debugSessionEnabled`: `codebuild-breakpoint` pauses.
    pub debug_session: bool,
    /// Pause when a command fails.
    pub shell_on_failure: bool,
    /// Who asks.
    pub initiator: String,
    /// Who asks again with the same token means the same build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_token: Option<String>,
    /// Where artifacts go; the build's own directory when absent.
    pub artifacts_dir: Option<PathBuf>,
    /// Where reports go as well as into the build's own directory.
    pub reports_dir: Option<PathBuf>,
    /// Where caches live.
    pub cache_dir: PathBuf,
    /// What the steps of a workflow's job know from their host; none for a buildspec's own steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobContexts>,
    /// The batch this build is part of.
    pub batch: Option<BatchMember>,
    /// Position in a chain of retries.
    pub retry: AutoRetry,
}

impl BuildRequest {
    /// The project's variables and the request's own, which win; each once, in the place where it first stood.
    pub fn variables(&self) -> Vec<EnvironmentVariable> {
        let all = self.project.environment.environment_variables.iter().chain(&self.environment);
        let all = all.map(|variable| (variable.name.as_str(), variable));
        all.collect::<indexmap::IndexMap<_, _>>().into_values().cloned().collect()
    }

    /// The name of a secret whose value is gone, as when a build is retried later.
    pub fn lost_secret(&self) -> Option<&str> {
        let is_lost = |name: &&String| self.secrets.iter().all(|secret| secret.name != **name);
        self.secret_names.iter().find(is_lost).map(String::as_str)
    }
}

/// Which buildspec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildspecChoice {
    /// A path in the primary source.
    Path(String),
    /// A file of this machine, outside the source.
    File(PathBuf),
    /// The text itself.
    Inline(String),
}

impl BuildspecChoice {
    /// CodeBuild's rule for one string that is either a path or the text: text has a line break or a `version:` key.
    pub fn from_text(text: &str) -> Self {
        if text.contains('\n')
            || text.trim_start().starts_with("version:")
            || text.trim_start().starts_with('{')
        {
            Self::Inline(text.to_owned())
        } else {
            Self::Path(text.to_owned())
        }
    }
}

/// What the operator of this machine allows a build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grants {
    /// `--privileged`.
    pub privileged: bool,
    /// The container engine's socket.
    pub engine_socket: bool,
    /// Git sources may be repositories of this machine.
    pub local_repositories: bool,
    /// The build may see this machine's own root, or a directory or archive of it, as `/`.
    pub local_roots: bool,
    /// The build may use the machine's network where it cannot have one of its own.
    pub host_network: bool,
}

/// A build's place in a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchMember {
    /// ARN of the batch.
    pub arn: String,
    /// `CODEBUILD_BATCH_BUILD_IDENTIFIER`.
    pub identifier: String,
    /// Of a fanout: this shard and how many there are.
    pub shard: Option<(u32, u32)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_written_down() {
        let request = BuildRequest {
            secrets: vec![Variable::new("TOKEN", "s3cr3t")],
            secret_names: vec!["TOKEN".into()],
            ..BuildRequest::default()
        };
        assert_eq!(request.lost_secret(), None);
        let kept = serde_json::to_string(&request).unwrap();
        assert!(!kept.contains("s3cr3t") && !format!("{request:?}").contains("s3cr3t"), "{kept}");
        let later: BuildRequest = serde_json::from_str(&kept).unwrap();
        assert_eq!(later.lost_secret(), Some("TOKEN"));
    }
}
