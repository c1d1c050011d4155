//! Chosen events as messages to an SNS topic.

use std::sync::Arc;

use async_trait::async_trait;
use runspan_engine::build::Build;
use runspan_engine::request::BuildRequest;
use runspan_engine::sinks::{Delivery, Sink, SinkError};
use serde_json::json;

use crate::account::Account;
use crate::detail::{Notice, notice};
use crate::permissions::PUBLISH;
use crate::signed::Service;

const SNS: Service = Service::new("SNS", "sns", "");
/// SNS takes no longer subject.
const MAX_SUBJECT: usize = 99;

/// Follows builds and publishes what was chosen.
#[derive(Debug)]
pub struct Topic {
    account: Arc<Account>,
    arn: String,
    source: String,
    rules: Vec<String>,
}

impl Topic {
    /// The events of these names, as in `codebuild-project-build-state-failed`; the end of a name is enough.
    pub fn new(
        account: Arc<Account>,
        arn: impl Into<String>,
        source: impl Into<String>,
        rules: Vec<String>,
    ) -> Self {
        Self { account, arn: arn.into(), source: source.into(), rules }
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
        let form = [
            ("Action", "Publish"),
            ("Version", "2010-03-31"),
            ("TopicArn", self.arn.as_str()),
            ("Subject", subject.as_str()),
            ("Message", message.as_str()),
        ];
        let sent = self.account.query(SNS, PUBLISH, &form).await;
        sent.map(drop).map_err(|error| SinkError(format!("{error} (topic {})", self.arn)))
    }
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
        for notice in delivery.page.events.iter().filter_map(|event| notice(delivery.build, event)) {
            if self.rules.iter().any(|rule| notice.rule.ends_with(rule.as_str())) {
                self.publish(delivery.build, &notice).await?;
            }
        }
        Ok(())
    }
}
