//! [`Buildspec`] to text, as a person would write it.

mod scalar;
mod tree;

use indexmap::IndexMap;

use crate::Buildspec;
use scalar::{block, flow};
use tree::Tree;

/// Comments to print with a buildspec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comments {
    /// Above everything; may have several lines.
    pub header: String,
    /// Above the item at a path such as `phases.build.commands[2]`; may have several lines.
    pub items: IndexMap<String, String>,
}

/// Prints a buildspec; [`parse`](crate::parse) reads the same one back.
pub fn write(buildspec: &Buildspec, comments: &Comments) -> String {
    let mut writer = Writer { out: String::new(), comments };
    writer.comment(&comments.header, 0);
    for (index, (key, value)) in tree::of(buildspec).into_iter().enumerate() {
        if index > 0 && matches!(value, Tree::List(_) | Tree::Map(_)) {
            writer.out.push('\n');
        }
        writer.entry(&key, &value, &key, 0);
    }
    writer.out
}

/// Spaces of a level.
const STEP: usize = 2;

struct Writer<'a> {
    out: String,
    comments: &'a Comments,
}

impl Writer<'_> {
    fn entry(&mut self, key: &str, value: &Tree, path: &str, indent: usize) {
        self.comment_at(path, indent);
        self.indent(indent);
        self.out.push_str(&flow(key));
        self.out.push(':');
        self.value(value, path, indent);
    }

    /// What follows `key:`.
    fn value(&mut self, value: &Tree, path: &str, indent: usize) {
        match value {
            Tree::List(items) if items.is_empty() => self.out.push_str(" []\n"),
            Tree::Map(entries) if entries.is_empty() => self.out.push_str(" {}\n"),
            Tree::List(items) => {
                self.out.push('\n');
                for (index, item) in items.iter().enumerate() {
                    self.item(item, &format!("{path}[{index}]"), indent + STEP);
                }
            }
            Tree::Map(entries) => {
                self.out.push('\n');
                self.entries(entries, path, indent + STEP);
            }
            Tree::Plain(text) => self.line(text),
            Tree::Text(text) => self.text(text, indent),
        }
    }

    fn entries(&mut self, entries: &[(String, Tree)], path: &str, indent: usize) {
        for (key, value) in entries {
            self.entry(key, value, &format!("{path}.{key}"), indent);
        }
    }

    /// An item of a list; a map begins on the line of its hyphen.
    fn item(&mut self, item: &Tree, path: &str, indent: usize) {
        self.comment_at(path, indent);
        self.indent(indent);
        self.out.push('-');
        match item {
            Tree::Map(entries) if !entries.is_empty() => {
                let start = self.out.len();
                self.entries(entries, path, indent + STEP);
                // The hyphen stands in the indentation of the first line.
                self.out.replace_range(start..=start + indent, "");
            }
            other => self.value(other, path, indent),
        }
    }

    /// Text after a key or a hyphen.
    fn text(&mut self, text: &str, indent: usize) {
        let Some((header, lines)) = block(text) else { return self.line(&flow(text)) };
        self.line(header);
        for line in lines {
            if !line.is_empty() {
                self.indent(indent + STEP);
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
    }

    fn line(&mut self, text: &str) {
        self.out.push(' ');
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn indent(&mut self, spaces: usize) {
        self.out.extend(std::iter::repeat_n(' ', spaces));
    }

    fn comment_at(&mut self, path: &str, indent: usize) {
        if let Some(comment) = self.comments.items.get(path) {
            self.comment(comment, indent);
        }
    }

    fn comment(&mut self, comment: &str, indent: usize) {
        for line in scalar::lines(comment) {
            self.indent(indent);
            self.out.push('#');
            if !line.is_empty() {
                self.out.push(' ');
                self.out.extend(line.chars().map(|c| if scalar::is_printable(c) { c } else { '\u{fffd}' }));
            }
            self.out.push('\n');
        }
    }
}
