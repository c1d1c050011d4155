//! Problem matchers: lines of output that are remarks about files.

use std::collections::VecDeque;

use regex::Regex;
use runspan_agent_protocol::{Annotation, Level, MatcherChange};
use serde::{Deserialize, Serialize};

/// Annotations of one level that matchers find in one step.
const MOST: usize = 10;
/// A longer line is no message of a tool.
const LONGEST: usize = 64 << 10;
/// Bytes of the largest expression, compiled.
const LARGEST: usize = 1 << 20;

/// The matchers in effect; the newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Matchers(VecDeque<Matcher>);

#[derive(Clone, Debug, Deserialize, Serialize)]
struct File {
    #[serde(rename = "problemMatcher")]
    matchers: Vec<Matcher>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Matcher {
    owner: String,
    #[serde(default)]
    severity: Option<String>,
    #[serde(default, rename = "fromPath")]
    from_path: Option<String>,
    pattern: Vec<Pattern>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pattern {
    regexp: String,
    #[serde(default)]
    file: Option<usize>,
    #[serde(default)]
    line: Option<usize>,
    #[serde(default)]
    column: Option<usize>,
    #[serde(default)]
    severity: Option<usize>,
    #[serde(default)]
    code: Option<usize>,
    #[serde(default)]
    message: Option<usize>,
    #[serde(default, rename = "loop")]
    repeats: bool,
}

impl Matchers {
    /// Takes a change.
    ///
    /// # Errors
    /// What is wrong with the matchers that come.
    pub(crate) fn apply(&mut self, change: &MatcherChange) -> Result<(), String> {
        match change {
            MatcherChange::Remove(owner) => {
                self.0.retain(|matcher| !matcher.owner.eq_ignore_ascii_case(owner))
            }
            MatcherChange::Add(text) => {
                let file: File = serde_json::from_str(text)
                    .map_err(|error| format!("the problem matcher cannot be read: {error}"))?;
                for matcher in file.matchers {
                    matcher.check()?;
                    self.0.retain(|other| !other.owner.eq_ignore_ascii_case(&matcher.owner));
                    self.0.push_front(matcher);
                }
            }
        }
        Ok(())
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they find in these lines.
    pub(crate) fn find(&self, lines: impl Iterator<Item: AsRef<str>>) -> Vec<Annotation> {
        let mut running: Vec<Running> = self.0.iter().filter_map(Running::new).collect();
        let mut found: Vec<Annotation> = Vec::new();
        for line in lines.filter(|line| line.as_ref().len() <= LONGEST) {
            let line = without_colours(line.as_ref());
            for matcher in &mut running {
                if let Some(annotation) = matcher.line(&line) {
                    if found.iter().filter(|other| other.level == annotation.level).count() < MOST {
                        found.push(annotation);
                    }
                    break;
                }
            }
        }
        found
    }
}

impl Matcher {
    fn check(&self) -> Result<(), String> {
        let owner = &self.owner;
        let last =
            self.pattern.last().ok_or_else(|| format!("the problem matcher `{owner}` has no pattern"))?;
        if owner.is_empty() {
            return Err("a problem matcher needs an `owner`".into());
        }
        if last.message.is_none() {
            return Err(format!("the last pattern of the problem matcher `{owner}` needs a `message`"));
        }
        for pattern in &self.pattern {
            compile(&pattern.regexp).map_err(|error| format!("the problem matcher `{owner}`: {error}"))?;
        }
        Ok(())
    }
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    regex::RegexBuilder::new(pattern).size_limit(LARGEST).build()
}

/// A matcher on its way through lines.
struct Running<'a> {
    matcher: &'a Matcher,
    patterns: Vec<Regex>,
    /// The pattern that the next line must match.
    next: usize,
    parts: Parts,
}

/// What the patterns so far have found.
#[derive(Clone, Default)]
struct Parts {
    file: Option<String>,
    line: Option<String>,
    column: Option<String>,
    severity: Option<String>,
    code: Option<String>,
    message: Option<String>,
}

impl<'a> Running<'a> {
    fn new(matcher: &'a Matcher) -> Option<Self> {
        let patterns =
            matcher.pattern.iter().map(|pattern| compile(&pattern.regexp)).collect::<Result<_, _>>();
        Some(Self { matcher, patterns: patterns.ok()?, next: 0, parts: Parts::default() })
    }

    fn line(&mut self, line: &str) -> Option<Annotation> {
        let last = self.patterns.len() - 1;
        let Some(groups) = self.patterns[self.next].captures(line) else {
            let began = self.next > 0;
            (self.next, self.parts) = (0, Parts::default());
            // A line that ends one message may begin the next.
            return if began { self.line(line) } else { None };
        };
        let pattern = &self.matcher.pattern[self.next];
        let group = |index: Option<usize>| {
            let text = groups.get(index?)?.as_str().trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let parts = &mut self.parts;
        for (part, index) in [
            (&mut parts.file, pattern.file),
            (&mut parts.line, pattern.line),
            (&mut parts.column, pattern.column),
            (&mut parts.severity, pattern.severity),
            (&mut parts.code, pattern.code),
            (&mut parts.message, pattern.message),
        ] {
            if let Some(text) = group(index) {
                *part = Some(text);
            }
        }
        if self.next < last {
            self.next += 1;
            return None;
        }
        let parts = self.parts.clone();
        if !pattern.repeats {
            (self.next, self.parts) = (0, Parts::default());
        }
        self.annotation(parts)
    }

    fn annotation(&self, parts: Parts) -> Option<Annotation> {
        let severity =
            parts.severity.or_else(|| self.matcher.severity.clone()).unwrap_or_else(|| "error".into());
        let level = match severity.to_ascii_lowercase().as_str() {
            "error" | "fatal" => Level::Error,
            "warning" | "warn" => Level::Warning,
            "notice" | "info" => Level::Notice,
            _ => return None,
        };
        let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let file = parts.file.map(|file| match &self.matcher.from_path {
            Some(from) if !file.starts_with('/') => {
                let directory = from.rsplit_once('/').map_or("", |(directory, _)| directory);
                if directory.is_empty() { file } else { format!("{directory}/{file}") }
            }
            _ => file,
        });
        Some(Annotation {
            level,
            message: parts.message?,
            title: parts.code,
            file,
            line: number(parts.line),
            column: number(parts.column),
            ..Annotation::default()
        })
    }
}

/// The line without what terminals take for colours.
fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';' && c != '?');
        rest = end.map_or("", |end| &after[end + after[end..].chars().next().map_or(0, char::len_utf8)..]);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Matchers {
        let mut matchers = Matchers::default();
        matchers.apply(&MatcherChange::Add(text.into())).unwrap();
        matchers
    }

    const GCC: &str = r#"{"problemMatcher":[{"owner":"gcc","pattern":[{"regexp":"^(.+?):(\\d+):(\\d+): (warning|error): (.+)$",
        "file":1,"line":2,"column":3,"severity":4,"message":5}]}]}"#;
    const ESLINT: &str = r#"{"problemMatcher":[{"owner":"eslint","pattern":[{"regexp":"^([^\\s].*)$","file":1},
        {"regexp":"^\\s+(\\d+):(\\d+)\\s+(error|warning)\\s+(.*?)\\s\\s+(.*)$","line":1,"column":2,"severity":3,"message":4,"code":5,"loop":true}]}]}"#;

    #[test]
    fn one_line_is_one_remark() {
        let found = with(GCC).find("x\n\u{1b}[31ma.c:3:7: error: no\u{1b}[0m\na.c:x".lines());
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!(
            (one.file.as_deref(), one.line, one.column, one.message.as_str()),
            (Some("a.c"), Some(3), Some(7), "no")
        );
    }

    #[test]
    fn a_loop_goes_on_until_a_line_that_does_not_match() {
        let text = "a.js\n  1:2  error  bad  semi\n  3:4  warning  odd  eqeqeq\nb.js\n  5:6  error  worse  x";
        let found = with(ESLINT).find(text.lines());
        let seen: Vec<_> =
            found.iter().map(|one| (one.file.as_deref().unwrap(), one.line.unwrap(), one.level)).collect();
        assert_eq!(seen, [("a.js", 1, Level::Error), ("a.js", 3, Level::Warning), ("b.js", 5, Level::Error)]);
        assert_eq!(found[0].title.as_deref(), Some("semi"));
    }

    #[test]
    fn matchers_replace_each_other_and_go() {
        let mut matchers = with(GCC);
        matchers.apply(&MatcherChange::Add(GCC.into())).unwrap();
        assert_eq!(matchers.find("a.c:3:7: error: no".lines()).len(), 1);
        matchers.apply(&MatcherChange::Remove("GCC".into())).unwrap();
        assert!(matchers.is_empty());
        for text in [
            "{",
            r#"{"problemMatcher":[{"owner":"x","pattern":[]}]}"#,
            r#"{"problemMatcher":[{"owner":"x","pattern":[{"regexp":"(","message":1}]}]}"#,
        ] {
            assert!(matchers.apply(&MatcherChange::Add(text.into())).is_err(), "{text}");
        }
    }
}
