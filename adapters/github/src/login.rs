//! What somebody proves their right to register runners with.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use runspan_agent_protocol::Secret;
use serde::Serialize;

use crate::GitHubError;

/// A right to register or remove runners.
#[derive(Clone, Debug)]
pub enum Login {
    /// A registration or removal token as GitHub's pages show it; good for an hour.
    RegistrationToken(Secret),
    /// A personal access token, classic or fine-grained.
    PersonalAccessToken(Secret),
    /// A GitHub App that is installed for the owner.
    App(AppKey),
}

/// A GitHub App's identity.
#[derive(Clone, Debug)]
pub struct AppKey {
    /// Client id (recommended by GitHub) or app id.
    pub issuer: String,
    /// Private key in PEM.
    pub key: Secret,
}

/// GitHub takes tokens of apps for at most ten minutes; some are left for clocks that differ.
const LIFETIME_SECONDS: i64 = 540;
const BACKDATED_SECONDS: i64 = 60;

#[derive(Serialize)]
struct Claims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
}

impl AppKey {
    /// The token that says "I am the app".
    ///
    /// # Errors
    /// [`GitHubError::Key`].
    pub(crate) fn token(&self, now: Timestamp) -> Result<Secret, GitHubError> {
        let wrong = |error: jsonwebtoken::errors::Error| GitHubError::Key {
            reason: format!("the app's private key must be RSA in PEM: {error}"),
        };
        let key = EncodingKey::from_rsa_pem(self.key.reveal().as_bytes()).map_err(wrong)?;
        let now = now.as_second();
        let claims = Claims { iat: now - BACKDATED_SECONDS, exp: now + LIFETIME_SECONDS, iss: &self.issuer };
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).map(Secret::new).map_err(wrong)
    }
}
