//! The text forms of `on-failure`.

use std::{fmt, str::FromStr};

use crate::OnFailure;

/// Tries when `RETRY` gives no number.
const DEFAULT_TRIES: u8 = 3;
/// The most tries.
const MAX_TRIES: u8 = 100;

impl FromStr for OnFailure {
    type Err = String;

    /// The error says what is wrong, for people.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ABORT" => return Ok(Self::Abort),
            "CONTINUE" => return Ok(Self::Continue),
            "RETRY" => return Ok(Self::Retry { count: DEFAULT_TRIES, pattern: None }),
            _ => {}
        }
        let rest = text.strip_prefix("RETRY-").ok_or("it is none of ABORT, CONTINUE and RETRY")?;
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, pattern) = match (&rest[..digits], &rest[digits..]) {
            ("", pattern) => (None, Some(pattern)),
            (number, "") => (Some(number), None),
            (number, tail) => match tail.strip_prefix('-') {
                Some(pattern) => (Some(number), Some(pattern)),
                None => (None, Some(rest)),
            },
        };
        let count = match number {
            None => DEFAULT_TRIES,
            Some(number) => number
                .parse()
                .ok()
                .filter(|count| *count <= MAX_TRIES)
                .ok_or_else(|| format!("{number} tries: the number goes from 0 to {MAX_TRIES}"))?,
        };
        if let Some(pattern) = pattern {
            if pattern.is_empty() {
                return Err("the regular expression after the hyphen is empty".into());
            }
            regex::Regex::new(pattern).map_err(|error| {
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("its regular expression is not valid: {reason}")
            })?;
        }
        Ok(Self::Retry { count, pattern: pattern.map(str::to_owned) })
    }
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abort => f.write_str("ABORT"),
            Self::Continue => f.write_str("CONTINUE"),
            Self::Retry { count: DEFAULT_TRIES, pattern: None } => f.write_str("RETRY"),
            Self::Retry { count, pattern: None } => write!(f, "RETRY-{count}"),
            Self::Retry { count, pattern: Some(pattern) } => write!(f, "RETRY-{count}-{pattern}"),
        }
    }
}
