//! The log of a build in CloudWatch Logs, as it grows.

mod batches;

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::{InputLogEvent, OutputLogEvent};
use runspan_engine::project::Switch;
use runspan_engine::request::BuildRequest;
use runspan_engine::sinks::{Delivery, Sink, SinkError};

use self::batches::{Line, batches};
use crate::account::Account;
use crate::error::CallError;
use crate::permissions::{CREATE_LOG_GROUP, CREATE_LOG_STREAM, GET_LOG_EVENTS, PUT_LOG_EVENTS};

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
        let stream = Stream { client: self.0.logs().await, group: &logs.group_name, name: &logs.stream_name };
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
fn already_there(lines: &[Line], there: &[OutputLogEvent]) -> usize {
    let is = |line: &Line, event: &OutputLogEvent| {
        event.timestamp == Some(line.milliseconds) && event.message.as_deref() == Some(line.text.as_str())
    };
    (0..=lines.len().min(there.len()))
        .rev()
        .find(|count| {
            lines[..*count].iter().zip(&there[there.len() - count..]).all(|(line, event)| is(line, event))
        })
        .unwrap_or_default()
}

struct Stream<'a> {
    client: &'a Client,
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
        let made = self.client.create_log_group().log_group_name(self.group).send().await;
        self.allow_existing(made.map(drop).map_err(|error| CallError::of(&error, CREATE_LOG_GROUP)))?;
        let made = self.make_stream().await;
        self.allow_existing(made)
    }

    async fn make_stream(&self) -> Result<(), CallError> {
        let make = self.client.create_log_stream().log_group_name(self.group).log_stream_name(self.name);
        make.send().await.map(drop).map_err(|error| CallError::of(&error, CREATE_LOG_STREAM))
    }

    fn allow_existing(&self, result: Result<(), CallError>) -> Result<(), SinkError> {
        match result {
            Err(error) if error.code() == "ResourceAlreadyExistsException" => Ok(()),
            result => result.map_err(|error| self.failed(&error)),
        }
    }

    /// The newest events of the stream, in order.
    async fn last_events(&self, count: usize) -> Result<Vec<OutputLogEvent>, SinkError> {
        let limit = i32::try_from(count.clamp(1, 10_000)).unwrap_or(10_000);
        let ask = self.client.get_log_events().log_group_name(self.group).log_stream_name(self.name);
        match ask.limit(limit).start_from_head(false).send().await {
            Ok(answer) => Ok(answer.events.unwrap_or_default()),
            Err(error) => match CallError::of(&error, GET_LOG_EVENTS) {
                error if error.code() == "ResourceNotFoundException" => Ok(Vec::new()),
                error => Err(self.failed(&error)),
            },
        }
    }

    async fn put(&self, batch: Vec<Line>) -> Result<(), SinkError> {
        let events = batch
            .into_iter()
            .map(|line| InputLogEvent::builder().timestamp(line.milliseconds).message(line.text).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| SinkError(error.to_string()))?;
        let put = self.client.put_log_events().log_group_name(self.group).log_stream_name(self.name);
        put.set_log_events(Some(events))
            .send()
            .await
            .map(drop)
            .map_err(|error| self.failed(&CallError::of(&error, PUT_LOG_EVENTS)))
    }

    fn failed(&self, error: &CallError) -> SinkError {
        SinkError(format!("{error} (log group {}, stream {})", self.group, self.name))
    }
}
