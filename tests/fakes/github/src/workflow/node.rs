//! YAML in which every value knows its place.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Options, Spanned, options};

use crate::{Value, value::Object};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// The value.
    pub kind: NodeKind,
}

/// A value of YAML.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeKind {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// A map, in order.
    Mapping(Vec<(Node, Node)>),
}

/// YAML 1.2's core types, as GitHub reads them.
fn reading() -> Options {
    options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

impl Node {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub fn read(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str_with_options(text, reading()).map_err(|error| error.to_string())
    }

    /// The text of a scalar, as a string.
    pub fn text(&self) -> Option<String> {
        match &self.kind {
            NodeKind::String(text) => Some(text.clone()),
            NodeKind::Bool(truth) => Some(truth.to_string()),
            NodeKind::Number(number) => Some(super::coercion::number_text(*number)),
            _ => None,
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name.text().as_deref() == Some(key)).map(|(_, value)| value)
    }

    /// The entries of a map; none of anything else.
    pub fn entries(&self) -> &[(Self, Self)] {
        match &self.kind {
            NodeKind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list, or the one item that stands for a list of one.
    pub fn items(&self) -> Vec<&Self> {
        match &self.kind {
            NodeKind::Sequence(items) => items.iter().collect(),
            NodeKind::Null => Vec::new(),
            _ => vec![self],
        }
    }

    /// The same without places.
    pub fn value(&self) -> Value {
        match &self.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(truth) => Value::Bool(*truth),
            NodeKind::Number(number) => Value::Number(*number),
            NodeKind::String(text) => Value::String(text.clone()),
            NodeKind::Sequence(items) => Value::Array(items.iter().map(Self::value).collect()),
            NodeKind::Mapping(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.text().unwrap_or_default(), value.value()))
                    .collect::<Object>(),
            ),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<NodeKind>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), column: spanned.referenced.column(), kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for NodeKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNode)
    }
}

struct AnyNode;

impl<'de> Visitor<'de> for AnyNode {
    type Value = NodeKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<NodeKind, E> {
        Ok(NodeKind::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<NodeKind, E> {
        Ok(NodeKind::Bool(truth))
    }

    #[expect(clippy::cast_precision_loss, reason = "GitHub's numbers are floating point")]
    fn visit_i64<E>(self, number: i64) -> Result<NodeKind, E> {
        Ok(NodeKind::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "GitHub's numbers are floating point")]
    fn visit_u64<E>(self, number: u64) -> Result<NodeKind, E> {
        Ok(NodeKind::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<NodeKind, E> {
        Ok(NodeKind::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<NodeKind, E> {
        Ok(NodeKind::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NodeKind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(NodeKind::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NodeKind, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(NodeKind::Mapping(entries))
    }
}
