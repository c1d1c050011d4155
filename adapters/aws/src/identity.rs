//! Who whoever runs the program is, and who a build may be: credentials, and logins made of them.

mod codecommit;
mod registry;

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use jiff::Timestamp;
use runspan_agent_protocol::{GitLogin, RoleCredentials, Secret};
use runspan_engine::RegistryLogin;
use runspan_engine::ports;

use crate::account::Account;
use crate::permissions::ASSUME_ROLE;

/// The identities that an account can have.
#[derive(Debug)]
pub struct Identities(Arc<Account>);

impl Identities {
    /// Of this account.
    pub const fn new(account: Arc<Account>) -> Self {
        Self(account)
    }
}

impl ports::Identities for Identities {
    fn own(&self) -> Arc<dyn ports::Identity> {
        Arc::new(Identity { account: Arc::clone(&self.0), role: String::new() })
    }

    fn role(&self, arn: &str, session: &str) -> Arc<dyn ports::Identity> {
        let account = Arc::new(Account::of_role(&self.0, arn, session));
        Arc::new(Identity { account, role: arn.to_owned() })
    }
}

struct Identity {
    account: Arc<Account>,
    /// Its ARN, of a role.
    role: String,
}

#[async_trait]
impl ports::Identity for Identity {
    async fn credentials(&self) -> Result<RoleCredentials, String> {
        let credentials = self.account.credentials(ASSUME_ROLE).await.map_err(|error| error.to_string())?;
        let ends = credentials.expiry().map(Timestamp::try_from).and_then(Result::ok);
        // Credentials that do not end are asked for again all the same.
        let ends = ends.or_else(|| Timestamp::try_from(SystemTime::now() + super::account::HOUR).ok());
        Ok(RoleCredentials {
            access_key_id: credentials.access_key_id().to_owned(),
            secret_access_key: Secret::new(credentials.secret_access_key()),
            token: Secret::new(credentials.session_token().unwrap_or_default()),
            expiration: ends.unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            role_arn: self.role.clone(),
        })
    }

    async fn git_login(&self, host: &str, path: &str) -> Result<Option<GitLogin>, String> {
        let Some(region) = codecommit::region(host) else { return Ok(None) };
        let credentials =
            self.account.credentials("codecommit:GitPull").await.map_err(|error| error.to_string())?;
        codecommit::login(&credentials, &region, host, path, Timestamp::now()).map(Some)
    }

    async fn registry_login(&self, registry: &str) -> Result<Option<RegistryLogin>, String> {
        registry::login(&self.account, registry).await
    }
}
