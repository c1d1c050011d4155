//! State and phase changes on an event bus.

use std::sync::Arc;

use async_trait::async_trait;
use runspan_engine::request::BuildRequest;
use runspan_engine::sinks::{Delivery, Sink, SinkError};
use serde_json::{Value, json};

use crate::account::Account;
use crate::detail::{Notice, notice};
use crate::permissions::PUT_EVENTS;
use crate::signed::Service;

const EVENTS: Service = Service::new("EventBridge", "events", "AWSEvents");
const MAX_ENTRIES: usize = 10;
/// Bytes of all entries of one request.
const MAX_BYTES: usize = 256 << 10;

/// Follows builds and puts their events on a bus.
#[derive(Debug)]
pub struct EventBridge {
    account: Arc<Account>,
    bus: String,
    source: String,
}

impl EventBridge {
    /// On this bus, as this source. AWS takes `aws.codebuild` from nobody but itself.
    pub fn new(account: Arc<Account>, bus: impl Into<String>, source: impl Into<String>) -> Self {
        Self { account, bus: bus.into(), source: source.into() }
    }

    fn entry(&self, notice: &Notice, arn: &str) -> Value {
        json!({
            "Time": notice.time.as_second(),
            "Source": self.source,
            "DetailType": notice.detail_type,
            "Detail": notice.detail.to_string(),
            "Resources": [arn],
            "EventBusName": self.bus,
        })
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> SinkError {
        SinkError(format!("{error} (event bus {}, source {})", self.bus, self.source))
    }
}

#[async_trait]
impl Sink for EventBridge {
    fn name(&self) -> &'static str {
        "eventbridge"
    }

    fn wants(&self, _: &BuildRequest) -> bool {
        true
    }

    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), SinkError> {
        let build = delivery.build;
        let mut entries: Vec<Value> = delivery
            .page
            .events
            .iter()
            .filter_map(|event| notice(build, event))
            .map(|notice| self.entry(&notice, &build.arn))
            .collect();
        while !entries.is_empty() {
            let batch: Vec<Value> = entries.drain(..fitting(&entries)).collect();
            let body = json!({ "Entries": batch });
            let answer =
                self.account.json(EVENTS, PUT_EVENTS, &body).await.map_err(|error| self.failed(&error))?;
            let refused = answer["Entries"]
                .as_array()
                .and_then(|entries| entries.iter().find(|entry| entry["ErrorCode"].is_string()));
            if let Some(refused) = refused {
                return Err(self.failed(&format!(
                    "{}: {}",
                    refused["ErrorCode"].as_str().unwrap_or_default(),
                    refused["ErrorMessage"].as_str().unwrap_or_default()
                )));
            }
        }
        Ok(())
    }
}

/// How many of these go into one request; the first always does.
fn fitting(entries: &[Value]) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&Value| {
        bytes += entry.to_string().len();
        bytes <= MAX_BYTES
    };
    entries.iter().take(MAX_ENTRIES).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_breaks_a_limit() {
        let entries = |count: usize, bytes: usize| vec![Value::String("x".repeat(bytes - 2)); count];
        assert_eq!(fitting(&entries(11, 100)), 10);
        assert_eq!(fitting(&entries(10, 64 << 10)), 4);
        assert_eq!(fitting(&entries(2, 512 << 10)), 1);
    }
}
