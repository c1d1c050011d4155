//! Values with the way to them.

use runspan_buildspec::{
    Span,
    yaml::{Node, ScalarKind, Value},
};

use runspan_expressions::Template;

/// A value of the file.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    /// Such as `jobs.build.steps[2].run`.
    pub path: String,
    /// Its key; of an item of a list, the item itself.
    pub place: Span,
    /// The value.
    pub node: &'a Node,
}

/// A scalar in which expressions may stand.
#[derive(Clone, Debug)]
pub struct Text<'a> {
    /// Where it is.
    pub field: Field<'a>,
    /// Its pieces.
    pub template: Template,
    /// What YAML takes it for.
    pub kind: ScalarKind,
}

/// An entry of an `env`, `with`, `outputs` or the like.
#[derive(Clone, Debug)]
pub struct Variable<'a> {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Text<'a>,
}

/// `defaults.run`.
#[derive(Clone, Debug, Default)]
pub struct Defaults<'a> {
    /// `shell`.
    pub shell: Option<Text<'a>>,
    /// `working-directory`.
    pub working_directory: Option<Text<'a>>,
}

impl<'a> Field<'a> {
    /// The value of a key in it.
    pub fn at(path: &str, key: &runspan_buildspec::yaml::Key, node: &'a Node) -> Self {
        let name = &key.text;
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        Self { path, place: key.span, node }
    }

    /// Its items, when it is a list; itself, when it is anything else but nothing.
    pub fn items(&self) -> Vec<Self> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, node)| Field {
                    path: format!("{}[{index}]", self.path),
                    place: node.span,
                    node,
                })
                .collect(),
            _ => vec![self.clone()],
        }
    }

    /// Its entries, when it is a map.
    pub fn entries(&self) -> Vec<(&'a str, Self)> {
        match &self.node.value {
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.text.as_str(), Self::at(&self.path, &entry.key, &entry.value)))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Its scalar or those of its items.
    pub fn texts(&self) -> Vec<&'a str> {
        self.items().iter().filter_map(|item| item.node.text()).collect()
    }
}

impl Text<'_> {
    /// The text as it stands in the file.
    pub fn source(&self) -> &str {
        self.field.node.text().unwrap_or_default()
    }
}
