//! Text as YAML that every reader, of YAML 1.1 or 1.2, takes for the same text.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use crate::syntax::single_quoted;

/// What some reader takes for a number, a date, a truth value or nothing.
static TYPED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?ix) ^ (?:
            ~ | null | y | n | yes | no | true | false | on | off | = | <<
          | [-+]? \.? [0-9] [0-9_]* (?: \. [0-9_]* )? (?: e [-+]? [0-9]+ )?
          | [-+]? 0 (?: b [01_]+ | o [0-7_]+ | x [0-9a-f_]+ )
          | [-+]? [0-9] [0-9_]* (?: : [0-5]? [0-9] )+ (?: \. [0-9_]* )?
          | [-+]? \. (?: inf | nan )
          | [0-9]{4} - [0-9]{1,2} - [0-9]{1,2} (?: (?: t | \s ) .* )?
        ) $",
    )
    .ok()
});

/// Text on one line: bare where that is safe, else in quotes.
pub(super) fn flow(text: &str) -> Cow<'_, str> {
    if !text.chars().all(|c| is_printable(c) && c != '\t') {
        return double_quoted(text).into();
    }
    if text.is_empty() {
        "\"\"".into()
    } else if is_plain(text) {
        text.into()
    } else if text.contains('\'') && !text.contains(['"', '\\']) {
        format!("\"{text}\"").into()
    } else {
        single_quoted(text).into()
    }
}

/// Text of several lines as a literal block: its header and its lines, where a block can hold it.
pub(super) fn block(text: &str) -> Option<(&'static str, std::str::Lines<'_>)> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let fits = body.contains('\n')
        && !body.starts_with([' ', '\t', '\n'])
        && body.chars().all(|c| is_printable(c) || c == '\n')
        && body.split('\n').all(|line| line.is_empty() || !line.trim().is_empty())
        // More line breaks at the end would run into what follows.
        && !body.ends_with('\n');
    fits.then(|| (if text.ends_with('\n') { "|" } else { "|-" }, body.lines()))
}

/// Lines by every line break that YAML has ever known.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    text.split(breaks).skip(usize::from(text.is_empty())).map(str::trim_end)
}

/// Whether a reader takes the character as it is.
pub(super) fn is_printable(c: char) -> bool {
    let breaks_or_marks = matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    c == '\t' || !(c.is_control() || breaks_or_marks)
}

fn is_plain(text: &str) -> bool {
    let mut chars = text.chars();
    let (first, second) = (chars.next(), chars.next());
    let opens = match first {
        Some('-' | '?' | ':') => second.is_some_and(|c| c != ' '),
        Some(first) => !first.is_whitespace() && !",[]{}#&*!|>'\"%@`".contains(first),
        None => false,
    };
    opens
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !text.ends_with(|c: char| c == ':' || c.is_whitespace())
        && !text.contains(": ")
        && !text.contains(" #")
        && TYPED.as_ref().is_some_and(|typed| !typed.is_match(text))
}

fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            c => match u32::from(c) {
                code @ ..0x100 => out.push_str(&format!("\\x{code:02x}")),
                code @ ..0x10000 => out.push_str(&format!("\\u{code:04x}")),
                code => out.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    out.push('"');
    out
}
