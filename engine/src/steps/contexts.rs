//! What a workflow's job knows from outside.

use indexmap::IndexMap;
use runspan_agent_protocol::Variable;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::container::JobContainer;

/// A job that comes from GitHub: what its expressions may ask for, and what is asked of it. A buildspec's own steps
/// have none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobContexts {
    /// `github`; its plain members are also `GITHUB_*` variables of every step.
    pub github: Json,
    /// `vars`.
    pub vars: Json,
    /// `inputs`.
    pub inputs: Json,
    /// `matrix`.
    pub matrix: Json,
    /// `strategy`.
    pub strategy: Json,
    /// `needs`.
    pub needs: Json,
    /// `job`, without its status.
    pub job: Json,
    /// `runner`, over what is known here.
    pub runner: Json,
    /// `secrets` and `github.token` (under the name `github_token`); masked, and never written down.
    #[serde(skip)]
    pub secrets: Vec<Variable>,
    /// The names of [`Self::secrets`], which are written down: expressions that ask for one whose value is gone fail.
    pub secret_names: Vec<String>,
    /// Variables of every step that no expression sees, such as those of the service's own interfaces; masked where
    /// their name says `TOKEN`, and never written down.
    #[serde(skip)]
    pub action_variables: Vec<Variable>,
    /// The names of those of [`Self::action_variables`] that are the local service's address, as `http://HOST:PORT/`.
    pub service_variables: Vec<String>,
    /// `env` of the workflow and of the job, in order: text with expressions.
    pub env: IndexMap<String, String>,
    /// `defaults.run`.
    pub defaults: Defaults,
    /// `outputs` of the job: text with expressions, evaluated when all steps are over.
    pub outputs: IndexMap<String, String>,
    /// `container`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<JobContainer>,
    /// `services`, by the name that the job knows each under.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub services: IndexMap<String, JobContainer>,
    /// Where the archives of actions are, by `owner/name@ref`, when the host has told.
    pub actions: IndexMap<String, ActionArchive>,
}

impl JobContexts {
    /// The name of a secret whose value is gone, as when another process goes on with the build.
    pub(crate) fn lost_secret(&self) -> Option<&str> {
        let is_lost =
            |name: &&String| self.secrets.iter().all(|secret| !secret.name.eq_ignore_ascii_case(name));
        self.secret_names.iter().find(is_lost).map(String::as_str)
    }
}

/// `defaults.run`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Defaults {
    /// `shell`.
    pub shell: Option<String>,
    /// `working-directory`.
    pub working_directory: Option<String>,
}

/// Where an action's archive is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ActionArchive {
    /// The commit.
    pub sha: String,
    /// Of a tar.gz.
    pub url: String,
    /// Login for it; never written down.
    #[serde(skip)]
    pub token: Option<runspan_agent_protocol::Secret>,
}
