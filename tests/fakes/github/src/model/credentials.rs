//! Tokens: who holds which, and until when.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{GitHub, Refused, Scope};

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A person's.
    Person,
    /// An installation of an App, on an account.
    Installation(String),
    /// Registering a runner.
    Registration,
    /// Removing a runner.
    Removal,
    /// Managing the runners of a scope in the tenant's service.
    Tenant(Scope),
    /// A runner's own.
    Runner(u64),
    /// A job's, for reporting.
    Job(Uuid),
    /// A job's `GITHUB_TOKEN`.
    Workflow(Uuid),
}

/// A token that was given out.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    kind: TokenKind,
    expires: Option<Timestamp>,
}

/// Who a call to the public API comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The holder of a token.
    Token(TokenKind),
    /// An App itself, by a JWT that it signed.
    App(u64),
}

/// A GitHub App.
#[derive(Clone, Debug)]
pub struct App {
    /// Number.
    pub id: u64,
    /// Its key, PEM.
    pub public_key: String,
    /// Accounts by number of the installation.
    pub installations: BTreeMap<u64, String>,
}

/// What a client assertion says.
#[derive(Debug, Deserialize)]
struct Assertion {
    sub: Uuid,
    iss: Uuid,
    jti: String,
    aud: String,
    nbf: i64,
    exp: i64,
}

const SLACK: i64 = 60;

impl GitHub {
    /// Makes a token that was chosen by hand, such as a personal access token.
    pub fn allow(&mut self, token: &str) {
        self.allow_as(token, TokenKind::Person);
    }

    /// As [`GitHub::allow`], for another purpose.
    pub fn allow_as(&mut self, token: &str, kind: TokenKind) {
        self.tokens.insert(token.to_owned(), Issued { kind, expires: None });
    }

    /// Gives out a registration token or one for removal.
    pub fn runner_token(&mut self, kind: TokenKind) -> (String, Timestamp) {
        let token = format!("A{}", Uuid::new_v4().simple()).to_uppercase();
        let lifetime = self.settings.registration_token;
        let expires = self.issue(&token, kind, Some(lifetime)).unwrap_or(Timestamp::MAX);
        (token, expires)
    }

    /// Gives out a token of an App's installation.
    pub fn installation_token(&mut self, account: &str) -> (String, Timestamp) {
        let token = format!("ghs_{}{}", Uuid::new_v4().simple(), "fake");
        let kind = TokenKind::Installation(account.to_owned());
        let expires = self.issue(&token, kind, Some(Duration::from_secs(3600)));
        (token, expires.unwrap_or(Timestamp::MAX))
    }

    /// Gives out a token in the form of a JWT.
    pub(crate) fn jwt(&mut self, kind: TokenKind, lifetime: Duration, mut claims: Json) -> String {
        let now = self.now().as_second();
        claims["nbf"] = json!(now);
        claims["exp"] = json!(now + i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX / 2));
        let token = self.signed(claims);
        self.issue(&token, kind, Some(lifetime));
        token
    }

    /// Claims, signed with this GitHub's own secret.
    pub(crate) fn signed(&self, mut claims: Json) -> String {
        claims["iss"] = json!(self.base);
        claims["jti"] = json!(Uuid::new_v4());
        let key = EncodingKey::from_secret(self.signing_secret.as_bytes());
        // A secret key and plain claims cannot fail to be encoded.
        jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap_or_else(|_| Uuid::new_v4().to_string())
    }

    pub(crate) fn issue(
        &mut self,
        token: &str,
        kind: TokenKind,
        lifetime: Option<Duration>,
    ) -> Option<Timestamp> {
        let expires = lifetime.and_then(|lifetime| self.now().checked_add(lifetime).ok());
        self.tokens.insert(token.to_owned(), Issued { kind, expires });
        expires
    }

    /// What a token is good for; an unknown or expired one is refused.
    ///
    /// # Errors
    /// It is good for nothing.
    pub fn holder(&self, token: &str) -> Result<TokenKind, Refused> {
        let now = self.now();
        let issued = self.tokens.get(token).ok_or(Refused::Unauthorized)?;
        if issued.expires.is_some_and(|expires| expires <= now) {
            return Err(Refused::Unauthorized);
        }
        if let TokenKind::Runner(runner) = issued.kind
            && !self.runners.contains_key(&runner)
        {
            return Err(Refused::RunnerNotFound);
        }
        Ok(issued.kind.clone())
    }

    /// Makes all of a runner's access tokens worthless, so that it must ask for a new one.
    pub fn expire_access_tokens(&mut self) {
        self.tokens.retain(|_, issued| !matches!(issued.kind, TokenKind::Runner(_)));
    }

    /// Makes a job's token worthless.
    pub(crate) fn expire_job_tokens(&mut self, job: Uuid) {
        self.tokens.retain(|_, issued| issued.kind != TokenKind::Workflow(job));
    }

    pub(crate) fn expire_access_tokens_of(&mut self, runner: u64) {
        self.tokens.retain(|_, issued| issued.kind != TokenKind::Runner(runner));
    }

    /// Who a call to the API comes from.
    ///
    /// # Errors
    /// The credentials are bad.
    pub fn identify(&self, credentials: &str) -> Result<Identity, Refused> {
        let (scheme, value) = credentials.split_once(' ').ok_or(Refused::Unauthorized)?;
        let token = match scheme.to_ascii_lowercase().as_str() {
            "bearer" | "token" | "remoteauth" => value.to_owned(),
            "basic" => base64::engine::general_purpose::STANDARD
                .decode(value)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .and_then(|pair| pair.split_once(':').map(|(_, password)| password.to_owned()))
                .ok_or(Refused::Unauthorized)?,
            _ => return Err(Refused::Unauthorized),
        };
        match self.holder(&token) {
            Ok(kind) => Ok(Identity::Token(kind)),
            Err(_) => self.app(&token).map(Identity::App),
        }
    }

    /// The App that signed a JWT.
    fn app(&self, token: &str) -> Result<u64, Refused> {
        #[derive(Deserialize)]
        struct Claims {
            iss: Json,
            iat: i64,
            exp: i64,
        }
        let claims = unverified(token).ok_or(Refused::Unauthorized)?;
        let issuer = match &claims["iss"] {
            Json::String(text) => text.parse().ok(),
            number => number.as_u64(),
        };
        let app = issuer.and_then(|id| self.apps.get(&id)).ok_or(Refused::Unauthorized)?;
        let key = DecodingKey::from_rsa_pem(app.public_key.as_bytes()).map_err(|_| Refused::Unauthorized)?;
        let claims: Claims = verified(token, &key, Algorithm::RS256).ok_or(Refused::Unauthorized)?;
        let now = self.now().as_second();
        let in_time = claims.iat <= now + SLACK && claims.exp > now && claims.exp - now <= 600 + SLACK;
        if claims.iss.is_null() || !in_time { Err(Refused::Unauthorized) } else { Ok(app.id) }
    }

    /// The access token for a runner that proves itself by its key.
    ///
    /// # Errors
    /// It does not.
    pub fn access_token(&mut self, assertion: &str, audience: &str) -> Result<String, Refused> {
        let refuse = |why: &str| Err(Refused::InvalidClient(why.to_owned()));
        let gone = "Registration was not found or is not medium trust. ClientType: ";
        let Some(claims) = unverified(assertion) else { return refuse("The assertion is not a JWT.") };
        let client = claims["sub"].as_str().and_then(|text| text.parse::<Uuid>().ok());
        let Some(runner) = self.runners.values().find(|runner| Some(runner.client) == client) else {
            return refuse(gone);
        };
        let (id, key) = (runner.id, &runner.registration.key);
        let key = DecodingKey::from_rsa_raw_components(&key.modulus, &key.exponent);
        let algorithms: &[Algorithm] =
            if self.settings.fips { &[Algorithm::PS256] } else { &[Algorithm::PS256, Algorithm::RS256] };
        let verified =
            algorithms.iter().find_map(|algorithm| verified::<Assertion>(assertion, &key, *algorithm));
        let Some(claims) = verified else { return refuse("The signature is not valid.") };
        if claims.iss != claims.sub {
            return refuse("The issuer is not the subject.");
        }
        if claims.aud != audience {
            return refuse(&format!("The audience {} is not {audience}.", claims.aud));
        }
        let now = self.now().as_second();
        if claims.nbf > now + SLACK || claims.exp <= now {
            return refuse(&format!(
                "The assertion is not valid at this time. Current server time is {}.",
                self.now()
            ));
        }
        if claims.exp - claims.nbf > 300 + SLACK {
            return refuse("The assertion is valid for more than five minutes.");
        }
        if !self.used_assertions.insert(claims.jti) {
            return refuse("The assertion was used before.");
        }
        let lifetime = self.settings.access_token;
        Ok(self.jwt(TokenKind::Runner(id), lifetime, json!({"sub": claims.sub, "runner_id": id})))
    }
}

/// The claims of a JWT, believed as they stand.
fn unverified(token: &str) -> Option<Json> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?).ok()
}

/// The claims of a JWT whose signature is right. Times and audience are the caller's to judge: GitHub's
/// clock is not this machine's.
fn verified<C: for<'de> Deserialize<'de>>(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<C> {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<C>(token, key, &validation).ok().map(|data| data.claims)
}
