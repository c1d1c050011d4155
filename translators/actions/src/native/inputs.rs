//! What an action is given.

use indexmap::IndexMap;

use crate::translate::Lowered;

/// The entries of `with`; those not taken are told as left out.
pub(crate) struct Inputs<'a> {
    /// After the `@`.
    pub(crate) version: &'a str,
    entries: IndexMap<String, Lowered>,
    taken: Vec<String>,
    idle: Vec<(String, &'static str)>,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(version: &'a str, entries: impl IntoIterator<Item = (String, Lowered)>) -> Self {
        let entries = entries.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        Self { version, entries, taken: Vec::new(), idle: Vec::new() }
    }

    /// A value, if it is there and not empty.
    pub(crate) fn take(&mut self, name: &str) -> Option<Lowered> {
        let value = self.entries.get(name)?.clone();
        self.taken.push(name.to_owned());
        let empty = matches!(&value, Lowered::Known(value) if value.to_text().is_empty());
        (!empty).then_some(value)
    }

    /// A value inside double quotes.
    pub(crate) fn inside(&mut self, name: &str) -> Option<String> {
        self.take(name).map(|value| value.inside())
    }

    /// A value as a word of the shell.
    pub(crate) fn word(&mut self, name: &str) -> Option<String> {
        self.take(name).map(|value| value.word())
    }

    /// A value that does not depend on the build.
    pub(crate) fn known(&mut self, name: &str) -> Option<String> {
        match self.take(name) {
            Some(Lowered::Known(value)) => Some(value.to_text().to_string()),
            _ => None,
        }
    }

    /// A value as a place in the buildspec takes it, which is not the shell.
    pub(crate) fn plain(&mut self, name: &str) -> Option<String> {
        self.take(name).map(|value| match value {
            Lowered::Known(value) => value.to_text().to_string(),
            other => other.inside(),
        })
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str, otherwise: bool) -> bool {
        match self.known(name).as_deref() {
            Some("true" | "yes" | "1") => true,
            Some("false" | "no" | "0") => false,
            _ => otherwise,
        }
    }

    /// The lines of a value, without empty ones.
    pub(crate) fn lines(&mut self, name: &str) -> Vec<String> {
        let text = self.plain(name).unwrap_or_default();
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Names that need no counterpart, and why.
    pub(crate) fn idle(&mut self, names: &[&str], why: &'static str) {
        for name in names {
            if self.entries.contains_key(*name) {
                self.idle.push(((*name).to_owned(), why));
            }
        }
    }

    /// Whether a value was made use of; why not, if that is known.
    pub(crate) fn used(&self, name: &str) -> Result<(), Option<&'static str>> {
        let name = name.to_ascii_lowercase();
        if self.taken.contains(&name) {
            return Ok(());
        }
        Err(self.idle.iter().find(|(idle, _)| *idle == name).map(|(_, why)| *why))
    }
}
