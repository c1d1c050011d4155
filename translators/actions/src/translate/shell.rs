//! Values that the shell has while the build runs, and questions that it can answer.

use runspan_buildspec::shell::{double_quoted, quoted};

use runspan_expressions::Value;

/// What an expression is in a build.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Lowered {
    /// The same in every build.
    Known(Value),
    /// Text that the shell knows.
    Text(ShellText),
    /// Something that holds or not.
    Test(Test),
}

/// Text as it stands inside double quotes of the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShellText {
    /// Inside of the quotes.
    pub(crate) inside: String,
    /// It is `true` or something else, not text of any kind.
    pub(crate) boolean: bool,
}

/// A condition of the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Test {
    /// The condition.
    pub(crate) text: String,
    /// It is made of several.
    pub(crate) several: bool,
}

impl Test {
    /// One command.
    pub(crate) fn single(text: impl Into<String>) -> Self {
        Self { text: text.into(), several: false }
    }

    /// As part of a larger one.
    pub(crate) fn grouped(&self) -> String {
        if self.several { format!("{{ {}; }}", self.text) } else { self.text.clone() }
    }

    /// The opposite.
    pub(crate) fn negated(&self) -> Self {
        match self.text.strip_prefix("! ") {
            Some(inner) if !self.several => Self::single(inner),
            _ => Self::single(format!("! {}", self.grouped())),
        }
    }

    /// Several, joined by `&&` or `||`.
    pub(crate) fn joined(tests: &[Self], by: &str) -> Self {
        match tests {
            [only] => only.clone(),
            tests => Self {
                text: tests.iter().map(Self::grouped).collect::<Vec<_>>().join(&format!(" {by} ")),
                several: true,
            },
        }
    }
}

impl ShellText {
    /// A variable.
    pub(crate) fn variable(name: &str) -> Self {
        Self { inside: format!("${name}"), boolean: false }
    }

    /// Inside of quotes.
    pub(crate) fn new(inside: impl Into<String>) -> Self {
        Self { inside: inside.into(), boolean: false }
    }
}

impl Lowered {
    /// Bytes of its text.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Known(Value::String(text)) => text.len(),
            Self::Known(_) => 0,
            Self::Text(text) => text.inside.len(),
            Self::Test(test) => test.text.len(),
        }
    }

    /// Inside of double quotes.
    pub(crate) fn inside(&self) -> String {
        match self {
            Self::Known(value) => double_quoted(&value.to_text()),
            Self::Text(text) => text.inside.clone(),
            Self::Test(test) => format!("$(if {}; then echo true; else echo false; fi)", test.text),
        }
    }

    /// As words that stand in a command as they are.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Known(value) => value.to_text().split_whitespace().collect::<Vec<_>>().join(" "),
            other => other.inside(),
        }
    }

    /// As a word of the shell.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Known(value) => quoted(&value.to_text()),
            other => format!("\"{}\"", other.inside()),
        }
    }

    /// Whether it is taken for true.
    pub(crate) fn test(&self) -> Result<Test, bool> {
        match self {
            Self::Known(value) => Err(value.is_truthy()),
            Self::Text(text) if text.boolean => Ok(Test::single(format!("[ \"{}\" = true ]", text.inside))),
            Self::Text(text) => Ok(Test::single(format!("[ -n \"{}\" ]", text.inside))),
            Self::Test(test) => Ok(test.clone()),
        }
    }
}

/// Whether a shell can set a variable of that name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Letters, digits and underscores, in upper case.
pub(crate) fn variable_name(text: &str) -> String {
    let name: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let name = name.trim_matches('_');
    let name = &name[..name.len().min(60)];
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        format!("_{name}")
    } else {
        name.into()
    }
}

/// A variable followed by text, as it must stand so that the name ends where it ends.
pub(crate) fn joined(pieces: &[String]) -> String {
    let mut out = String::new();
    for (index, piece) in pieces.iter().enumerate() {
        let follows = pieces.get(index + 1).and_then(|next| next.chars().next());
        let name = piece
            .strip_prefix('$')
            .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        match name {
            Some(name) if follows.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') => {
                out.push_str(&format!("${{{name}}}"));
            }
            _ => out.push_str(piece),
        }
    }
    out
}
