//! GitHub's public REST API, as far as runners need it.

use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use runspan_agent_protocol::Secret;
use serde::Deserialize;
use serde_json::json;

use crate::http::{self, Refusal};
use crate::{Entity, GitHubError, Login, Scope};

/// A page of lists; GitHub's largest.
const PAGE: usize = 100;
/// More runners than an organisation can have.
const MAX_PAGES: usize = 100;

/// The API for the owner of runners.
#[derive(Clone, Debug)]
pub struct Api {
    client: Client,
    scope: Scope,
    login: Login,
}

/// Which end of a runner's life a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunnerEvent {
    Register,
    Remove,
}

impl RunnerEvent {
    /// `runner_event`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Remove => "remove",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Register => "registration-token",
            Self::Remove => "remove-token",
        }
    }
}

/// A runner as GitHub lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Runner {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// `online` or `offline`.
    #[serde(default)]
    pub status: String,
    /// Whether it runs a job.
    #[serde(default)]
    pub busy: bool,
    /// Its labels.
    #[serde(default)]
    pub labels: Vec<Label>,
}

/// A runner's label.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Label {
    /// The label.
    pub name: String,
}

/// A runner for one job, configured by GitHub.
#[derive(Clone, Debug, Deserialize)]
pub struct JitRunner {
    /// The runner.
    pub runner: Runner,
    /// What [`Registration::from_jit`](crate::Registration::from_jit) reads.
    pub encoded_jit_config: Secret,
}

#[derive(Deserialize)]
struct Token {
    token: Secret,
}

#[derive(Deserialize)]
struct Runners {
    runners: Vec<Runner>,
}

impl Api {
    /// Speaks for a scope with a login.
    ///
    /// # Errors
    /// When there is no HTTP client to be had.
    pub fn new(scope: Scope, login: Login, runner_version: &str) -> Result<Self, GitHubError> {
        Ok(Self { client: http::client(runner_version)?, scope, login })
    }

    pub(crate) const fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// The token that registers or removes runners: the given one, or one got with the login.
    pub(crate) async fn runner_token(&self, event: RunnerEvent) -> Result<Secret, GitHubError> {
        if let Login::RegistrationToken(token) = &self.login {
            return Ok(token.clone());
        }
        let doing = match event {
            RunnerEvent::Register => "asking for a registration token",
            RunnerEvent::Remove => "asking for a removal token",
        };
        let call = self.call(Method::POST, &format!("actions/runners/{}", event.path())).await?;
        let answer = http::send(doing, call).await?;
        let answer = self.judged(doing, answer).await?;
        let bytes = http::body(doing, answer).await?;
        let token: Token = serde_json::from_slice(&bytes)
            .map_err(|error| GitHubError::Malformed { doing, reason: error.to_string() })?;
        Ok(token.token)
    }

    /// Every runner of the scope.
    ///
    /// # Errors
    /// [`GitHubError`]; with a registration token alone, runners cannot be listed.
    pub async fn runners(&self) -> Result<Vec<Runner>, GitHubError> {
        const DOING: &str = "listing runners";
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let path = format!("actions/runners?per_page={PAGE}&page={page}");
            let answer = http::send(DOING, self.call(Method::GET, &path).await?).await?;
            let answer = self.judged(DOING, answer).await?;
            let found: Runners = serde_json::from_slice(&http::body(DOING, answer).await?)
                .map_err(|error| GitHubError::Malformed { doing: DOING, reason: error.to_string() })?;
            let last = found.runners.len() < PAGE;
            all.extend(found.runners);
            if last {
                break;
            }
        }
        Ok(all)
    }

    /// The newest version of GitHub's own runner, where it can be asked for.
    pub async fn newest_runner(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Download {
            filename: String,
        }
        if matches!(self.login, Login::RegistrationToken(_)) {
            return None;
        }
        let call = self.call(Method::GET, "actions/runners/downloads").await.ok()?;
        let all: Vec<Download> = http::json("asking for the newest runner", call).await.ok()?;
        // As in actions-runner-linux-x64-2.336.0.tar.gz.
        let linux = all.iter().find(|download| download.filename.contains("linux"))?;
        let version = linux.filename.trim_end_matches(".tar.gz").rsplit('-').next()?;
        let is_version = version.split('.').count() == 3
            && version.split('.').all(|part| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()));
        is_version.then(|| version.to_owned())
    }

    /// Removes a runner; not an error when it is gone.
    ///
    /// # Errors
    /// [`GitHubError`], for one when it runs a job.
    pub async fn delete_runner(&self, id: u64) -> Result<(), GitHubError> {
        const DOING: &str = "removing the runner";
        let call = self.call(Method::DELETE, &format!("actions/runners/{id}")).await?;
        let answer = http::send(DOING, call).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        self.judged(DOING, answer).await.map(|_| ())
    }

    /// Makes a runner for one job.
    ///
    /// # Errors
    /// [`GitHubError`].
    pub async fn jit_runner(
        &self,
        name: &str,
        group_id: u64,
        labels: &[String],
    ) -> Result<JitRunner, GitHubError> {
        const DOING: &str = "asking for a runner for one job";
        let body = json!({
            "name": name, "runner_group_id": group_id, "labels": labels, "work_folder": "_work",
        });
        let call = self.call(Method::POST, "actions/runners/generate-jitconfig").await?.json(&body);
        let answer = http::send(DOING, call).await?;
        if answer.status() == StatusCode::CONFLICT {
            return Err(GitHubError::NameTaken { name: name.to_owned() });
        }
        let answer = self.judged(DOING, answer).await?;
        serde_json::from_slice(&http::body(DOING, answer).await?)
            .map_err(|error| GitHubError::Malformed { doing: DOING, reason: error.to_string() })
    }

    /// A call to what belongs to the owner, with the login.
    async fn call(&self, method: Method, path: &str) -> Result<RequestBuilder, GitHubError> {
        let token = self.bearer().await?;
        Ok(self.request(method, &format!("{}/{path}", self.scope.entity_api())).bearer_auth(token.reveal()))
    }

    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.client
            .request(method, url)
            .header("Accept", "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28")
    }

    async fn bearer(&self) -> Result<Secret, GitHubError> {
        match &self.login {
            Login::PersonalAccessToken(token) => Ok(token.clone()),
            Login::App(app) => self.installation_token(app.token(Timestamp::now())?).await,
            Login::RegistrationToken(_) => Err(GitHubError::Login {
                doing: "calling the API",
                reason: "a registration token only registers".into(),
                remedy: "use --pat, or --app-id with --app-key",
            }),
        }
    }

    /// The token of the app's installation for the owner.
    async fn installation_token(&self, app: Secret) -> Result<Secret, GitHubError> {
        #[derive(Deserialize)]
        struct Installation {
            id: u64,
        }
        const DOING: &str = "finding the app's installation";
        if let Entity::Enterprise(_) = self.scope.entity() {
            return Err(GitHubError::Login {
                doing: DOING,
                reason: "an app cannot register runners for an enterprise".into(),
                remedy: "use --pat with the scope manage_runners:enterprise",
            });
        }
        let url = format!("{}/installation", self.scope.entity_api());
        let answer = http::send(DOING, self.request(Method::GET, &url).bearer_auth(app.reveal())).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(GitHubError::Login {
                doing: DOING,
                reason: format!("the app is not installed for {}", self.scope),
                remedy: "install it for this owner, with the permissions in docs/github.md",
            });
        }
        let answer = self.judged(DOING, answer).await?;
        let installation: Installation = serde_json::from_slice(&http::body(DOING, answer).await?)
            .map_err(|error| GitHubError::Malformed { doing: DOING, reason: error.to_string() })?;
        let url = format!("{}/app/installations/{}/access_tokens", self.scope.api(), installation.id);
        let call = self.request(Method::POST, &url).bearer_auth(app.reveal()).json(&json!({}));
        http::json::<Token>("asking for the app's token", call).await.map(|token| token.token)
    }

    /// The answer, or what a refusal means for somebody who set the login up.
    async fn judged(
        &self,
        doing: &'static str,
        answer: reqwest::Response,
    ) -> Result<reqwest::Response, GitHubError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let refusal = Refusal::read(answer).await;
        Err(match (status, &self.login) {
            (StatusCode::UNAUTHORIZED, _) => refusal.error(doing),
            (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, Login::App(_)) => GitHubError::Login {
                doing,
                reason: format!("{} ({status})", refusal.message),
                remedy: "give the app Administration (repositories) or Self-hosted runners (organisations), read and write",
            },
            (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, _) => GitHubError::Login {
                doing,
                reason: format!("{} ({status})", refusal.message),
                remedy: "check the URL, and that the token may administer it: scope repo for a repository, admin:org for an organisation, manage_runners:enterprise for an enterprise",
            },
            _ => refusal.error(doing),
        })
    }
}
