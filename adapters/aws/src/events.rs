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
        SinkError::new(format!("{error} (event bus {}, source {})", self.bus, self.source))
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
        let mut entries: Vec<(u64, Value)> = delivery
            .page
            .events
            .iter()
            .filter(|event| !delivery.taken.contains(&event.number))
            .filter_map(|event| Some((event.number, self.entry(&notice(build, event)?, &build.arn))))
            .collect();
        let (mut taken, mut failure) = (Vec::new(), None);
        while !entries.is_empty() {
            let (numbers, batch): (Vec<u64>, Vec<Value>) = entries.drain(..fitting(&entries)).unzip();
            match self.account.json(EVENTS, PUT_EVENTS, &json!({ "Entries": batch })).await {
                // Each entry is taken or refused by itself, and none keeps back the others.
                Ok(answer) => {
                    for (index, number) in numbers.into_iter().enumerate() {
                        match refusal(&answer["Entries"][index]) {
                            Some(refusal) => failure = Some(self.failed(&refusal)),
                            None => taken.push(number),
                        }
                    }
                }
                Err(error) => {
                    failure = Some(self.failed(&error));
                    break;
                }
            }
        }
        failure.map_or(Ok(()), |error| Err(error.but_for(taken)))
    }
}

/// Why an entry was not taken, if it was not.
fn refusal(entry: &Value) -> Option<String> {
    let code = entry["ErrorCode"].as_str()?;
    Some(format!("{code}: {}", entry["ErrorMessage"].as_str().unwrap_or_default()))
}

/// How many of these go into one request; the first always does.
fn fitting(entries: &[(u64, Value)]) -> usize {
    let mut bytes = 0;
    let fits = |(_, entry): &&(u64, Value)| {
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
        let entries = |count: usize, bytes: usize| vec![(0, Value::String("x".repeat(bytes - 2))); count];
        assert_eq!(fitting(&entries(11, 100)), 10);
        assert_eq!(fitting(&entries(10, 64 << 10)), 4);
        assert_eq!(fitting(&entries(2, 512 << 10)), 1);
    }
}
