//! The log of a build in CloudWatch Logs, as it grows.

mod batches;

use std::sync::Arc;

use async_trait::async_trait;
use runspan_engine::project::Switch;
use runspan_engine::request::BuildRequest;
use runspan_engine::sinks::{Delivery, Sink, SinkError};
use serde_json::{Value, json};

use self::batches::{Line, batches};
use crate::account::Account;
use crate::error::CallError;
use crate::permissions::{CREATE_LOG_GROUP, CREATE_LOG_STREAM, GET_LOG_EVENTS, PUT_LOG_EVENTS};
use crate::signed::Service;

/// Lines that may have arrived are looked for before they are sent again.
const LOGS: Service = Service::new("CloudWatch Logs", "logs", "Logs_20140328").once();

/// Follows a build's log.
#[derive(Debug)]
pub struct CloudWatchLogs(Arc<Account>);

impl CloudWatchLogs {
    /// Of this account.
    pub const fn new(account: Arc<Account>) -> Self {
        Self(account)
    }
}

#[async_trait]
impl Sink for CloudWatchLogs {
    fn name(&self) -> &'static str {
        "cloudwatch-logs"
    }

    fn wants(&self, request: &BuildRequest) -> bool {
        request.project.logs_config.cloud_watch_logs.status == Switch::Enabled
    }

    async fn deliver(&self, delivery: &Delivery<'_>) -> Result<(), SinkError> {
        let logs = &delivery.build.logs;
        let stream = Stream { account: &self.0, group: &logs.group_name, name: &logs.stream_name };
        let mut lines = batches::lines(delivery.page);
        if delivery.uncertain && delivery.page.from.log == 0 {
            stream.make().await?;
        }
        if delivery.uncertain {
            let there = stream.last_events(lines.len()).await?;
            lines.drain(..already_there(&lines, &there));
        } else if delivery.page.from.log == 0 {
            stream.make().await?;
        }
        for batch in batches(lines) {
            stream.put(batch).await?;
        }
        Ok(())
    }
}

/// How many of these lines are there: the longest beginning of theirs that is the end of what is.
fn already_there(lines: &[Line], there: &[Value]) -> usize {
    let is = |line: &Line, event: &Value| {
        event["timestamp"] == line.milliseconds && event["message"] == line.text.as_str()
    };
    (0..=lines.len().min(there.len()))
        .rev()
        .find(|count| {
            lines[..*count].iter().zip(&there[there.len() - count..]).all(|(line, event)| is(line, event))
        })
        .unwrap_or_default()
}

struct Stream<'a> {
    account: &'a Account,
    group: &'a str,
    name: &'a str,
}

impl Stream<'_> {
    /// Makes group and stream where they are not there.
    async fn make(&self) -> Result<(), SinkError> {
        match self.make_stream().await {
            Err(error) if error.code() == "ResourceNotFoundException" => {}
            result => return self.allow_existing(result),
        }
        let made = self.account.json(LOGS, CREATE_LOG_GROUP, &json!({ "logGroupName": self.group })).await;
        self.allow_existing(made)?;
        let made = self.make_stream().await;
        self.allow_existing(made)
    }

    async fn make_stream(&self) -> Result<Value, CallError> {
        let stream = json!({ "logGroupName": self.group, "logStreamName": self.name });
        self.account.json(LOGS, CREATE_LOG_STREAM, &stream).await
    }

    fn allow_existing(&self, result: Result<Value, CallError>) -> Result<(), SinkError> {
        match result {
            Err(error) if error.code() == "ResourceAlreadyExistsException" => Ok(()),
            result => result.map(drop).map_err(|error| self.failed(&error)),
        }
    }

    /// The newest events of the stream, in order.
    async fn last_events(&self, count: usize) -> Result<Vec<Value>, SinkError> {
        let ask = json!({
            "logGroupName": self.group,
            "logStreamName": self.name,
            "limit": count.clamp(1, 10_000),
            "startFromHead": false,
        });
        match self.account.json(LOGS, GET_LOG_EVENTS, &ask).await {
            Ok(mut answer) => match answer["events"].take() {
                Value::Array(events) => Ok(events),
                _ => Ok(Vec::new()),
            },
            Err(error) if error.code() == "ResourceNotFoundException" => Ok(Vec::new()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn put(&self, batch: Vec<Line>) -> Result<(), SinkError> {
        let events =
            batch.into_iter().map(|line| json!({ "timestamp": line.milliseconds, "message": line.text }));
        let put = json!({
            "logGroupName": self.group,
            "logStreamName": self.name,
            "logEvents": events.collect::<Vec<_>>(),
        });
        let put = self.account.json(LOGS, PUT_LOG_EVENTS, &put).await;
        put.map(drop).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &CallError) -> SinkError {
        SinkError::new(format!("{error} (log group {}, stream {})", self.group, self.name))
    }
}
