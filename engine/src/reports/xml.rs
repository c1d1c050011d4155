//! A pull reader of XML: elements and text, entities resolved, DTDs passed over.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::errors::{Error, SyntaxError};
use quick_xml::escape::{EscapeError, resolve_predefined_entity, unescape};
use quick_xml::events::{BytesStart, Event};

use super::ReportError;
use super::source::Source;

/// Reports nest a dozen deep; a file that nests much deeper is not one, and would only cost memory.
const MAX_DEPTH: usize = 1000;

/// Reads one document.
pub(super) struct Xml<'a> {
    source: &'a Source<'a>,
    reader: Reader<&'a [u8]>,
    roots: &'static [&'static str],
    open: Vec<String>,
    seen_root: bool,
}

/// One step through the document. Each `Start` has its `End`, empty elements included.
pub(super) enum Node<'a> {
    Start(Element<'a>),
    /// The element that ended, by its local name.
    End(String),
    /// Text, CDATA or a resolved reference: one element's text may come in many pieces.
    Text(Cow<'a, str>),
}

/// A start tag, whose attributes are known to be well-formed.
pub(super) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// The name without a namespace prefix.
    pub(super) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// An attribute's value; line breaks are kept, for test tools put whole messages there.
    pub(super) fn attr(&self, name: &str) -> Option<Cow<'_, str>> {
        let attribute = self.0.attributes().with_checks(false).flatten().find(|a| a.key.as_ref() == name)?;
        match attribute.value {
            Cow::Borrowed(value) => unescape(value).ok(),
            Cow::Owned(value) => unescape(&value).ok().map(|value| Cow::Owned(value.into_owned())),
        }
    }

    /// An attribute's value, empty when absent.
    pub(super) fn text(&self, name: &str) -> Cow<'_, str> {
        self.attr(name).unwrap_or_default()
    }

    /// An attribute's value as a count, 0 when absent or not a number.
    pub(super) fn count(&self, name: &str) -> u64 {
        self.attr(name).and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }
}

impl<'a> Xml<'a> {
    /// A reader that accepts only these root elements.
    pub(super) fn new(source: &'a Source<'a>, roots: &'static [&'static str]) -> Self {
        let mut reader = Reader::from_str(source.text);
        reader.config_mut().expand_empty_elements = true;
        Self { source, reader, roots, open: Vec::new(), seen_root: false }
    }

    /// The next step; `None` at the end of a complete document.
    pub(super) fn next(&mut self) -> Result<Option<Node<'a>>, ReportError> {
        loop {
            let event = self.reader.read_event().map_err(|error| self.syntax(error))?;
            return Ok(Some(match event {
                Event::Start(start) => Node::Start(self.start(start)?),
                Event::End(_) => Node::End(self.open.pop().unwrap_or_default()),
                Event::Text(text) => Node::Text(text.xml10_content()),
                Event::CData(text) => Node::Text(text.xml10_content()),
                Event::GeneralRef(reference) => Node::Text(match reference.resolve_char_ref() {
                    Ok(Some(char)) => Cow::Owned(char.to_string()),
                    Ok(None) => match resolve_predefined_entity(&reference) {
                        Some(text) => Cow::Borrowed(text),
                        None => return Err(self.entity(&reference)),
                    },
                    Err(error) => return Err(self.syntax(error)),
                }),
                Event::Eof => return self.end().map(|()| None),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                    continue;
                }
            }));
        }
    }

    /// The innermost open element.
    pub(super) fn element(&self) -> &str {
        self.ancestor(0)
    }

    /// The element around the innermost open one.
    pub(super) fn parent(&self) -> &str {
        self.ancestor(1)
    }

    /// The open element `up` levels above the innermost; empty above the root.
    pub(super) fn ancestor(&self, up: usize) -> &str {
        self.open.iter().rev().nth(up).map_or("", String::as_str)
    }

    /// Whether an element of this name is open.
    pub(super) fn inside(&self, name: &str) -> bool {
        self.open.iter().any(|open| open == name)
    }

    fn start(&mut self, start: BytesStart<'a>) -> Result<Element<'a>, ReportError> {
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| self.malformed(error))?;
            unescape(&attribute.value).map_err(|error| match error {
                EscapeError::UnrecognizedEntity(_, name) => self.entity(&name),
                other => self.malformed(other),
            })?;
        }
        let element = Element(start);
        if self.open.is_empty() && !self.roots.contains(&element.name()) {
            let expected = self.roots.iter().map(|root| format!("<{root}>")).collect::<Vec<_>>().join(" or ");
            return Err(self
                .source
                .wrong_format(format!("its root element is <{}>, not {expected}", element.name())));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(self.malformed(format_args!("elements nest more than {MAX_DEPTH} deep")));
        }
        self.seen_root = true;
        self.open.push(element.name().to_owned());
        Ok(element)
    }

    fn end(&self) -> Result<(), ReportError> {
        match self.open.last() {
            Some(open) => Err(self.source.truncated(format!("<{open}>"))),
            None if !self.seen_root => Err(self.source.wrong_format("it has no XML element")),
            None => Ok(()),
        }
    }

    fn syntax(&self, error: Error) -> ReportError {
        match error {
            Error::Syntax(SyntaxError::InvalidBangMarkup) => self.malformed(error),
            // All others mean that the input ended first.
            Error::Syntax(_) if self.open.is_empty() => self.source.truncated("a tag"),
            Error::Syntax(_) => self.source.truncated(format!("<{}>", self.element())),
            other => self.source.malformed(self.at(self.reader.error_position()), other),
        }
    }

    fn malformed(&self, reason: impl ToString) -> ReportError {
        self.source.malformed(self.at(self.reader.buffer_position()), reason)
    }

    fn entity(&self, name: &str) -> ReportError {
        self.malformed(format_args!(
            "the entity &{name}; is not one of XML's own, and DTDs are never expanded"
        ))
    }

    fn at(&self, position: u64) -> usize {
        usize::try_from(position).unwrap_or(usize::MAX)
    }
}
