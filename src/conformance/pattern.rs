//! Texts and regular expressions, and where they are in a log.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, de};

/// A text that must be equal, or `/a regular expression/` that must be found.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// The whole text.
    Text(String),
    /// Found anywhere, unless anchored.
    Regex(Regex),
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn new(text: &str) -> Result<Self, regex::Error> {
        match text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            Some(expression) if !expression.is_empty() => Regex::new(expression).map(Self::Regex),
            _ => Ok(Self::Text(text.to_owned())),
        }
    }

    /// Whether a text is what was asked for; `{image}` in the pattern stands for the image.
    pub(super) fn matches(&self, text: &str, image: &str) -> bool {
        match self {
            Self::Text(wanted) if wanted.contains("{image}") => wanted.replace("{image}", image) == text,
            Self::Text(wanted) => wanted == text,
            Self::Regex(wanted) => wanted.is_match(text),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Regex(expression) => write!(formatter, "/{expression}/"),
        }
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Consecutive lines of a log, a pattern each.
#[derive(Clone, Debug)]
pub(super) struct Block(Vec<Pattern>);

impl Block {
    /// Reads a block: a line, a pattern.
    pub(super) fn new(text: &str) -> Result<Self, regex::Error> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        text.split('\n').map(Pattern::new).collect::<Result<_, _>>().map(Self)
    }

    /// The line behind the block's first place in these lines.
    pub(super) fn find<S: AsRef<str>>(&self, lines: &[S], image: &str) -> Option<usize> {
        lines
            .windows(self.0.len())
            .position(|window| {
                window.iter().zip(&self.0).all(|(line, pattern)| pattern.matches(line.as_ref(), image))
            })
            .map(|start| start + self.0.len())
    }
}

impl fmt::Display for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(Pattern::to_string).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The lines of a log, with the time of the agent's lines replaced by `<ts>`.
pub(super) fn normalised(log: &str) -> Vec<String> {
    const PREFIX: &str = "[Container] ";
    const TIME: &[u8] = b"0000/00/00 00:00:00.000000 ";
    let line = |line: &str| {
        let rest = line.strip_prefix(PREFIX)?;
        let (time, text) = rest.split_at_checked(TIME.len())?;
        let digits = time.bytes().zip(TIME).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            fixed => byte == *fixed,
        });
        digits.then(|| format!("{PREFIX}<ts> {text}"))
    };
    log.lines().map(|text| line(text).unwrap_or_else(|| text.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(block: &str, lines: &[&str]) -> Option<usize> {
        Block::new(block).unwrap().find(lines, "img")
    }

    #[test]
    fn a_text_is_the_whole_line_and_a_regex_is_found_in_it() {
        let matches = |pattern: &str, text: &str| Pattern::new(pattern).unwrap().matches(text, "img");
        assert!(matches("a", "a") && !matches("a", "ab") && !matches("a", " a"));
        assert!(matches("/^a/", "ab") && !matches("/^b/", "ab"));
        assert!(matches("/", "/") && matches("//", "//"), "too short for a regex");
        assert!(matches("on {image}", "on img") && !matches("on {image}", "on {image}"));
        assert!(Pattern::new("/(/").is_err());
    }

    #[test]
    fn a_block_is_consecutive_lines() {
        let lines = ["a", "", "b", "a", "b"];
        assert_eq!(find("a\nb\n", &lines), Some(5));
        assert_eq!(find("\nb", &lines), Some(3));
        assert_eq!(find("a\n/^$/\nb", &lines), Some(3));
        assert_eq!(find("b\nb", &lines), None);
        assert_eq!(find("a\n\nb\na\nb\nb", &lines), None, "longer than the log");
    }

    #[test]
    fn only_a_whole_time_of_an_agent_line_is_replaced() {
        let log = "[Container] 2026/01/31 23:59:59.123456 Entering phase BUILD\n\
                   [Container] 2026/01/31 23:59:59 old\n\
                   [Container] 2026/01/31 23:59:59.123456\n\
                   x [Container] 2026/01/31 23:59:59.123456 y\n\
                   [Container] 2026/01/31 23:59:59.123456  BUILD: 2 commands\n";
        assert_eq!(
            normalised(log),
            [
                "[Container] <ts> Entering phase BUILD",
                "[Container] 2026/01/31 23:59:59 old",
                "[Container] 2026/01/31 23:59:59.123456",
                "x [Container] 2026/01/31 23:59:59.123456 y",
                "[Container] <ts>  BUILD: 2 commands",
            ]
        );
    }
}
