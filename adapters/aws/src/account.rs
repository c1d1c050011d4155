//! Credentials, region and endpoints as the SDK's users expect them, found when first needed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_types::region::Region;
use runspan_agent_protocol::Secret;
use tokio::sync::{Mutex, OnceCell};

use crate::error::{CallError, causes};

/// A service that has not answered a small request by then is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// And one that was sent a file, however slow the line.
const FILE_TIMEOUT: Duration = Duration::from_secs(120);
/// Credentials are renewed so long before they end.
const SOON: Duration = Duration::from_secs(300);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An account, by default the one that whoever runs the program has, with one client for each service.
#[derive(Debug)]
pub struct Account {
    region: String,
    /// Whether the region is that one, whatever environment and profile say.
    is_fixed: bool,
    whose: Whose,
    credentials: Mutex<Option<Credentials>>,
    config: OnceCell<SdkConfig>,
    http: OnceCell<reqwest::Client>,
    s3: OnceCell<aws_sdk_s3::Client>,
}

/// Whose credentials an account is used with.
#[derive(Clone, Debug)]
enum Whose {
    /// Those of whoever runs the program.
    Runner,
    /// Such as somebody gave.
    Given(Keys),
    /// A role's, in a session of this name.
    Role { arn: String, session: String, from: Arc<Account> },
}

/// Credentials that somebody gave for one purpose.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The public half.
    pub access_key_id: String,
    /// The other half.
    pub secret_access_key: Secret,
    /// Of credentials that end.
    pub session_token: Option<Secret>,
}

impl Account {
    /// In this region, unless environment or profile name another. Costs nothing.
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            is_fixed: false,
            whose: Whose::Runner,
            credentials: Mutex::new(None),
            config: OnceCell::new(),
            http: OnceCell::new(),
            s3: OnceCell::new(),
        }
    }

    /// The same with credentials that were given.
    #[must_use]
    pub fn with_keys(&self, keys: Keys) -> Self {
        Self { whose: Whose::Given(keys), ..self.anew() }
    }

    /// A role that this account may assume, in a session of this name.
    pub(crate) fn of_role(from: &Arc<Self>, arn: &str, session: &str) -> Self {
        let whose = Whose::Role { arn: arn.to_owned(), session: session.to_owned(), from: Arc::clone(from) };
        Self { whose, ..from.anew() }
    }

    /// The same in another region.
    pub(crate) fn in_region(&self, region: &str) -> Self {
        Self { is_fixed: true, region: region.to_owned(), ..self.anew() }
    }

    /// The region that it was made for.
    pub(crate) fn own_region(&self) -> &str {
        &self.region
    }

    fn anew(&self) -> Self {
        Self { is_fixed: self.is_fixed, whose: self.whose.clone(), ..Self::new(self.region.clone()) }
    }

    /// Credentials that are good for some minutes at least; `action` is what they are for.
    pub(crate) async fn credentials(&self, action: &'static str) -> Result<Credentials, CallError> {
        // Whoever waits here would ask for the same.
        let mut kept = self.credentials.lock().await;
        let is_good = |credentials: &Credentials| {
            credentials.expiry().is_some_and(|ends| ends > SystemTime::now() + SOON)
        };
        if let Some(credentials) = kept.as_ref().filter(|credentials| is_good(credentials)) {
            return Ok(credentials.clone());
        }
        let fails = |reason: String| CallError::NoCredentials { action, reason };
        let provider = self.config().await.credentials_provider();
        let provider = provider.ok_or_else(|| fails("none are set".into()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| fails(causes(&error)))?;
        // What names no end may be changed by whoever gives it, and costs nothing to ask for.
        *kept = credentials.expiry().map(|_| credentials.clone());
        Ok(credentials)
    }

    pub(crate) async fn config(&self) -> &SdkConfig {
        let load = || async {
            // An instance's own region is not asked for: builds have been told theirs already.
            let own = Region::new(self.region.clone());
            let region = match self.is_fixed {
                true => RegionProviderChain::first_try(own),
                false => RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                    .or_else(ProfileFileRegionProvider::new())
                    .or_else(own),
            };
            let timeouts =
                TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(FILE_TIMEOUT).build();
            let mut loader =
                aws_config::defaults(BehaviorVersion::latest()).region(region).timeout_config(timeouts);
            match &self.whose {
                Whose::Runner => {}
                Whose::Given(Keys { access_key_id, secret_access_key, session_token }) => {
                    let token = session_token.as_ref().map(|token| token.reveal().to_owned());
                    let secret = secret_access_key.reveal();
                    loader = loader.credentials_provider(Credentials::new(
                        access_key_id,
                        secret,
                        token,
                        None,
                        "given",
                    ));
                }
                Whose::Role { arn, session, from } => {
                    let from = Box::pin(from.config()).await;
                    let role = AssumeRoleProvider::builder(arn).session_name(session).configure(from);
                    loader = loader.credentials_provider(role.build().await);
                }
            }
            loader.load().await
        };
        self.config.get_or_init(load).await
    }

    /// The region that requests go to.
    pub(crate) async fn region(&self) -> &str {
        self.config().await.region().map_or(self.region.as_str(), Region::as_ref)
    }

    /// For services whose SDK would cost more to build than it is worth.
    pub(crate) async fn http(&self) -> Result<&reqwest::Client, reqwest::Error> {
        let build = || async {
            reqwest::Client::builder().timeout(ANSWER_TIMEOUT).connect_timeout(CONNECT_TIMEOUT).build()
        };
        self.http.get_or_try_init(build).await
    }

    pub(crate) async fn s3(&self) -> &aws_sdk_s3::Client {
        let build = || async {
            let config = self.config().await;
            let mut settings = aws_sdk_s3::config::Builder::from(config);
            if has_own_endpoint(config, "S3") {
                // Not every server that speaks S3 answers to a bucket's own host name.
                settings = settings.force_path_style(true);
            }
            aws_sdk_s3::Client::from_conf(settings.build())
        };
        self.s3.get_or_init(build).await
    }
}

/// The endpoint that environment or profile name for this service, or for all.
pub(crate) fn own_endpoint(config: &SdkConfig, service_id: &str) -> Option<String> {
    let key = aws_types::service_config::ServiceConfigKey::builder()
        .service_id(service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let of_service = config.service_config().and_then(|settings| settings.load_config(key));
    of_service.or_else(|| config.endpoint_url().map(str::to_owned))
}

fn has_own_endpoint(config: &SdkConfig, service_id: &str) -> bool {
    own_endpoint(config, service_id).is_some()
}
