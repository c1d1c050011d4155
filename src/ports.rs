//! What builds reach outside of this machine: plugged in here, looked up when a build needs it.

use std::sync::Arc;

use runspan_aws::{
    Account, CloudWatchLogs, CloudWatchMetrics, EventBridge, Identities, S3, S3Logs, Secrets, Topic,
};
use runspan_codebuild_api::SourceCredentials;
use runspan_engine::journal::Journal;
use runspan_engine::ports::{Ports, Uploads};
use runspan_engine::sinks::Sink;

use crate::config::{Config, Notices};

/// Everything there is. Nothing of it costs a build anything that does not ask for it.
pub(crate) fn ports(config: &Config, journal: &Arc<Journal>) -> Ports {
    let account = Arc::new(Account::new(config.region.clone()));
    let shared = || Arc::clone(&account);
    let Notices { metrics_namespace, event_bus, event_source, sns_topic, sns_events } = &config.notices;
    let mut sinks: Vec<Arc<dyn Sink>> =
        vec![Arc::new(CloudWatchLogs::new(shared())), Arc::new(S3Logs::new(shared()))];
    if let Some(namespace) = metrics_namespace {
        sinks.push(Arc::new(CloudWatchMetrics::new(shared(), namespace)));
    }
    if let Some(bus) = event_bus {
        sinks.push(Arc::new(EventBridge::new(shared(), bus, event_source)));
    }
    if let Some(topic) = sns_topic {
        sinks.push(Arc::new(Topic::new(&account, topic, event_source, sns_events.clone())));
    }
    Ports {
        secrets: Some(Arc::new(Secrets::new(shared()))),
        objects: Some(Arc::new(S3::new(shared()).remembering(Arc::clone(journal) as Arc<dyn Uploads>))),
        logins: Some(Arc::new(SourceCredentials::of(&config.home))),
        identities: Some(Arc::new(Identities::new(shared()))),
        service: None,
        sinks,
    }
}
