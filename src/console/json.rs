//! `--json`: the log and the events of a build as one stream of JSON objects, one a line.

use jiff::Timestamp;
use runspan_agent_protocol::Sample;
use runspan_engine::Event;
use runspan_engine::build::BuildId;
use runspan_engine::journal::StoredEvent;
use serde::Serialize;

use super::follow::Sink;
use super::live::Live;
use super::output::Stdout;

/// A longer piece of a line is not waited for.
const LONGEST_PIECE: usize = 64 << 10;

#[derive(Serialize)]
struct LogLine<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    build: &'a BuildId,
    /// When it was read.
    time: Timestamp,
    text: &'a str,
}

#[derive(Serialize)]
struct EventLine<'a> {
    /// The id; the first and the last event have the whole record there.
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<&'a BuildId>,
    number: u64,
    time: Timestamp,
    #[serde(flatten)]
    event: &'a Event,
}

/// Log text in whole lines where possible, events between them where they happened.
pub(crate) struct JsonLines<W = Box<dyn FnMut(&[u8]) + Send>> {
    id: BuildId,
    pending: Vec<u8>,
    lines: Vec<u8>,
    write: W,
    live: Live,
}

impl JsonLines {
    /// On stdout.
    pub(crate) fn new(id: BuildId, live: Live) -> Self {
        let mut out = Stdout::new();
        let beside = live.clone();
        let write = Box::new(move |bytes: &[u8]| beside.aside(|| out.write(bytes)));
        Self { id, pending: Vec::new(), lines: Vec::new(), write, live }
    }
}

impl<W: FnMut(&[u8]) + Send> JsonLines<W> {
    /// Writes out log text: whole lines, and what cannot be waited for.
    fn cut(&mut self, all: bool) {
        let lines = self.pending.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let whole = if all {
            self.pending.len()
        } else if self.pending.len() - lines > LONGEST_PIECE {
            complete_characters(&self.pending)
        } else {
            lines
        };
        let pending = std::mem::take(&mut self.pending);
        let (ready, later) = pending.split_at(whole);
        let time = Timestamp::now();
        for line in ready.split_inclusive(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            put(&mut self.lines, &LogLine { kind: "log", build: &self.id, time, text: &text });
        }
        self.pending = later.to_vec();
    }
}

impl<W: FnMut(&[u8]) + Send> Sink for JsonLines<W> {
    fn log(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.cut(false);
        (self.write)(&std::mem::take(&mut self.lines));
    }

    fn event(&mut self, event: &StoredEvent) {
        self.live.event(event);
        // A sample says nothing of the text around it, so it tears no line.
        self.cut(!matches!(event.event, Event::Sample(Sample { .. })));
        let has_record = matches!(event.event, Event::Submitted { .. } | Event::Build { .. });
        let line = EventLine {
            build: (!has_record).then_some(&self.id),
            number: event.number,
            time: event.time,
            event: &event.event,
        };
        put(&mut self.lines, &line);
    }

    fn flush(&mut self) {
        (self.write)(&std::mem::take(&mut self.lines));
    }
}

/// Bytes up to a last character that is cut off.
fn complete_characters(bytes: &[u8]) -> usize {
    let length = |first: u8| match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    };
    let cut = (1..=bytes.len().min(3)).find(|back| bytes[bytes.len() - back] & 0xc0 != 0x80);
    match cut {
        Some(back) if length(bytes[bytes.len() - back]) > back => bytes.len() - back,
        _ => bytes.len(),
    }
}

fn put(lines: &mut Vec<u8>, value: &impl Serialize) {
    // Writing to memory does not fail, and every event was JSON before.
    if serde_json::to_writer(&mut *lines, value).is_ok() {
        lines.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use runspan_engine::lifecycle::PhaseType;
    use serde_json::{Value, json};

    use super::*;

    fn lines(feed: impl FnOnce(&mut dyn Sink)) -> Vec<Value> {
        let written = std::sync::Mutex::new(Vec::new());
        let mut sink = JsonLines {
            id: BuildId::from_text("web:1"),
            pending: Vec::new(),
            lines: Vec::new(),
            write: |bytes: &[u8]| written.lock().unwrap().extend_from_slice(bytes),
            live: Live::none(),
        };
        feed(&mut sink);
        sink.flush();
        drop(sink);
        let bytes = written.into_inner().unwrap();
        bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    fn stored(number: u64, event: Event) -> StoredEvent {
        StoredEvent { number, time: Timestamp::UNIX_EPOCH, log_offset: 0, event }
    }

    fn texts(lines: &[Value]) -> Vec<&str> {
        lines
            .iter()
            .map(|line| line["text"].as_str().unwrap_or_else(|| line["type"].as_str().unwrap()))
            .collect()
    }

    #[test]
    fn log_is_split_at_line_ends_and_events_stand_between() {
        let out = lines(|sink| {
            sink.log(b"one\ntw");
            sink.event(&stored(1, Event::Sample(Sample::default())));
            sink.log(b"o\nthr");
            sink.event(&stored(2, Event::PhaseStarted { phase: PhaseType::Build }));
            sink.log(b"ee\n");
        });
        assert_eq!(texts(&out), ["one\n", "sample", "two\n", "thr", "phase_started", "ee\n"]);
        assert_eq!(
            out[4],
            json!({"build": "web:1", "number": 2, "time": "1970-01-01T00:00:00Z",
                   "type": "phase_started", "phase": "BUILD"})
        );
        assert_eq!((&out[0]["type"], &out[0]["build"]), (&"log".into(), &"web:1".into()));
        assert!(out[0]["time"].is_string());
    }

    #[test]
    fn an_endless_line_comes_in_pieces_that_cut_no_character() {
        let text = "ä".repeat(LONGEST_PIECE);
        let out = lines(|sink| {
            for piece in text.as_bytes().chunks(1001) {
                sink.log(piece);
            }
            sink.event(&stored(1, Event::Resumed));
        });
        let together: String =
            out[..out.len() - 1].iter().map(|line| line["text"].as_str().unwrap()).collect();
        assert!(out.len() > 2);
        assert_eq!(together, text);
    }

    #[test]
    fn what_is_no_text_is_still_json() {
        let out = lines(|sink| sink.log(b"a\xff\xfe\0b\n"));
        assert_eq!(out[0]["text"], "a\u{fffd}\u{fffd}\0b\n");
    }
}
