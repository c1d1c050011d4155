//! What clients of CodeBuild ask of CloudWatch Logs: the log of a build is the stream with its uuid.

use runspan_engine::journal::{Order, Resource, Span, Stored};
use runspan_engine::sinks::{Page, log_times};
use serde_json::{Value, json};

use super::Input;
use crate::api::Api;
use crate::error::ApiError;
use crate::pages;

/// Events of one answer.
const MOST_EVENTS: usize = 10_000;
/// Text of one answer.
const MOST_BYTES: u64 = 1 << 20;
/// Text that is looked through for one answer when only some of it is wanted.
const MOST_READ: u64 = 32 << 20;
/// Streams that are looked through for one answer.
const MOST_STREAMS: u64 = 1000;
/// What every project's group begins with, unless the project says otherwise.
const PREFIX: &str = "/aws/codebuild/";

/// Part of a log.
struct Piece {
    events: Vec<LogEvent>,
    /// Where the first line begins.
    begin: u64,
    /// Where the last one ends.
    end: u64,
    /// Whether it was read to where the log ends by now.
    is_all: bool,
}

struct LogEvent {
    /// Where its line begins and ends in the log, whose bytes need not be text.
    at: u64,
    end: u64,
    time: i64,
    text: String,
}

/// Which lines.
struct Wanted {
    from: i64,
    until: i64,
    most: usize,
}

impl Wanted {
    fn of(input: &Input) -> Self {
        let time = |name: &str| input.number(name).and_then(|time| i64::try_from(time).ok());
        Self {
            from: time("startTime").unwrap_or_default(),
            until: time("endTime").unwrap_or(i64::MAX),
            most: input.number("limit").and_then(|most| usize::try_from(most).ok()).unwrap_or(MOST_EVENTS),
        }
    }
}

impl Api {
    pub(crate) fn get_log_events(&self, input: &Input) -> Result<Value, ApiError> {
        let group = group(input)?;
        let name = input.required("logStreamName");
        let stored = self.stream(group, name)?;
        let uuid = stored.build.id.uuid();
        let wanted = Wanted::of(input);
        let invalid = || ApiError::new("InvalidParameterException", "The specified nextToken is invalid.");
        let piece = match input.text("nextToken") {
            Some(token) => match token.split_once('/') {
                Some(("f", at)) => self.forward(uuid, at.parse().map_err(|_| invalid())?, &wanted)?,
                Some(("b", at)) => self.backward(uuid, at.parse().map_err(|_| invalid())?, &wanted)?,
                _ => return Err(invalid()),
            },
            None if input.flag("startFromHead") => self.forward(uuid, 0, &wanted)?,
            None => self.backward(uuid, self.journal.log_length(uuid)?.0, &wanted)?,
        };
        let events = piece.events.iter();
        let events: Vec<Value> = events
            .map(|event| json!({ "timestamp": event.time, "message": event.text, "ingestionTime": event.time }))
            .collect();
        Ok(json!({
            "events": events,
            // The same again while there is nothing more.
            "nextForwardToken": format!("f/{}", piece.end),
            "nextBackwardToken": format!("b/{}", piece.begin),
        }))
    }

    /// Lines of several builds, those of the oldest first.
    pub(crate) fn filter_log_events(&self, input: &Input) -> Result<Value, ApiError> {
        if input.text("filterPattern").is_some_and(|pattern| !pattern.trim().is_empty()) {
            return Err(ApiError::new(
                "InvalidParameterException",
                "filterPattern: this service looks for no patterns",
            ));
        }
        let group = group(input)?;
        let mut streams = self.streams(group)?;
        let names: Vec<&str> = input.texts("logStreamNames").collect();
        let prefix = input.text("logStreamNamePrefix").unwrap_or_default();
        streams.retain(|stored| {
            let name = stored.build.logs.stream_name.as_str();
            (names.is_empty() || names.contains(&name)) && name.starts_with(prefix)
        });
        streams.reverse();
        let mut wanted = Wanted::of(input);
        let token = input.text("nextToken").map(|token| {
            let text = pages::read(token)?;
            let (uuid, at) = text.split_once('/')?;
            Some((uuid.to_owned(), at.parse().ok()?))
        });
        let mut from = 0;
        if let Some(token) = token {
            let (uuid, at) = token.ok_or_else(|| {
                ApiError::new("InvalidParameterException", "The specified nextToken is invalid.")
            })?;
            let before = streams.iter().position(|stored| stored.build.id.uuid() == uuid);
            streams.drain(..before.unwrap_or(streams.len()));
            from = at;
        }
        let mut events = Vec::new();
        let mut next = None;
        for stored in &streams {
            let uuid = stored.build.id.uuid();
            let ended = stored.build.end_time.map_or(i64::MAX, |time| time.as_millisecond());
            // Nothing is written to a log after its build.
            let at = std::mem::take(&mut from);
            if ended < wanted.from {
                continue;
            }
            let piece = self.forward(uuid, at, &wanted)?;
            wanted.most -= piece.events.len();
            events.extend(piece.events.into_iter().map(|event| {
                json!({
                    "logStreamName": stored.build.logs.stream_name,
                    "timestamp": event.time,
                    "message": event.text,
                    "ingestionTime": event.time,
                    "eventId": format!("{uuid}/{}", event.at),
                })
            }));
            if !piece.is_all {
                next = Some(pages::token(&format!("{uuid}/{}", piece.end)));
                break;
            }
        }
        events.sort_by_key(|event| event["timestamp"].as_i64());
        let mut answer = json!({ "events": events, "searchedLogStreams": [] });
        if let Some(next) = next {
            answer["nextToken"] = next.into();
        }
        Ok(answer)
    }

    pub(crate) fn describe_log_streams(&self, input: &Input) -> Result<Value, ApiError> {
        let group = group(input)?;
        let prefix = input.text("logStreamNamePrefix").unwrap_or_default();
        let mut streams = self.streams(group)?;
        streams.retain(|stored| stored.build.logs.stream_name.starts_with(prefix));
        if input.text("orderBy") == Some("LastEventTime") {
            streams.sort_by_key(|stored| stored.build.end_time.unwrap_or(jiff::Timestamp::MAX));
        } else {
            streams.sort_by(|a, b| a.build.logs.stream_name.cmp(&b.build.logs.stream_name));
        }
        if input.flag("descending") {
            streams.reverse();
        }
        let described = streams.iter().map(|stored| {
            let (logs, begun) = (&stored.build.logs, stored.build.start_time.as_millisecond());
            let last = stored.build.end_time.unwrap_or_else(jiff::Timestamp::now).as_millisecond();
            json!({
                "logStreamName": logs.stream_name,
                "creationTime": begun,
                "firstEventTimestamp": begun,
                "lastEventTimestamp": last,
                "lastIngestionTime": last,
                "arn": self.stream_arn(&logs.group_name, &logs.stream_name),
                "storedBytes": 0,
            })
        });
        let from = input.text("nextToken").and_then(pages::read).and_then(|text| text.parse().ok());
        let span = Span {
            order: Order::Ascending,
            from: from.unwrap_or_default(),
            count: input.number("limit").unwrap_or(50),
        };
        Ok(pages::part("logStreams", described.collect(), span))
    }

    fn stream_arn(&self, group: &str, stream: &str) -> String {
        let account = runspan_engine::build::LOCAL_ACCOUNT;
        format!("arn:aws:logs:{}:{account}:log-group:{group}:log-stream:{stream}", self.settings.region)
    }

    fn stream(&self, group: &str, name: &str) -> Result<Stored, ApiError> {
        let uuid = name.rsplit('/').next().unwrap_or_default();
        // A shorter name would find any build that begins so.
        let stored = if uuid.len() == 36 { self.journal.find(uuid)? } else { None };
        stored
            .filter(|stored| stored.build.logs.group_name == group && stored.build.logs.stream_name == name)
            .ok_or_else(|| ApiError::not_found("The specified log stream does not exist."))
    }

    /// The builds of a group, the newest first.
    fn streams(&self, group: &str) -> Result<Vec<Stored>, ApiError> {
        let project = group.strip_prefix(PREFIX).filter(|name| !name.contains('/'));
        let most = usize::try_from(MOST_STREAMS).unwrap_or(usize::MAX);
        let mut all = self.journal.list(project, most)?;
        all.retain(|stored| stored.build.logs.group_name == group);
        let is_known = !all.is_empty()
            || match project {
                Some(name) => self.journal.resource(Resource::Project, name)?.is_some(),
                None => false,
            };
        if is_known { Ok(all) } else { Err(ApiError::not_found("The specified log group does not exist.")) }
    }

    /// Lines from a place in the log on.
    fn forward(&self, uuid: &str, from: u64, wanted: &Wanted) -> Result<Piece, ApiError> {
        let mut piece = Piece { events: Vec::new(), begin: from, end: from, is_all: false };
        let mut bytes = 0;
        let mut cursor = self.journal.cursor(uuid, from)?;
        loop {
            let page = Page::read(&self.journal, uuid, cursor)?;
            if page.log.is_empty() && page.from == page.to {
                piece.is_all = true;
                return Ok(piece);
            }
            for (time, line) in log_times(&page) {
                let (at, time) = (piece.end, time.as_millisecond());
                let is_wanted = (wanted.from..wanted.until).contains(&time);
                if is_wanted && (piece.events.len() >= wanted.most || bytes >= MOST_BYTES) {
                    return Ok(piece);
                }
                piece.end += line.len() as u64;
                if is_wanted {
                    bytes += line.len() as u64;
                    piece.events.push(LogEvent {
                        at,
                        end: piece.end,
                        time,
                        text: String::from_utf8_lossy(line).into_owned(),
                    });
                }
            }
            if piece.end - from >= MOST_READ {
                return Ok(piece);
            }
            cursor = page.to;
        }
    }

    /// The last lines before a place in the log.
    fn backward(&self, uuid: &str, until: u64, wanted: &Wanted) -> Result<Piece, ApiError> {
        let everything = Wanted { most: usize::MAX, ..*wanted };
        let mut from = until.saturating_sub(MOST_BYTES / 2);
        if from > 0 {
            // To where a line begins.
            let cursor = self.journal.cursor(uuid, from)?;
            let page = Page::read(&self.journal, uuid, cursor)?;
            from += page.log.iter().position(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
        }
        let mut piece = self.forward(uuid, from, &everything)?;
        piece.events.retain(|event| event.at < until);
        let more = piece.events.len().saturating_sub(wanted.most);
        piece.events.drain(..more);
        piece.begin = piece.events.first().map_or(from, |event| event.at);
        piece.end = piece.events.last().map_or(until, |event| event.end);
        Ok(piece)
    }
}

fn group(input: &Input) -> Result<&str, ApiError> {
    let named = input.text("logGroupName").or_else(|| {
        let identifier = input.text("logGroupIdentifier")?;
        Some(identifier.split_once(":log-group:").map_or(identifier, |(_, name)| name).trim_end_matches(":*"))
    });
    named.ok_or_else(|| ApiError::new("InvalidParameterException", "logGroupName: a name is needed"))
}
