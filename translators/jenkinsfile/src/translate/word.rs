//! Values of Groovy as words of the shell.

use runspan_buildspec::shell::{double_quoted, quoted};

/// A text in which the shell expands some parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word(pub(super) Vec<Part>);

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text as it is.
    Literal(String),
    /// `${X}` or `$(command)`.
    Expand(String),
}

impl Word {
    pub(super) fn literal(text: impl Into<String>) -> Self {
        Self(vec![Part::Literal(text.into())])
    }

    pub(super) fn variable(name: &str) -> Self {
        Self(vec![Part::Expand(format!("${{{name}}}"))])
    }

    pub(super) fn command(command: &str) -> Self {
        // `$((` would be arithmetic.
        let gap = if command.starts_with('(') { " " } else { "" };
        Self(vec![Part::Expand(format!("$({gap}{command})"))])
    }

    pub(super) fn then(mut self, other: Self) -> Self {
        for part in other.0 {
            match (self.0.last_mut(), part) {
                (Some(Part::Literal(text)), Part::Literal(more)) => text.push_str(&more),
                (_, part) => self.0.push(part),
            }
        }
        self
    }

    pub(super) fn length(&self) -> usize {
        let of = |part: &Part| match part {
            Part::Literal(text) | Part::Expand(text) => text.len(),
        };
        self.0.iter().map(of).sum()
    }

    /// The text, when nothing is expanded in it.
    pub(super) fn constant(&self) -> Option<String> {
        self.0
            .iter()
            .map(|part| match part {
                Part::Literal(text) => Some(text.as_str()),
                Part::Expand(_) => None,
            })
            .collect()
    }

    /// The name of the variable that it is.
    pub(super) fn as_variable(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Expand(text)] => text.strip_prefix("${")?.strip_suffix('}').filter(|name| is_name(name)),
            _ => None,
        }
    }

    /// One word of a command.
    pub(super) fn argument(&self) -> String {
        if let Some(text) = self.constant() {
            return quoted(&text);
        }
        let mut out = String::from("\"");
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.push_str(&double_quoted(text)),
                Part::Expand(text) => out.push_str(text),
            }
        }
        out.push('"');
        out
    }

    /// What a script is that Groovy has put values into: where it has single quotes, they are left for a value.
    pub(super) fn script(&self) -> String {
        let mut out = String::new();
        let mut state = Quoting::None;
        // Whether the single quotes that were left for a value are still to be gone back into.
        let mut left = false;
        for part in &self.0 {
            match part {
                Part::Literal(text) => {
                    state = state.after(text);
                    match text.strip_prefix('\'') {
                        Some(rest) if left => out.push_str(rest),
                        _ => {
                            out.extend(left.then_some('\''));
                            out.push_str(text);
                        }
                    }
                    left = false;
                }
                Part::Expand(text) if state == Quoting::Single => {
                    if !left && !opened(&mut out) {
                        out.push('\'');
                    }
                    out.push('"');
                    out.push_str(text);
                    out.push('"');
                    left = true;
                }
                Part::Expand(text) => out.push_str(text),
            }
        }
        out.extend(left.then_some('\''));
        out
    }
}

/// Takes back a quote that was opened just before.
fn opened(script: &mut String) -> bool {
    // A quote behind a backslash, or behind another, is no opening one.
    let opened = script.ends_with('\'') && !script.ends_with("\\'") && !script.ends_with("''");
    if opened {
        script.pop();
    }
    opened
}

/// The quotes that the shell is in.
#[derive(Clone, Copy, PartialEq)]
enum Quoting {
    None,
    Single,
    Double,
}

impl Quoting {
    fn after(self, text: &str) -> Self {
        let mut state = self;
        let mut comment = false;
        let mut before = ' ';
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (state, c) {
                (_, '\n') => comment = false,
                (_, _) if comment => {}
                (Self::None, '#') if before.is_whitespace() => comment = true,
                (Self::None, '\'') => state = Self::Single,
                (Self::None, '"') => state = Self::Double,
                (Self::Single, '\'') | (Self::Double, '"') => state = Self::None,
                (Self::None | Self::Double, '\\') => drop(chars.next()),
                _ => {}
            }
            before = c;
        }
        state
    }
}

/// Whether a text can be the name of a variable of the shell.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && text.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
}
