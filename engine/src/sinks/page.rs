//! A part of a build's journal: log text and events in the order they happened in.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::Cursor;
use crate::event::Event;
use crate::journal::{Journal, JournalError, StoredEvent};

/// Log text of one page.
const MAX_LOG: u64 = 512 << 10;
/// Lines of one page. Sinks whose requests are limited can take a page with one.
const MAX_LINES: usize = 8000;
/// A longer line is not waited for.
const LONGEST_LINE: usize = 64 << 10;

/// What happened between two cursors.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it begins.
    pub from: Cursor,
    /// Where it ends.
    pub to: Cursor,
    /// The log between them.
    pub log: Vec<u8>,
    /// The events between them; each knows how long the log was.
    pub events: Vec<StoredEvent>,
    /// Nothing will follow.
    pub last: bool,
    /// When the log was written that stands before the first event of the page.
    pub time: Timestamp,
}

impl Page {
    /// Reads what follows a cursor, as far as it is committed.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn read(journal: &Journal, uuid: &str, from: Cursor) -> Result<Self, JournalError> {
        let (committed, started) = journal.log_length(uuid)?;
        let mut events = journal.events(uuid, from.events)?;
        let is_all = events.len() < 1000;
        let mut until =
            if is_all { committed } else { events.last().map_or(from.log, |last| last.log_offset) };
        // An event that was written since the length was read may lie behind it.
        until = until.min(from.log + MAX_LOG).max(from.log);
        let mut log = read_log(journal, uuid, from.log, until)?;
        let end = log.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(MAX_LINES - 1);
        let end = end.map_or(log.len(), |(at, _)| at + 1);
        log.truncate(end);
        let is_over = events.iter().any(|event| matches!(event.event, Event::Build { .. }));
        if !(is_over && from.log + log.len() as u64 == committed) {
            // The rest of a line comes with the line.
            let lines = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            log.truncate(if log.len() - lines < LONGEST_LINE { lines } else { whole_characters(&log) });
        }
        until = from.log + log.len() as u64;
        events.retain(|event| event.log_offset <= until);
        let time = journal.event_time(uuid, from.events)?.unwrap_or(started);
        let last = until == committed
            && events.last().is_some_and(|event| matches!(event.event, Event::Build { .. }));
        let to = Cursor { log: until, events: events.last().map_or(from.events, |event| event.number) };
        Ok(Self { from, to, log, events, last, time })
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }
}

fn read_log(journal: &Journal, uuid: &str, from: u64, until: u64) -> Result<Vec<u8>, JournalError> {
    let path = journal.home().build(uuid).log();
    let read = || -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(from))?;
        file.take(until - from).read_to_end(&mut text)?;
        Ok(text)
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result.map_err(|source| JournalError::File { path: path.display().to_string(), source }),
    }
}

/// The length without a character at the end that the cut has parted.
fn whole_characters(text: &[u8]) -> usize {
    let tail = text.len().saturating_sub(3);
    let first = text[tail..].iter().rposition(|byte| byte & 0xc0 != 0x80).map(|at| tail + at);
    match first {
        Some(first)
            if std::str::from_utf8(&text[first..]).is_err_and(|error| error.error_len().is_none()) =>
        {
            first
        }
        _ => text.len(),
    }
}

/// The lines of a page with the time of each, never going back: that of the line itself where the agent wrote it, else
/// that of the line or event before it.
pub fn log_times(page: &Page) -> Vec<(Timestamp, &[u8])> {
    let mut events = page.events.iter().peekable();
    let (mut now, mut offset) = (page.time, page.from.log);
    page.log
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| {
            while let Some(event) = events.next_if(|event| event.log_offset <= offset) {
                now = now.max(event.time);
            }
            if let Some(time) = written(line) {
                now = now.max(time);
            }
            offset += line.len() as u64;
            (now, line)
        })
        .collect()
}

/// The time in `[Container] 2026/01/01 12:00:00.000000 …`.
fn written(line: &[u8]) -> Option<Timestamp> {
    let rest = line.strip_prefix(b"[Container] ")?;
    let text = std::str::from_utf8(rest.get(..26)?).ok()?;
    let time = DateTime::strptime("%Y/%m/%d %H:%M:%S%.f", text).ok()?;
    time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_parted() {
        let whole = |text: &[u8]| whole_characters(text);
        let euros = "a€€".as_bytes();
        assert_eq!([5, 6, 7].map(|length| whole(&euros[..length])), [4, 4, 7]);
        assert_eq!(whole("😀".as_bytes()), 4);
        assert_eq!(whole(&"a😀".as_bytes()[..4]), 1);
        // What is no text stays what it is.
        assert_eq!((whole(b"ab\xff"), whole(b"\x80\x80\x80\x80"), whole(b"")), (3, 4, 0));
    }

    #[test]
    fn every_line_has_a_time_and_none_goes_back() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let text = "early\n[Container] 2026/01/01 12:00:02.500000 Running\nout\nlate\n[Container] 2026/01/01 11:00:00.000000 x\n";
        let event =
            |log_offset, time| StoredEvent { number: 1, time: at(time), log_offset, event: Event::Resumed };
        let page = Page {
            from: Cursor { log: 100, events: 0 },
            to: Cursor::default(),
            log: text.into(),
            events: vec![event(100 + 6 + 51, "2026-01-01T12:00:05Z"), event(10_000, "2026-01-01T13:00:00Z")],
            last: false,
            time: at("2026-01-01T12:00:01Z"),
        };
        let seconds: Vec<i64> = log_times(&page)
            .iter()
            .map(|(time, _)| time.as_second() - at("2026-01-01T12:00:00Z").as_second())
            .collect();
        assert_eq!(seconds, [1, 2, 2, 5, 5]);
    }
}
