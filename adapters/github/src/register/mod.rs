//! Registering and removing a runner.

mod administration;
mod tenant;

use reqwest::StatusCode;
use runspan_agent_protocol::Secret;
use serde::Deserialize;
use serde_json::json;

use crate::api::RunnerEvent;
use crate::http::{self, Refusal};
use crate::key::PublicKey;
use crate::{Api, GitHubError, Registration, RunnerKey};

/// What somebody wants to register.
#[derive(Clone, Debug)]
pub struct Request {
    /// The runner's name, unique in its scope.
    pub name: String,
    /// Its own labels.
    pub labels: Vec<String>,
    /// Whether the labels every runner has are left out.
    pub no_default_labels: bool,
    /// The runner group; the default one when absent.
    pub group: Option<String>,
    /// Whether GitHub removes it after one job.
    pub ephemeral: bool,
    /// Whether it takes the place of a runner with the same name.
    pub replace: bool,
    /// The version it says it has.
    pub version: String,
}

/// A new registration.
#[derive(Debug)]
pub struct Registered {
    /// What is to be kept.
    pub registration: Registration,
    /// Whether a runner of the same name was there before.
    pub replaced: bool,
}

/// One of a runner's labels, as registration sends it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Label {
    id: u64,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl Request {
    /// System labels first; a label stands once, whatever its case.
    pub(crate) fn labels(&self) -> Vec<Label> {
        let system = ["self-hosted", "Linux", architecture()].map(|name| (name.to_owned(), "system"));
        let system = system.into_iter().filter(|_| !self.no_default_labels);
        let own = self.labels.iter().map(|name| (name.trim().to_owned(), "user"));
        let mut labels: Vec<Label> = Vec::new();
        for (name, kind) in system.chain(own) {
            if !name.is_empty() && !labels.iter().any(|label| label.name.eq_ignore_ascii_case(&name)) {
                labels.push(Label { id: 0, name, kind });
            }
        }
        labels
    }
}

/// GitHub's word for this machine's processor.
pub(crate) const fn architecture() -> &'static str {
    match std::env::consts::ARCH.as_bytes() {
        b"x86_64" => "X64",
        b"aarch64" => "ARM64",
        b"arm" => "ARM",
        _ => "X86",
    }
}

/// Where a token of a registration leads.
#[derive(Deserialize)]
struct Tenant {
    #[serde(default)]
    url: String,
    token: Secret,
    #[serde(default)]
    use_v2_flow: bool,
}

/// Registers a runner, by whichever way GitHub asks for.
///
/// # Errors
/// [`GitHubError`].
pub async fn register(api: &Api, request: &Request) -> Result<Registered, GitHubError> {
    let token = api.runner_token(RunnerEvent::Register).await?;
    let tenant = exchange(api, &token, RunnerEvent::Register).await?;
    let (key, public) = RunnerKey::generate()?;
    let new = NewRunner { request, key, public };
    let registered = if tenant.use_v2_flow {
        administration::register(api, &token, new).await
    } else {
        tenant::register(api, &tenant, new).await
    };
    registered.map_err(|error| match error {
        // There is no better sign of it.
        GitHubError::Refused { reason, .. } if reason.contains("deprecated") => {
            GitHubError::Version { version: request.version.clone(), reason }
        }
        other => other,
    })
}

/// Removes a runner at GitHub; not an error when it is gone.
///
/// # Errors
/// [`GitHubError`], for one when it runs a job.
pub async fn unregister(api: &Api, registration: &Registration) -> Result<(), GitHubError> {
    let token = api.runner_token(RunnerEvent::Remove).await?;
    let id = registration.identity.agent_id;
    if registration.by_administration {
        return administration::remove(api, &token, id).await;
    }
    let tenant = exchange(api, &token, RunnerEvent::Remove).await?;
    tenant::remove(api, &tenant, id).await
}

struct NewRunner<'a> {
    request: &'a Request,
    key: RunnerKey,
    public: PublicKey,
}

/// Exchanges a token that registers or removes for one that its tenant takes.
async fn exchange(api: &Api, token: &Secret, event: RunnerEvent) -> Result<Tenant, GitHubError> {
    const DOING: &str = "exchanging the registration token";
    let url = format!("{}/actions/runner-registration", api.scope().api());
    let call = api
        .client()
        .post(url)
        .header("Authorization", format!("RemoteAuth {}", token.reveal()))
        .json(&json!({ "url": api.scope().url(), "runner_event": event.name() }));
    let answer = http::send(DOING, call).await?;
    if matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
        let refusal = Refusal::read(answer).await;
        return Err(GitHubError::Login {
            doing: DOING,
            reason: refusal.message,
            remedy: "get a new token for this very URL; a token is good for an hour",
        });
    }
    let answer = http::accepted(DOING, answer).await?;
    serde_json::from_slice(&http::body(DOING, answer).await?)
        .map_err(|error| GitHubError::Malformed { doing: DOING, reason: error.to_string() })
}

/// A runner group or pool, by name or else the default one.
fn group<'a, T>(
    all: &'a [T],
    wanted: Option<&str>,
    name: impl Fn(&T) -> &str,
    is_default: impl Fn(&T) -> bool,
) -> Result<&'a T, GitHubError> {
    let found = match wanted {
        Some(wanted) => all.iter().find(|group| name(group).eq_ignore_ascii_case(wanted)),
        None => all.iter().find(|group| is_default(group)).or_else(|| all.first()),
    };
    found.ok_or_else(|| GitHubError::UnknownGroup {
        name: wanted.unwrap_or("of any name").to_owned(),
        known: match all {
            [] => "none".to_owned(),
            all => all.iter().map(name).collect::<Vec<_>>().join(", "),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(labels: &[&str]) -> Request {
        Request {
            name: "r".into(),
            labels: labels.iter().map(|&label| label.into()).collect(),
            no_default_labels: false,
            group: None,
            ephemeral: false,
            replace: false,
            version: "2.0.0".into(),
        }
    }

    #[test]
    fn labels_stand_once_and_system_labels_first() {
        let names = |request: &Request| {
            request
                .labels()
                .into_iter()
                .map(|label| format!("{}:{}", label.kind, label.name))
                .collect::<Vec<_>>()
        };
        let mut request = request(&["gpu", "LINUX", " gpu ", ""]);
        let architecture = format!("system:{}", architecture());
        assert_eq!(names(&request), ["system:self-hosted", "system:Linux", &architecture, "user:gpu"]);
        request.no_default_labels = true;
        assert_eq!(names(&request), ["user:gpu", "user:LINUX"]);
    }

    #[test]
    fn groups_go_by_name_or_default() {
        let all = [("a", false), ("Default", true)];
        let pick = |wanted| group(&all, wanted, |group| group.0, |group| group.1);
        assert_eq!(pick(None).unwrap().0, "Default");
        assert_eq!(pick(Some("A")).unwrap().0, "a");
        assert!(pick(Some("b")).unwrap_err().to_string().ends_with("there are: a, Default"));
    }
}
