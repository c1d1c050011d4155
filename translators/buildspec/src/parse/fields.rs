//! Reading keys and values of the tree, and saying what is wrong with them.

use std::cmp::Reverse;

use indexmap::IndexMap;

use crate::{
    Code, Diagnostic, Span,
    diagnostic::quoted,
    suggest::nearest,
    yaml::{Entry, Key, Node, Value},
};

/// Diagnostics told of one file, the worst first kept: nobody reads more.
const MOST: usize = 100;

/// Sorts diagnostics by their place, and cuts what is too many.
pub(crate) fn in_order(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let more = diagnostics.len().saturating_sub(MOST);
    if more > 0 {
        diagnostics.sort_by_key(|diagnostic| Reverse(diagnostic.severity()));
        diagnostics.truncate(MOST);
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.map(|span| span.start));
    if more > 0 {
        diagnostics
            .push(Diagnostic::new(Code::MoreDiagnostics, format!("{more} more diagnostics of this file")));
    }
    diagnostics
}

/// Collects diagnostics while the tree is read.
pub(crate) struct Decoder<'a> {
    pub(crate) source: &'a str,
    diagnostics: Vec<Diagnostic>,
}

/// A value with the way to it.
pub(crate) struct Field<'a> {
    /// Such as `phases.build.commands[2]`; empty for the whole file.
    pub(crate) path: String,
    /// Its key, when it stands in a map.
    pub(crate) key: Option<&'a Key>,
    pub(crate) node: &'a Node,
}

impl Field<'_> {
    /// The text to underline: a scalar itself, of anything larger its key.
    pub(crate) fn place(&self) -> Span {
        match (&self.node.value, self.key) {
            (Value::Scalar(_), _) | (_, None) => self.node.span,
            (_, Some(key)) => key.span,
        }
    }

    /// For messages.
    pub(crate) fn name(&self) -> String {
        if self.path.is_empty() { "the buildspec".into() } else { quoted(&self.path) }
    }

    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }
}

/// The keys of a map; each is taken once, what remains is unknown.
pub(crate) struct Fields<'a> {
    path: String,
    place: Span,
    known: Vec<&'static str>,
    entries: IndexMap<&'a str, &'a Entry>,
}

impl<'a> Fields<'a> {
    /// The value of a key, if it is there.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let entry = self.entries.shift_remove(key)?;
        Some(self.field(entry))
    }

    /// Whether no key is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a key that was not taken is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Every key that was not taken.
    pub(crate) fn rest(self) -> Vec<Field<'a>> {
        self.entries.values().map(|entry| self.field(entry)).collect()
    }

    /// Where the map is, for what is missing in it.
    pub(crate) const fn place(&self) -> Span {
        self.place
    }

    fn field(&self, entry: &'a Entry) -> Field<'a> {
        let key = &entry.key;
        let path =
            if self.path.is_empty() { key.text.clone() } else { format!("{}.{}", self.path, key.text) };
        Field { path, key: Some(key), node: &entry.value }
    }
}

/// Where keys belong that are often put elsewhere.
const HOMES: &[(&str, &[&str])] = &[
    (
        "at the top of the file",
        &["version", "env", "proxy", "batch", "phases", "reports", "artifacts", "cache"],
    ),
    ("in `phases`", &["install", "pre_build", "build", "post_build"]),
    ("in a phase, such as `phases.build`", &["commands", "finally", "steps", "on-failure"]),
    ("in `phases.install`", &["runtime-versions"]),
    (
        "in `env`",
        &[
            "shell",
            "variables",
            "parameter-store",
            "secrets-manager",
            "exported-variables",
            "git-credential-helper",
        ],
    ),
    ("in `batch`", &["fast-fail", "build-list", "build-graph", "build-matrix", "build-fanout"]),
    (
        "in `env` of a batch build; for a single build the project sets it",
        &["compute-type", "image", "fleet", "privileged-mode"],
    ),
    ("in `artifacts`", &["secondary-artifacts", "exclude-paths", "enable-symlinks", "s3-prefix"]),
    ("in `cache`", &["paths", "fallback-keys"]),
    ("in a report group of `reports`", &["file-format"]),
];

/// Where the key belongs, if it is a key at all.
pub(crate) fn home(key: &str) -> Option<&'static str> {
    HOMES.iter().find(|(_, keys)| keys.contains(&key)).map(|(home, _)| *home)
}

impl<'a> Decoder<'a> {
    pub(crate) const fn new(source: &'a str) -> Self {
        Self { source, diagnostics: Vec::new() }
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Every diagnostic, in the order of the file.
    pub(crate) fn finish(self) -> Vec<Diagnostic> {
        in_order(self.diagnostics)
    }

    /// Warns of tags, which say nothing in a buildspec.
    pub(crate) fn tags(&mut self, node: &Node) {
        if let Some(tag) = &node.tag {
            self.report(
                Diagnostic::new(Code::IgnoredTag, format!("the tag {} is ignored", quoted(tag)))
                    .at(node.span)
                    .label("taken as it stands")
                    .help("a buildspec file is not a template: put the value here, or quote text that begins with `!`"),
            );
        }
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| self.tags(item)),
            Value::Map(entries) => entries.iter().for_each(|entry| self.tags(&entry.value)),
            Value::Null | Value::Scalar(_) => {}
        }
    }

    pub(crate) fn wrong_type(&mut self, field: &Field<'a>, wanted: &str) {
        let kind = field.node.kind();
        self.report(
            Diagnostic::new(Code::WrongType, format!("{} must be {wanted}, this is {kind}", field.name()))
                .at(field.place())
                .label(format!("{kind}, not {wanted}")),
        );
    }

    pub(crate) fn missing(&mut self, fields: &Fields<'a>, key: &str, why: &str) {
        let place =
            if fields.path.is_empty() { String::new() } else { format!(" in {}", quoted(&fields.path)) };
        self.report(
            Diagnostic::new(Code::MissingKey, format!("`{key}` is missing{place}: {why}")).at(fields.place),
        );
    }

    pub(crate) fn empty(&mut self, field: &Field<'a>, meaning: &str) {
        self.report(
            Diagnostic::new(Code::EmptyValue, format!("{} holds nothing: {meaning}", field.name()))
                .at(field.place())
                .help("fill it, or remove it"),
        );
    }

    /// A value none of the allowed ones.
    pub(crate) fn invalid(&mut self, field: &Field<'a>, given: &str, allowed: &[&'static str]) {
        let mut diagnostic =
            Diagnostic::new(Code::InvalidValue, format!("{} cannot be {}", field.name(), quoted(given)))
                .at(field.place())
                .label("not one of the allowed values");
        let list = listed(allowed);
        diagnostic = match nearest(given, allowed.iter().copied()) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`? Allowed: {list}")),
            None => diagnostic.help(format!("allowed: {list}")),
        };
        self.report(diagnostic);
    }

    /// The keys of a map; nothing, and a diagnostic, when it is none.
    pub(crate) fn fields(&mut self, field: &Field<'a>) -> Option<Fields<'a>> {
        match &field.node.value {
            Value::Map(entries) => Some(Fields {
                path: field.path.clone(),
                place: field.place(),
                known: Vec::new(),
                entries: entries.iter().map(|entry| (entry.key.text.as_str(), entry)).collect(),
            }),
            Value::Null => {
                self.empty(field, "it has no effect");
                None
            }
            _ => {
                self.wrong_type(field, "a map");
                None
            }
        }
    }

    /// Warns of every key that was not taken.
    pub(crate) fn unknown(&mut self, fields: Fields<'a>) {
        let known = fields.known.clone();
        let place = if fields.path.is_empty() { "a buildspec".into() } else { quoted(&fields.path) };
        for field in fields.rest() {
            let Some(key) = field.key else { continue };
            let help = match (home(&key.text), nearest(&key.text, known.iter().copied())) {
                (Some(home), _) if !known.contains(&key.text.as_str()) => {
                    format!("check the indentation: {} belongs {home}", quoted(&key.text))
                }
                (_, Some(near)) => format!("did you mean `{near}`?"),
                _ => format!("allowed here: {}", listed(&known)),
            };
            self.report(
                Diagnostic::new(Code::UnknownKey, format!("{} is not a key of {place}", quoted(&key.text)))
                    .at(key.span)
                    .label("has no effect")
                    .help(help),
            );
        }
    }

    /// Warns of a key that has no effect here.
    pub(crate) fn ignored(&mut self, field: &Field<'a>, why: &str) {
        let place = field.key.map_or_else(|| field.place(), |key| key.span);
        self.report(
            Diagnostic::new(Code::IgnoredKey, format!("{} has no effect: {why}", field.name()))
                .at(place)
                .label("ignored"),
        );
    }

    /// Text; numbers and truth values as they stand in the file.
    pub(crate) fn text(&mut self, field: &Field<'a>) -> Option<String> {
        match &field.node.value {
            Value::Scalar(scalar) => Some(scalar.text.clone()),
            Value::Null => {
                self.empty(field, "it has no effect");
                None
            }
            Value::List(_) | Value::Map(_) => {
                self.wrong_type(field, "text");
                None
            }
        }
    }

    /// `yes` or `no`, in every spelling of YAML 1.1.
    pub(crate) fn flag(&mut self, field: &Field<'a>) -> Option<bool> {
        let text = self.text(field)?;
        match text.to_ascii_lowercase().as_str() {
            "yes" | "y" | "true" | "on" => Some(true),
            "no" | "n" | "false" | "off" => Some(false),
            _ => {
                self.invalid(field, &text, &["yes", "no"]);
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn one_of<T: Copy>(&mut self, field: &Field<'a>, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(field)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.invalid(field, &text, &words);
        }
        found.map(|(_, value)| *value)
    }

    /// The items of a list; a single value is a list of one.
    pub(crate) fn items(&mut self, field: &Field<'a>) -> Vec<Field<'a>> {
        match &field.node.value {
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, node)| Field { path: format!("{}[{index}]", field.path), key: None, node })
                .collect(),
            Value::Scalar(_) => {
                self.report(
                    Diagnostic::new(
                        Code::ScalarForList,
                        format!("{} is a list: the single value is taken as a list of one", field.name()),
                    )
                    .at(field.place())
                    .help("put it on a line of its own that begins with `- `"),
                );
                vec![Field { path: format!("{}[0]", field.path), key: field.key, node: field.node }]
            }
            Value::Null => {
                self.empty(field, "it has no effect");
                Vec::new()
            }
            Value::Map(_) => {
                self.wrong_type(field, "a list");
                Vec::new()
            }
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, field: &Field<'a>) -> Vec<String> {
        self.items(field).iter().filter_map(|item| self.text(item)).collect()
    }

    /// Names and their texts; a name without a value gets the empty text.
    pub(crate) fn named_texts(&mut self, field: &Field<'a>) -> Vec<(Field<'a>, String)> {
        let mut named = Vec::new();
        for field in self.fields(field).into_iter().flat_map(Fields::rest) {
            if field.is_null() {
                self.empty(&field, "it is the empty text");
                named.push((field, String::new()));
            } else if let Some(text) = self.text(&field) {
                named.push((field, text));
            }
        }
        named
    }

    /// Names to texts.
    pub(crate) fn text_map(&mut self, field: &Field<'a>) -> IndexMap<String, String> {
        map(self.named_texts(field))
    }
}

/// The keys of the fields to their texts.
pub(crate) fn map(named: Vec<(Field<'_>, String)>) -> IndexMap<String, String> {
    named.into_iter().filter_map(|(field, text)| Some((field.key?.text.clone(), text))).collect()
}

/// `a`, `b`, `c`.
pub(crate) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
