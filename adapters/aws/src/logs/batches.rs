//! Lines of a log as events, within the limits of one `PutLogEvents`.

use runspan_engine::sinks::{Page, log_times};

/// Bytes of one event's message; what CloudWatch adds counts as well.
const MAX_MESSAGE: usize = (256 << 10) - EVENT_COST;
/// Bytes of one batch.
const MAX_BYTES: usize = 1_048_576;
/// What each event costs beyond its message.
const EVENT_COST: usize = 26;
const MAX_EVENTS: usize = 10_000;
/// From the first to the last event of a batch, in milliseconds.
const MAX_SPAN: i64 = 24 * 60 * 60 * 1000 - 1;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) milliseconds: i64,
    pub(super) text: String,
}

/// The lines of a page. Each keeps its line break, as CodeBuild's do; a line that is too long becomes several.
pub(super) fn lines(page: &Page) -> Vec<Line> {
    let mut lines = Vec::new();
    for (time, bytes) in log_times(page) {
        let milliseconds = time.as_millisecond();
        let whole = String::from_utf8_lossy(bytes);
        let mut rest = whole.as_ref();
        while !rest.is_empty() {
            let (text, later) = rest.split_at(rest.floor_char_boundary(MAX_MESSAGE));
            lines.push(Line { milliseconds, text: text.to_owned() });
            rest = later;
        }
    }
    lines
}

/// The lines in order, cut into batches.
pub(super) fn batches(lines: Vec<Line>) -> Vec<Vec<Line>> {
    let mut all: Vec<Vec<Line>> = Vec::new();
    let mut bytes = 0;
    for line in lines {
        let cost = line.text.len() + EVENT_COST;
        match all.last_mut() {
            Some(batch)
                if bytes + cost <= MAX_BYTES
                    && batch.len() < MAX_EVENTS
                    && batch
                        .first()
                        .is_some_and(|first| line.milliseconds - first.milliseconds <= MAX_SPAN) =>
            {
                bytes += cost;
                batch.push(line);
            }
            _ => {
                bytes = cost;
                all.push(vec![line]);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(milliseconds: i64, bytes: usize) -> Line {
        Line { milliseconds, text: "x".repeat(bytes) }
    }

    #[test]
    fn no_batch_breaks_a_limit() {
        let sizes = |lines| batches(lines).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(vec![line(0, 1); MAX_EVENTS + 1]), [MAX_EVENTS, 1]);
        // 4 × (262118 + 26) are 1 MiB to the byte.
        assert_eq!(sizes(vec![line(0, MAX_MESSAGE); 5]), [4, 1]);
        assert_eq!(sizes(vec![line(0, 1), line(MAX_SPAN, 1), line(MAX_SPAN + 1, 1)]), [2, 1]);
        assert_eq!(sizes(Vec::new()), Vec::<usize>::new());
    }
}
