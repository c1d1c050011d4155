//! Reading keys and values, and saying what is wrong with them.

use indexmap::IndexMap;
use runspan_buildspec::{
    Code, Diagnostic, Span, nearest, quoted,
    yaml::{Entry, Node, Scalar, ScalarKind, Value},
};

use super::{Field, Text, Variable};
use runspan_expressions::{Error, Scope, Template};

/// Diagnostics told of one file: nobody reads more.
const MOST: usize = 100;

pub(super) struct Reader<'s> {
    source: &'s str,
    diagnostics: Vec<Diagnostic>,
}

/// The keys of a map; each is taken once, what remains is unknown.
pub(super) struct Keys<'a> {
    path: String,
    known: Vec<&'static str>,
    entries: IndexMap<&'a str, &'a Entry>,
}

impl<'a> Keys<'a> {
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let entry = self.entries.shift_remove(key)?;
        Some(Field::at(&self.path, &entry.key, &entry.value))
    }
}

impl<'s> Reader<'s> {
    pub(super) const fn new(source: &'s str) -> Self {
        Self { source, diagnostics: Vec::new() }
    }

    pub(super) fn diagnostics(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|diagnostic| diagnostic.span.map(|span| span.start));
        let more = self.diagnostics.len().saturating_sub(MOST);
        if more > 0 {
            self.diagnostics.sort_by_key(|diagnostic| std::cmp::Reverse(diagnostic.severity()));
            self.diagnostics.truncate(MOST);
            self.say(Diagnostic::new(Code::MoreDiagnostics, format!("{more} more diagnostics of this file")));
        }
        self.diagnostics
    }

    pub(super) fn say(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub(super) fn wrong_type(&mut self, field: &Field<'_>, expected: &str) {
        let message = format!("{} must be {expected}, not {}", quoted(&field.path), field.node.kind());
        self.say(Diagnostic::new(Code::WrongType, message).at(field.place));
    }

    /// The keys of a map; none when it is none.
    pub(super) fn keys<'a>(&mut self, field: &Field<'a>, expected: &str) -> Keys<'a> {
        let entries = match &field.node.value {
            Value::Map(entries) => entries.iter().map(|entry| (entry.key.text.as_str(), entry)).collect(),
            Value::Null => IndexMap::new(),
            _ => {
                self.wrong_type(field, expected);
                IndexMap::new()
            }
        };
        Keys { path: field.path.clone(), known: Vec::new(), entries }
    }

    /// Says which keys were not taken.
    pub(super) fn unknown(&mut self, keys: Keys<'_>) {
        for (name, entry) in &keys.entries {
            let of = if keys.path.is_empty() { "the file".into() } else { quoted(&keys.path) };
            let message = format!("{} is not a key of {of}", quoted(name));
            let diagnostic = Diagnostic::new(Code::UnknownKey, message).at(entry.key.span);
            self.say(match nearest(name, keys.known.iter().copied()) {
                Some(known) => diagnostic.help(format!("did you mean `{known}`?")),
                None => diagnostic,
            });
        }
    }

    pub(super) fn missing(&mut self, place: Span, of: &str, key: &str) {
        let of = if of.contains(' ') { of.to_owned() } else { quoted(of) };
        let message = format!("{of} needs {key}");
        self.say(Diagnostic::new(Code::MissingKey, message).at(place));
    }

    /// A scalar with its expressions; nothing, told, when it is none.
    pub(super) fn text<'a>(&mut self, field: Field<'a>) -> Option<Text<'a>> {
        self.text_by(field, |text| Template::parse(text, Scope::STEP))
    }

    /// A condition, which may stand without `${{ }}`.
    pub(super) fn condition<'a>(&mut self, field: Field<'a>) -> Option<Text<'a>> {
        self.text_by(field, |text| Template::parse_condition(text, Scope::STEP))
    }

    fn text_by<'a>(
        &mut self,
        field: Field<'a>,
        parse: impl Fn(&str) -> Result<Template, Error>,
    ) -> Option<Text<'a>> {
        let (text, kind) = match &field.node.value {
            Value::Scalar(Scalar { text, kind }) => (text.as_str(), *kind),
            Value::Null => ("", ScalarKind::Text),
            _ => {
                self.wrong_type(&field, "text");
                return None;
            }
        };
        match parse(text) {
            Ok(template) => Some(Text { field, template, kind }),
            Err(error) => {
                let place = self.place(field.node, text, &error);
                let message = error.to_string();
                // GitHub repeats the whole expression, which the underlined text shows already.
                let message = message.split(" within expression: ").next().unwrap_or_default().to_owned();
                self.say(Diagnostic::new(Code::Expression, message).at(place));
                None
            }
        }
    }

    /// Where a fault of a scalar's text is in the file; the scalar itself when it cannot be told.
    fn place(&self, node: &Node, text: &str, error: &Error) -> Span {
        let start = node.span.start;
        let line_start = text[..error.span.start.min(text.len())].rfind('\n').map_or(0, |at| at + 1);
        let line = text[line_start..].lines().next().unwrap_or_default().trim();
        let within = text[line_start..].len() - text[line_start..].trim_start().len();
        // The line as it stands in the file, indented in whatever way.
        let found =
            (!line.is_empty()).then(|| self.source.get(start..).and_then(|rest| rest.find(line))).flatten();
        match found {
            Some(at) => {
                let from = start + at + error.span.start.saturating_sub(line_start + within);
                let length = error.span.len().max(1).min(line.len());
                Span::of(self.source, from..from + length)
            }
            None => node.span,
        }
    }

    /// Entries of a map of scalars.
    pub(super) fn variables<'a>(&mut self, field: &Field<'a>) -> Vec<Variable<'a>> {
        if !matches!(field.node.value, Value::Map(_) | Value::Null) {
            // `env: ${{ fromJSON(..) }}` is allowed; who uses it sees that it has no entries.
            if field.node.text().is_none_or(|text| !text.contains("${{")) {
                self.wrong_type(field, "a map");
            }
            return Vec::new();
        }
        let entries = field.entries();
        entries
            .into_iter()
            .filter_map(|(name, field)| Some(Variable { name: name.to_owned(), value: self.text(field)? }))
            .collect()
    }
}
