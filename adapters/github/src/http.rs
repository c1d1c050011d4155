//! One call: sent, answered, judged.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::GitHubError;

/// GitHub's own runner waits so long.
const TIMEOUT: Duration = Duration::from_secs(100);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer answers than this to a refused call are not about us.
const LONGEST_REASON: usize = 500;

/// A client for all of GitHub's services.
///
/// # Errors
/// When the machine has no usable certificates.
pub(crate) fn client(runner_version: &str) -> Result<Client, GitHubError> {
    Client::builder()
        .user_agent(format!(
            "runspan/{} GitHubActionsRunner-compatible/{runner_version}",
            env!("CARGO_PKG_VERSION")
        ))
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        // A token must not follow a redirect to another host.
        .redirect(reqwest::redirect::Policy::limited(5))
        .build()
        .map_err(|error| GitHubError::Unreachable {
            doing: "starting the HTTP client",
            host: "this machine".into(),
            reason: chain(&error),
        })
}

/// Sends a call and gives back the answer, whatever its status.
pub(crate) async fn send(doing: &'static str, call: RequestBuilder) -> Result<Response, GitHubError> {
    call.send().await.map_err(|error| GitHubError::Unreachable {
        doing,
        host: error.url().and_then(|url| url.host_str()).unwrap_or("GitHub").to_owned(),
        reason: chain(&error.without_url()),
    })
}

/// Sends a call whose answer must be JSON.
pub(crate) async fn json<T: DeserializeOwned>(
    doing: &'static str,
    call: RequestBuilder,
) -> Result<T, GitHubError> {
    let answer = accepted(doing, send(doing, call).await?).await?;
    let bytes = body(doing, answer).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| GitHubError::Malformed { doing, reason: error.to_string() })
}

/// The body of an answer.
pub(crate) async fn body(doing: &'static str, answer: Response) -> Result<Vec<u8>, GitHubError> {
    match answer.bytes().await {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => Err(GitHubError::Unreachable {
            doing,
            host: error.url().and_then(|url| url.host_str()).unwrap_or("GitHub").to_owned(),
            reason: chain(&error.without_url()),
        }),
    }
}

/// The answer, when it is one of success.
pub(crate) async fn accepted(doing: &'static str, answer: Response) -> Result<Response, GitHubError> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let refusal = Refusal::read(answer).await;
    Err(refusal.error(doing))
}

/// An answer that is none of success.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// `errorKind` of the broker's errors, `typeKey` of the tenant's.
    pub(crate) kind: String,
    pub(crate) message: String,
    retry_after: Option<Duration>,
}

/// The members that errors of GitHub's different services have.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    message: Option<String>,
    #[serde(rename = "errorMessage")]
    error_message: Option<String>,
    #[serde(rename = "errorKind")]
    error_kind: Option<String>,
    #[serde(rename = "typeKey")]
    type_key: Option<String>,
    #[serde(rename = "statusCode")]
    status_code: Option<u16>,
    error: Option<serde_json::Value>,
    error_description: Option<String>,
    msg: Option<String>,
}

impl Refusal {
    pub(crate) async fn read(answer: Response) -> Self {
        let status = answer.status();
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let text = answer.text().await.unwrap_or_default();
        let said: ErrorBody = serde_json::from_str(&text).unwrap_or_default();
        let error = said.error.as_ref().and_then(serde_json::Value::as_str).map(str::to_owned);
        let message = [said.error_message, said.error_description, said.message, said.msg, error.clone()]
            .into_iter()
            .flatten()
            .find(|text| !text.is_empty())
            .unwrap_or_else(|| excerpt(&text));
        Self {
            // The run service's own status is in the body.
            status: said.status_code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(status),
            kind: said.error_kind.or(said.type_key).or(error).unwrap_or_default(),
            message,
            retry_after,
        }
    }

    /// As an error of a call for which the refusal means nothing special.
    pub(crate) fn error(self, doing: &'static str) -> GitHubError {
        if self.message.contains("Current server time is") {
            return GitHubError::ClockSkew { reason: self.message };
        }
        match self.status {
            StatusCode::UNAUTHORIZED => GitHubError::Login {
                doing,
                reason: self.message,
                remedy: "check that the token is valid and not expired",
            },
            status => GitHubError::Refused {
                doing,
                status: status.as_u16(),
                reason: self.message,
                retry_after: self.retry_after,
            },
        }
    }
}

/// The beginning of an answer that is not JSON, on one line; proxies answer with pages.
fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_REASON) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None if line.is_empty() => "no reason given".into(),
        None => line,
    }
}

/// An error with what caused it; reqwest says the cause only there.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    text
}
