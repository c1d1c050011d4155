//! The text of one report file, and where in it something went wrong.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use runspan_buildspec::ReportFormat;

use super::ReportError;

/// A report file, decoded.
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) format: ReportFormat,
    pub(super) text: &'a str,
}

impl Source<'_> {
    pub(super) fn malformed(&self, byte: usize, reason: impl ToString) -> ReportError {
        ReportError::Malformed {
            file: self.file.to_owned(),
            line: self.line(byte),
            byte,
            reason: reason.to_string(),
        }
    }

    pub(super) fn truncated(&self, inside: impl Into<String>) -> ReportError {
        let byte = self.text.len();
        ReportError::Truncated {
            file: self.file.to_owned(),
            line: self.line(byte),
            byte,
            inside: inside.into(),
        }
    }

    pub(super) fn wrong_format(&self, found: impl Into<String>) -> ReportError {
        ReportError::WrongFormat {
            file: self.file.to_owned(),
            format: self.format.name(),
            found: found.into(),
        }
    }

    /// A JSON error, with the byte found from serde_json's line and column.
    pub(super) fn json_error(&self, error: &serde_json::Error) -> ReportError {
        if error.is_eof() {
            return self.truncated("the JSON value");
        }
        let lines_before = error.line().saturating_sub(1);
        let line_start: usize = self.text.split_inclusive('\n').take(lines_before).map(str::len).sum();
        let byte = line_start + error.column().saturating_sub(1);
        if error.is_data() {
            return self.wrong_format(format!("{error} (byte {byte})"));
        }
        self.malformed(byte, error)
    }

    fn line(&self, byte: usize) -> usize {
        let before = self.text.as_bytes().get(..byte).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|&&b| b == b'\n').count()
    }
}

/// Text from a byte order mark, UTF-16 without one, the XML prolog's `encoding`, or UTF-8.
/// Bytes that do not decode become U+FFFD: one stray byte in a test's output must not cost the report.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let encoding = match bytes {
        _ if Encoding::for_bom(bytes).is_some() => UTF_8, // `decode` below obeys the mark.
        [b'<' | b'[' | b'{', 0, ..] => UTF_16LE,
        [0, b'<' | b'[' | b'{', ..] => UTF_16BE,
        _ => declared(bytes).unwrap_or(UTF_8),
    };
    encoding.decode(bytes).0
}

/// The prolog's `encoding`, when it can be true: one that calls itself UTF-16 in single bytes is not.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.strip_prefix(b"<?xml")?;
    let prolog = head.get(..200).unwrap_or(head);
    let prolog = std::str::from_utf8(prolog.split(|&b| b == b'>').next()?).ok()?;
    let value = prolog.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let label = value[1..].split(quote).next()?;
    Encoding::for_label(label.as_bytes()).filter(|e| *e != UTF_16LE && *e != UTF_16BE)
}
