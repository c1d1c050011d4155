//! Values with the way to them.

use runspan_buildspec::Span;
use runspan_buildspec::yaml::{Node, Value};

/// A value with the way to it.
#[derive(Clone)]
pub(crate) struct Field<'a> {
    /// Such as `pipelines.default[0].step.script`; empty for the whole file.
    pub(crate) path: String,
    /// Its key; of an item of a list, the item.
    pub(crate) span: Span,
    pub(crate) node: &'a Node,
}

impl<'a> Field<'a> {
    /// The whole file.
    pub(crate) fn file(node: &'a Node) -> Self {
        Self { path: String::new(), span: node.span, node }
    }

    /// Keys and values of a map; nothing of anything else.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Self)> {
        let Value::Map(entries) = &self.node.value else { return Vec::new() };
        let entry = entries.iter().map(|entry| {
            let key = entry.key.text.as_str();
            let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
            (key, Self { path, span: entry.key.span, node: &entry.value })
        });
        entry.collect()
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        self.entries().into_iter().find_map(|(name, field)| (name == key).then_some(field))
    }

    /// The items of a list; a single value is a list of one.
    pub(crate) fn items(&self) -> Vec<Self> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::List(items) => {
                let item = items.iter().enumerate().map(|(index, node)| Self {
                    path: format!("{}[{index}]", self.path),
                    span: node.span,
                    node,
                });
                item.collect()
            }
            Value::Scalar(_) | Value::Map(_) => vec![self.clone()],
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.node.text()
    }

    /// The texts of a list.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.items().iter().filter_map(|item| item.text().map(str::to_owned)).collect()
    }

    /// Whether it is `true`.
    pub(crate) fn is_true(&self) -> bool {
        self.text().is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    pub(crate) const fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    pub(crate) const fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }
}
