//! The broker: where a runner waits for jobs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::http::{self, Refusal};
use crate::register::architecture;
use crate::{GitHubError, OAuth, Registration};

/// An acknowledgement is not worth waiting for longer; the job is taken all the same.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(5);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The broker for one runner.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    client: Client,
    base: String,
    oauth: OAuth,
    registration: Arc<Registration>,
}

/// An open session; one runner has one at a time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    /// Its id.
    pub session_id: Uuid,
}

/// What a runner does while it asks for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunnerStatus {
    /// It waits.
    Online,
    /// It runs a job.
    Busy,
}

impl fmt::Display for RunnerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Online => "Online",
            Self::Busy => "Busy",
        })
    }
}

/// A message of the broker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    /// A job to be had.
    Job(JobOffer),
    /// A job is to be cancelled, and may take so long for its end.
    Cancel {
        /// The job.
        job_id: Uuid,
        /// How long its end may take.
        grace: Duration,
    },
    /// The token is to be replaced.
    RefreshToken,
    /// Something that does not concern this program, as an update of GitHub's own.
    Other(String),
}

/// A job to be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobOffer {
    /// What acknowledges and acquires it.
    pub runner_request_id: String,
    /// Where it is acquired.
    #[serde(default)]
    pub run_service_url: String,
    /// Given back as it is.
    #[serde(default)]
    pub billing_owner_id: Option<String>,
    /// Whether GitHub waits for an acknowledgement.
    #[serde(default)]
    pub should_acknowledge: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    message_type: String,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cancellation {
    job_id: Uuid,
    #[serde(default)]
    timeout: String,
}

impl Broker {
    /// For a runner that is registered.
    pub(crate) fn new(client: Client, oauth: OAuth, registration: Arc<Registration>) -> Self {
        let base = registration.broker_url.trim_end_matches('/').to_owned();
        Self { client, base, oauth, registration }
    }

    /// Opens a session.
    ///
    /// # Errors
    /// [`GitHubError::SessionConflict`] while another process has one; [`GitHubError::Version`]; others.
    pub(crate) async fn open(&self, owner: &str) -> Result<Session, GitHubError> {
        const DOING: &str = "opening a session";
        let identity = &self.registration.identity;
        let body = json!({
            "sessionId": Uuid::nil(),
            "ownerName": owner,
            "agent": {
                "id": identity.agent_id,
                "name": identity.agent_name,
                "version": self.registration.version,
                "osDescription": "Linux",
                "ephemeral": self.registration.ephemeral.then_some(true),
                "status": 0,
                "provisioningState": null,
            },
            "useFipsEncryption": false,
        });
        let answer =
            self.send(DOING, || self.client.post(format!("{}/session", self.base)).json(&body)).await?;
        let answer = self.judged(DOING, answer).await?;
        serde_json::from_slice(&http::body(DOING, answer).await?)
            .map_err(|error| GitHubError::Malformed { doing: DOING, reason: error.to_string() })
    }

    /// Closes the runner's session; nothing is lost when it cannot be.
    ///
    /// # Errors
    /// [`GitHubError`].
    pub(crate) async fn close(&self) -> Result<(), GitHubError> {
        const DOING: &str = "closing the session";
        let call = || self.client.delete(format!("{}/session", self.base)).timeout(CLOSE_TIMEOUT);
        let answer = self.send(DOING, call).await?;
        self.judged(DOING, answer).await.map(|_| ())
    }

    /// Waits for a message; `None` when GitHub had none for as long as it holds a call.
    ///
    /// # Errors
    /// [`GitHubError::SessionOver`], [`GitHubError::RegistrationGone`], [`GitHubError::Version`]; others.
    pub(crate) async fn message(
        &self,
        session: &Session,
        status: RunnerStatus,
    ) -> Result<Option<Message>, GitHubError> {
        const DOING: &str = "waiting for a job";
        let call = || {
            let call = self.client.get(format!("{}/message", self.base));
            self.about_us(call, session, status).query(&[("disableUpdate", "true")])
        };
        let answer = self.send(DOING, call).await?;
        let answer = self.judged(DOING, answer).await?;
        let status = answer.status();
        let bytes = http::body(DOING, answer).await?;
        if status == StatusCode::ACCEPTED || status == StatusCode::NO_CONTENT || bytes.is_empty() {
            return Ok(None);
        }
        read(&bytes).map(Some)
    }

    /// Tells that an offer has arrived.
    ///
    /// # Errors
    /// [`GitHubError::JobGone`] when the offer holds no more; others, after which the job can be acquired all the same.
    pub(crate) async fn acknowledge(&self, session: &Session, offer: &JobOffer) -> Result<(), GitHubError> {
        const DOING: &str = "acknowledging a job";
        let body = json!({ "runnerRequestId": offer.runner_request_id });
        let call = || {
            let call = self.client.post(format!("{}/acknowledge", self.base)).timeout(ACKNOWLEDGE_TIMEOUT);
            self.about_us(call, session, RunnerStatus::Online).json(&body)
        };
        let answer = self.send(DOING, call).await?;
        self.judged(DOING, answer).await.map(|_| ())
    }

    fn about_us(&self, call: RequestBuilder, session: &Session, status: RunnerStatus) -> RequestBuilder {
        call.query(&[
            ("sessionId", session.session_id.to_string().as_str()),
            ("status", status.to_string().as_str()),
            ("runnerVersion", &self.registration.version),
            ("os", "Linux"),
            ("architecture", architecture()),
        ])
    }

    /// Sends a call with the runner's token, and once more with a new one when it is refused.
    async fn send(
        &self,
        doing: &'static str,
        call: impl Fn() -> RequestBuilder,
    ) -> Result<Response, GitHubError> {
        let token = self.oauth.token().await?;
        let answer = http::send(doing, call().bearer_auth(token.reveal())).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.oauth.forget().await;
        let token = self.oauth.token().await?;
        http::send(doing, call().bearer_auth(token.reveal())).await
    }

    async fn judged(&self, doing: &'static str, answer: Response) -> Result<Response, GitHubError> {
        if answer.status().is_success() {
            return Ok(answer);
        }
        let refusal = Refusal::read(answer).await;
        let reason = refusal.message.clone();
        Err(match (refusal.kind.as_str(), refusal.status) {
            ("RunnerNotFound", _) => GitHubError::RegistrationGone { reason },
            ("RunnerVersionTooOld", _) => {
                GitHubError::Version { version: self.registration.version.clone(), reason }
            }
            ("RunnerSessionInvalid", _) => GitHubError::SessionOver { reason },
            ("AcknowledgeJobNotFound", _) => GitHubError::JobGone { reason },
            (_, StatusCode::CONFLICT) => GitHubError::SessionConflict { reason },
            _ => refusal.error(doing),
        })
    }
}

/// Reads a message.
fn read(bytes: &[u8]) -> Result<Message, GitHubError> {
    let wrong = |error: serde_json::Error| GitHubError::Malformed {
        doing: "reading a message",
        reason: error.to_string(),
    };
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(wrong)?;
    Ok(match envelope.message_type.as_str() {
        "RunnerJobRequest" => Message::Job(serde_json::from_str(&envelope.body).map_err(wrong)?),
        "JobCancellation" => {
            let cancel: Cancellation = serde_json::from_str(&envelope.body).map_err(wrong)?;
            let grace = time_span(&cancel.timeout).unwrap_or(DEFAULT_GRACE);
            Message::Cancel { job_id: cancel.job_id, grace }
        }
        "ForceTokenRefresh" => Message::RefreshToken,
        _ => Message::Other(envelope.message_type),
    })
}

/// What GitHub gives a job for its end.
const DEFAULT_GRACE: Duration = Duration::from_secs(300);

/// `[d.]hh:mm:ss[.f]`, as .NET writes it.
fn time_span(text: &str) -> Option<Duration> {
    let (rest, seconds) = text.rsplit_once(':')?;
    let (hours, minutes) = rest.rsplit_once(':')?;
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let whole = |text: &str| text.parse::<u64>().ok();
    let seconds: f64 = seconds.parse().ok().filter(|seconds| (0.0..60.0).contains(seconds))?;
    let minutes = whole(days)?
        .checked_mul(24)?
        .checked_add(whole(hours)?)?
        .checked_mul(60)?
        .checked_add(whole(minutes)?)?;
    Some(Duration::from_secs(minutes.checked_mul(60)?) + Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans() {
        for (text, milliseconds) in [
            ("00:05:00", Some(300_000)),
            ("0.00:05:00.0000", Some(300_000)),
            ("1.02:03:04.5", Some(93_784_500)),
            ("5", None),
            ("-1:0:0", None),
            ("0:0:99", None),
            ("99999999999999999999.0:0:0", None),
        ] {
            assert_eq!(time_span(text), milliseconds.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn messages() {
        let message = |kind: &str, body: &str| {
            read(json!({"messageId": 1, "messageType": kind, "body": body}).to_string().as_bytes())
        };
        let offer = r#"{"runner_request_id":"a","run_service_url":"https://x/1/","should_acknowledge":true}"#;
        let Ok(Message::Job(offer)) = message("RunnerJobRequest", offer) else { panic!() };
        assert_eq!((offer.runner_request_id.as_str(), offer.should_acknowledge), ("a", true));
        let id = Uuid::new_v4();
        assert_eq!(
            message("JobCancellation", &json!({"jobId": id, "timeout": "00:01:00"}).to_string()).unwrap(),
            Message::Cancel { job_id: id, grace: Duration::from_secs(60) }
        );
        assert_eq!(message("RunnerRefresh", "{}").unwrap(), Message::Other("RunnerRefresh".into()));
        assert!(message("RunnerJobRequest", "{}").is_err());
        assert!(read(b"<html>").is_err());
    }
}
