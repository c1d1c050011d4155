//! The runner's own token, got with its key.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use reqwest::Client;
use runspan_agent_protocol::Secret;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::http::{self, Refusal};
use crate::{GitHubError, RunnerIdentity};

/// GitHub takes assertions for at most five minutes.
const ASSERTION_SECONDS: i64 = 300;
/// A token is replaced before it ends, so that it does not end on the way.
const MARGIN: Duration = Duration::from_secs(60);

/// Gives the runner's token, renewed in time; clones share one.
#[derive(Clone, Debug)]
pub(crate) struct OAuth {
    client: Client,
    identity: Arc<RunnerIdentity>,
    current: Arc<Mutex<Option<AccessToken>>>,
}

/// A token and its end.
#[derive(Clone, Debug)]
pub(crate) struct AccessToken {
    /// The token.
    pub token: Secret,
    expires: Instant,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iss: &'a str,
    jti: Uuid,
    aud: &'a str,
    nbf: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Answer {
    access_token: Secret,
    #[serde(default)]
    expires_in: u64,
}

impl OAuth {
    /// For a runner that is registered.
    pub(crate) fn new(client: Client, identity: Arc<RunnerIdentity>) -> Self {
        Self { client, identity, current: Arc::default() }
    }

    /// A token that is good for a while yet.
    ///
    /// # Errors
    /// [`GitHubError::RegistrationGone`] when GitHub does not know the runner any more; others.
    pub(crate) async fn token(&self) -> Result<Secret, GitHubError> {
        let mut current = self.current.lock().await;
        if let Some(known) = &*current
            && known.expires > Instant::now() + MARGIN
        {
            return Ok(known.token.clone());
        }
        let fresh = self.fetch().await?;
        let token = fresh.token.clone();
        *current = Some(fresh);
        Ok(token)
    }

    /// Forgets the token, so that the next is a new one.
    pub(crate) async fn forget(&self) {
        *self.current.lock().await = None;
    }

    async fn fetch(&self) -> Result<AccessToken, GitHubError> {
        const DOING: &str = "asking for the runner's token";
        let id = &*self.identity;
        let now = Timestamp::now().as_second();
        let claims = Claims {
            sub: &id.client_id,
            iss: &id.client_id,
            jti: Uuid::new_v4(),
            aud: &id.authorization_url,
            nbf: now,
            exp: now + ASSERTION_SECONDS,
        };
        let algorithm = if id.requires_fips { Algorithm::PS256 } else { Algorithm::RS256 };
        let assertion = id.key.sign(algorithm, &claims)?;
        let call = self.client.post(&id.authorization_url).header("Accept", "application/json").form(&[
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.reveal()),
        ]);
        let sent = Instant::now();
        let answer = http::send(DOING, call).await?;
        if !answer.status().is_success() {
            let refusal = Refusal::read(answer).await;
            return Err(if refusal.kind == "invalid_client" {
                GitHubError::RegistrationGone { reason: refusal.message }
            } else {
                refusal.error(DOING)
            });
        }
        let answer: Answer = serde_json::from_slice(&http::body(DOING, answer).await?)
            .map_err(|error| GitHubError::Malformed { doing: DOING, reason: error.to_string() })?;
        let lifetime =
            if answer.expires_in == 0 { ASSERTION_SECONDS.unsigned_abs() } else { answer.expires_in };
        Ok(AccessToken { token: answer.access_token, expires: sent + Duration::from_secs(lifetime) })
    }
}
