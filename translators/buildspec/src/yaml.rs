//! YAML text to a tree in which every key and value knows its place.
//!
//! Values keep the text of the file (`1.10`, `007`, `yes`) beside what YAML makes of it, so that whoever
//! wants text gets it as written. Reading is bounded: a hostile file gets one diagnostic, soon and in
//! little memory.

use std::{collections::HashMap, fmt, str::Utf8Error};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{
    DuplicateKeyPolicy, Location, NonFiniteFloatPolicy, Options, Spanned, Tagged, budget, options,
};

use crate::{Code, Diagnostic, Span, diagnostic::quoted, syntax};

/// Bytes of the longest file that is read.
pub const MAX_SOURCE: usize = 1 << 20;
/// Levels of the deepest file that is read.
pub const MAX_DEPTH: usize = 24;
/// Lists, maps, keys and values of the largest file that is read, aliases expanded.
pub const MAX_NODES: usize = 100_000;
/// Bytes of text of the largest file that is read, aliases expanded.
const MAX_TEXT: usize = 4 << 20;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// The part of it on its first line; of an alias, where it is defined.
    pub span: Span,
    /// Its tag, such as `!Ref`, when it is none of YAML's own.
    pub tag: Option<String>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// Text, a number or a truth value.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file, its keys being unique.
    Map(Vec<Entry>),
}

/// A value without parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// As it stands in the file, without quotes.
    pub text: String,
    /// What YAML 1.2 takes it for.
    pub kind: ScalarKind,
}

/// What YAML 1.2 takes a scalar for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Its value.
    pub value: Node,
}

/// A key and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// As it stands in the file, without quotes.
    pub text: String,
    /// Its place.
    pub span: Span,
}

impl Node {
    /// The text of a scalar, as it stands in the file.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub const fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(Scalar { kind: ScalarKind::Text, .. }) => "text",
            Value::Scalar(Scalar { kind: ScalarKind::Number, .. }) => "a number",
            Value::Scalar(Scalar { kind: ScalarKind::Bool, .. }) => "a truth value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// The text of a file, or why it is none.
///
/// # Errors
/// One diagnostic at the first byte that is not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, Vec<Diagnostic>> {
    std::str::from_utf8(bytes).map_err(|error| vec![not_utf8(bytes, &error)])
}

fn not_utf8(bytes: &[u8], error: &Utf8Error) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::NotText, "the file is not UTF-8 text");
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return diagnostic.help("the file is UTF-16: save it as UTF-8");
    }
    let valid = error.valid_up_to();
    // Up to the fault the lossy text is the file byte for byte, so the place holds in both.
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let byte = bytes.get(valid).copied().unwrap_or_default();
    let octet = if matches!(byte, 0x80..=0xc1 | 0xf5..) { "leading" } else { "trailing" };
    diagnostic
        .at(Span::of(&before, valid..valid))
        .label(format!("byte 0x{byte:02x} is not UTF-8"))
        .help("save the file as UTF-8")
        .codebuild(format!("invalid {octet} UTF-8 octet"))
}

/// Reads one YAML document.
///
/// # Errors
/// One diagnostic when the text is not YAML or too much of it, one for each key that is no text or stands twice.
pub fn read(source: &str) -> Result<Node, Vec<Diagnostic>> {
    if source.len() > MAX_SOURCE {
        let message = format!("the file has {} bytes, the limit is {MAX_SOURCE} bytes (1 MiB)", source.len());
        return Err(vec![
            Diagnostic::new(Code::YamlLimit, message)
                .help("keep long scripts in files of their own and call them"),
        ]);
    }
    if let Some(diagnostic) = control_character(source) {
        return Err(vec![diagnostic]);
    }
    let skipped = source.len() - source.trim_start_matches('\u{feff}').len();
    let raw: Raw = serde_saphyr::from_str_with_options(&source[skipped..], reading())
        .map_err(|error| vec![syntax::diagnostic(&error, source, skipped)])?;
    let mut builder = Builder { source, skipped, faults: Vec::new() };
    let mut node = builder.node(raw);
    unbreak_end(&mut node, source);
    if builder.faults.is_empty() { Ok(node) } else { Err(builder.faults) }
}

/// A block scalar that the end of the file cuts off has no line break at its end: so says YAML, and so does
/// libyaml; this reader adds one.
fn unbreak_end(node: &mut Node, source: &str) {
    match &mut node.value {
        Value::Null => {}
        Value::List(items) => items.last_mut().into_iter().for_each(|last| unbreak_end(last, source)),
        Value::Map(entries) => {
            entries.last_mut().into_iter().for_each(|last| unbreak_end(&mut last.value, source))
        }
        Value::Scalar(Scalar { text, .. }) => {
            let end = source.rsplit('\n').next().unwrap_or_default().trim_start();
            // Only of a block scalar is the last line of the file the end of the text.
            if !end.is_empty() && text.strip_suffix('\n').is_some_and(|text| text.ends_with(end)) {
                text.pop();
            }
        }
    }
}

fn reading() -> Options {
    options! {
        budget: budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_total_scalar_bytes: MAX_TEXT,
            max_recorded_anchor_bytes: MAX_TEXT,
            max_recorded_anchor_events: MAX_NODES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_NODES },
        emit_comments: false,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        ignore_binary_tag_for_string: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    }
}

fn control_character(source: &str) -> Option<Diagnostic> {
    let allowed = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    let (at, c) = source.char_indices().find(|(_, c)| !allowed(*c))?;
    Some(
        Diagnostic::new(Code::NotText, format!("control character U+{:04X} in the file", u32::from(c)))
            .at(Span::of(source, at..at + c.len_utf8()))
            .help("remove it, or write it as an escape in double quotes (\"\\x1b\")")
            .codebuild("control characters are not allowed"),
    )
}

/// The place of serde-saphyr's location in the whole source.
pub(crate) fn span(location: Location, source: &str, skipped: usize) -> Option<Span> {
    let number = |number: u64| usize::try_from(number).ok();
    let (line, column) = (number(location.line())?, number(location.column())?);
    let span = location.span();
    match (span.byte_offset().and_then(number), span.byte_len().and_then(number)) {
        _ if line == 0 => None,
        (Some(start), Some(length)) => {
            Some(Span::on_line(source, start + skipped..start + skipped + length, line, column))
        }
        _ => Some(Span::character(source, line, column)),
    }
}

/// A node as serde gives it.
struct Raw(Spanned<Tagged<RawValue>>);

enum RawValue {
    Null,
    Bool,
    Number,
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<RawValue, E> {
        Ok(RawValue::Bool)
    }

    fn visit_i64<E>(self, _: i64) -> Result<RawValue, E> {
        Ok(RawValue::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<RawValue, E> {
        Ok(RawValue::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<RawValue, E> {
        Ok(RawValue::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<RawValue, E> {
        Ok(RawValue::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<RawValue, E> {
        Ok(RawValue::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<RawValue, E> {
        Ok(RawValue::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(RawValue::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Raw>()? {
            entries.push((key, map.next_value()?));
        }
        Ok(RawValue::Map(entries))
    }
}

struct Builder<'a> {
    source: &'a str,
    skipped: usize,
    faults: Vec<Diagnostic>,
}

impl Builder<'_> {
    fn node(&mut self, Raw(raw): Raw) -> Node {
        let span = self.span(&raw);
        let Tagged(value, tag) = raw.value;
        let value = match value {
            RawValue::Null => Value::Null,
            RawValue::Bool => Value::Scalar(self.verbatim(span, ScalarKind::Bool)),
            RawValue::Number => Value::Scalar(self.verbatim(span, ScalarKind::Number)),
            RawValue::Text(text) => Value::Scalar(Scalar { text, kind: ScalarKind::Text }),
            RawValue::List(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            RawValue::Map(entries) => Value::Map(self.entries(entries)),
        };
        Node { value, span, tag: tag.filter(|tag| !tag.starts_with("tag:yaml.org,2002:") && tag != "!") }
    }

    fn entries(&mut self, entries: Vec<(Raw, Raw)>) -> Vec<Entry> {
        let mut seen: HashMap<String, Span> = HashMap::with_capacity(entries.len());
        let mut unique = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let key = self.node(key);
            let span = key.span;
            let text = match key.value {
                Value::Scalar(scalar) => scalar.text,
                Value::Null => String::new(),
                Value::List(_) | Value::Map(_) => {
                    self.faults.push(
                        Diagnostic::new(Code::WrongType, "a key must be text, not a list or a map").at(span),
                    );
                    continue;
                }
            };
            let value = self.node(value);
            if let Some(first) = seen.get(&text) {
                self.faults.push(
                    Diagnostic::new(Code::DuplicateKey, format!("the key {} stands twice", quoted(&text)))
                        .at(span)
                        .label("again here")
                        .related(*first, "first here")
                        .help("keep one of them, or put what they hold together"),
                );
                continue;
            }
            seen.insert(text.clone(), span);
            unique.push(Entry { key: Key { text, span }, value });
        }
        unique
    }

    fn span<T>(&self, spanned: &Spanned<T>) -> Span {
        [spanned.defined, spanned.referenced]
            .into_iter()
            .find_map(|location| span(location, self.source, self.skipped))
            .unwrap_or(Span { start: 0, end: 0, line: 1, column: 1, end_column: 1 })
    }

    fn verbatim(&self, span: Span, kind: ScalarKind) -> Scalar {
        let text = self.source[span.start..span.end].trim_matches(['"', '\'']);
        Scalar { text: text.to_owned(), kind }
    }
}
