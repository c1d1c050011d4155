//! Chosen events as messages to an SNS topic.

use async_trait::async_trait;
use runspan_engine::build::Build;
use runspan_engine::request::BuildRequest;
use runspan_engine::sinks::{Delivery, Sink, SinkError};
use serde_json::json;

use crate::account::Account;
use crate::detail::{Notice, RULES, notice};
use crate::permissions::PUBLISH;
use crate::signed::Service;

const SNS: Service = Service::new("SNS", "sns", "");
/// SNS takes no longer subject.
const MAX_SUBJECT: usize = 99;

/// Follows builds and publishes what was chosen.
#[derive(Debug)]
pub struct Topic {
    account: Account,
    arn: String,
    source: String,
    rules: Vec<String>,
}

impl Topic {
    /// The events of these names, as in `codebuild-project-build-state-failed`; the end of a name is enough, as
    /// [`is_event`] knows. The topic may be in another region than builds.
    pub fn new(
        account: &Account,
        arn: impl Into<String>,
        source: impl Into<String>,
        rules: Vec<String>,
    ) -> Self {
        let arn = arn.into();
        // What is no ARN is refused by whoever is asked.
        let region =
            arn.split(':').nth(3).filter(|region| !region.is_empty()).unwrap_or(account.own_region());
        Self { account: account.in_region(region), source: source.into(), rules, arn }
    }

    async fn publish(&self, build: &Build, notice: &Notice) -> Result<(), SinkError> {
        let part = |index: usize| build.arn.split(':').nth(index).unwrap_or_default();
        let message = json!({
            "version": "0",
            "id": notice.id,
            "detail-type": notice.detail_type,
            "source": self.source,
            "account": part(4),
            "time": notice.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": part(3),
            "resources": [build.arn],
            "detail": notice.detail,
        })
        .to_string();
        let what = notice.rule.trim_start_matches("codebuild-project-").replace('-', " ");
        let mut subject = format!("{}: {what}", build.project_name);
        subject.truncate(subject.floor_char_boundary(MAX_SUBJECT));
        let mut form = vec![
            ("Action", "Publish"),
            ("Version", "2010-03-31"),
            ("TopicArn", self.arn.as_str()),
            ("Subject", subject.as_str()),
            ("Message", message.as_str()),
        ];
        // Such a topic keeps the order of a build's events, and drops what comes twice.
        if self.arn.ends_with(".fifo") {
            form.extend([
                ("MessageGroupId", build.id.uuid()),
                ("MessageDeduplicationId", notice.id.as_str()),
            ]);
        }
        let sent = self.account.query(SNS, PUBLISH, &form).await;
        sent.map(drop).map_err(|error| SinkError::new(format!("{error} (topic {})", self.arn)))
    }
}

/// Whether an event is called so: by its name, or by words that its name ends with.
pub fn is_event(name: &str) -> bool {
    RULES.iter().any(|rule| is_named(rule, name))
}

fn is_named(rule: &str, name: &str) -> bool {
    rule.strip_suffix(name)
        .is_some_and(|before| !name.is_empty() && (before.is_empty() || before.ends_with('-')))
}

#[async_trait]
impl Sink for Topic {
    fn name(&self) -> &'static str {
        "sns"
    }

    fn wants(&self, _: &BuildRequest) -> bool {
        true
    }

    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), SinkError> {
        let mut taken = Vec::new();
        for event in delivery.page.events.iter().filter(|event| !delivery.taken.contains(&event.number)) {
            if let Some(notice) = notice(delivery.build, event)
                && self.rules.iter().any(|rule| is_named(notice.rule, rule))
            {
                if let Err(error) = self.publish(delivery.build, &notice).await {
                    return Err(error.but_for(taken));
                }
                taken.push(event.number);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_called_by_the_ends_of_their_names() {
        for name in [
            "failed",
            "state-failed",
            "in-progress",
            "phase-success",
            "codebuild-project-build-state-stopped",
        ] {
            assert!(is_event(name), "{name}");
        }
        for name in ["", "ailed", "state", "state-fail", "-failed", "xcodebuild-project-build-state-stopped"]
        {
            assert!(!is_event(name), "{name}");
        }
    }
}
