//! Credentials, region and endpoints as the SDK's users expect them, found when first needed.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::timeout::TimeoutConfig;
use aws_types::region::Region;
use tokio::sync::OnceCell;

/// A service that has not answered a small request by then is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// And one that was sent a file, however slow the line.
const FILE_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The account that whoever runs the program has, with one client for each service.
#[derive(Debug)]
pub struct Account {
    region: String,
    config: OnceCell<SdkConfig>,
    http: OnceCell<reqwest::Client>,
    s3: OnceCell<aws_sdk_s3::Client>,
}

impl Account {
    /// In this region, unless environment or profile name another. Costs nothing.
    pub fn new(region: impl Into<String>) -> Self {
        Self { region: region.into(), config: OnceCell::new(), http: OnceCell::new(), s3: OnceCell::new() }
    }

    pub(crate) async fn config(&self) -> &SdkConfig {
        let load = || async {
            // An instance's own region is not asked for: builds have been told theirs already.
            let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new())
                .or_else(Region::new(self.region.clone()));
            let timeouts =
                TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(FILE_TIMEOUT).build();
            aws_config::defaults(BehaviorVersion::latest())
                .region(region)
                .timeout_config(timeouts)
                .load()
                .await
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
