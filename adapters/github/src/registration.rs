//! A registration as it is kept: one file, for its owner's eyes only.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runspan_agent_protocol::Secret;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::RsaParameters;
use crate::{GitHubError, RunnerKey, Scope};

/// A runner that GitHub knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// What it is registered with; a runner that GitHub configured need not say.
    pub scope: Option<Scope>,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether GitHub removes it after one job.
    pub ephemeral: bool,
    /// Whether the runner administration made it, which then also removes it.
    pub by_administration: bool,
    /// Where jobs are waited for.
    pub broker_url: String,
    /// The version it says it has.
    #[serde(default = "known_version")]
    pub version: String,
    /// How it proves to be itself.
    pub identity: RunnerIdentity,
}

/// The newest release of GitHub's own runner when this was written. GitHub sends no jobs to versions that are too old, so
/// registration asks for the newest one where it can.
pub const RUNNER_VERSION: &str = "2.336.0";

fn known_version() -> String {
    RUNNER_VERSION.to_owned()
}

/// How a runner proves to be itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunnerIdentity {
    /// GitHub's id of the runner.
    pub agent_id: u64,
    /// Its name.
    pub agent_name: String,
    /// OAuth client.
    pub client_id: String,
    /// Where tokens are got.
    pub authorization_url: String,
    /// Whether assertions are signed with PS256.
    pub requires_fips: bool,
    /// The key.
    pub key: RunnerKey,
}

impl Registration {
    /// Reads what GitHub calls a JIT configuration: three files of its own runner in one text.
    ///
    /// # Errors
    /// [`GitHubError::Malformed`].
    pub fn from_jit(encoded: &Secret) -> Result<Self, GitHubError> {
        let wrong =
            |reason: String| GitHubError::Malformed { doing: "reading the JIT configuration", reason };
        let decode = |text: &str| {
            STANDARD.decode(text.trim()).map_err(|error| wrong(format!("it is no base64: {error}")))
        };
        let files: HashMap<String, String> = serde_json::from_slice(&decode(encoded.reveal())?)
            .map_err(|_| wrong("it is not a list of files".into()))?;
        let file = |name: &str| {
            let text = files.get(name).ok_or_else(|| wrong(format!("{name} is missing")))?;
            let bytes = decode(text)?;
            Ok::<_, GitHubError>(bytes.strip_prefix(b"\xef\xbb\xbf").map_or(bytes.clone(), <[u8]>::to_vec))
        };
        // Values are kept out of messages; some of these are secret.
        let unread = |name: &'static str| move |_| wrong(format!("{name} is not what it should be"));
        let runner: Value = serde_json::from_slice(&file(".runner")?).map_err(unread(".runner"))?;
        let credentials: Value =
            serde_json::from_slice(&file(".credentials")?).map_err(unread(".credentials"))?;
        let parameters: RsaParameters = serde_json::from_slice(&file(".credentials_rsaparams")?)
            .map_err(unread(".credentials_rsaparams"))?;
        let data = member(&credentials, "data").cloned().unwrap_or_default();
        let needed =
            |found: Option<String>, name: &str| found.ok_or_else(|| wrong(format!("{name} is missing")));
        let name = needed(text(&runner, "agentName"), "agentName")?;
        let agent_id = text(&runner, "agentId").and_then(|id| id.parse().ok());
        let identity = RunnerIdentity {
            agent_id: agent_id.ok_or_else(|| wrong("agentId is missing".into()))?,
            agent_name: name.clone(),
            client_id: needed(text(&data, "clientId"), "clientId")?,
            authorization_url: needed(text(&data, "authorizationUrl"), "authorizationUrl")?,
            requires_fips: text(&data, "requireFipsCryptography")
                .is_none_or(|value| !value.eq_ignore_ascii_case("false")),
            key: RunnerKey::from_parameters(&parameters)?,
        };
        Ok(Self {
            scope: text(&runner, "gitHubUrl").and_then(|url| Scope::parse(&url).ok()),
            name,
            labels: Vec::new(),
            ephemeral: true,
            by_administration: false,
            broker_url: needed(text(&runner, "serverUrlV2"), "serverUrlV2")?,
            version: known_version(),
            identity,
        })
    }
}

/// A member whatever the case of its name: GitHub writes both.
fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let found = value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(found.1)
}

/// A member as text: GitHub writes numbers and truth values as text, too.
fn text(value: &Value, name: &str) -> Option<String> {
    match member(value, name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}
