//! Text with `${{ }}` in it.

use std::ops::Range;

use super::{Contexts, Error, ErrorKind, Expr, Kind, Scope, Value, evaluate_within, parse};

/// Bytes of values while a text is put together: more than a lone expression may have.
const MAX_MEMORY: usize = 10 << 20;

/// A text whose expressions are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// Its pieces in order; no two texts follow each other.
    pub segments: Vec<Segment>,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    /// Text as it is.
    Text(String),
    /// An expression.
    Expression {
        /// The expression; its spans are of its own text.
        expr: Expr,
        /// Its own text, without `${{ }}`.
        text: String,
        /// From `${{` to `}}` in the whole.
        range: Range<usize>,
    },
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// The first thing that is wrong, its span being of the whole text.
    pub fn parse(text: &str, scope: Scope<'_>) -> Result<Self, Error> {
        let mut segments = Vec::new();
        let mut at = 0;
        while let Some(found) = text[at..].find("${{") {
            let start = at + found;
            let inner = start + 3;
            let Some(length) = closing(&text[inner..]) else {
                return Err(Error { kind: ErrorKind::NotClosed, span: start..text.len() });
            };
            let raw = &text[inner..inner + length];
            let range = start..inner + length + 2;
            if raw.trim().is_empty() {
                return Err(Error { kind: ErrorKind::Empty, span: range });
            }
            let trimmed = raw.trim();
            let offset = inner + (raw.len() - raw.trim_start().len());
            let expr = parse(trimmed, scope).map_err(|error| Error {
                span: error.span.start + offset..error.span.end + offset,
                ..error
            })?;
            if start > at {
                segments.push(Segment::Text(text[at..start].to_owned()));
            }
            at = range.end;
            segments.push(Segment::Expression { expr, text: trimmed.to_owned(), range });
        }
        if at < text.len() {
            segments.push(Segment::Text(text[at..].to_owned()));
        }
        Ok(Self { segments })
    }

    /// Reads a condition, which may stand without `${{ }}`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_condition(text: &str, scope: Scope<'_>) -> Result<Self, Error> {
        if text.contains("${{") {
            return Self::parse(text, scope);
        }
        let trimmed = text.trim();
        let expr = parse(trimmed, scope)?;
        let segment = Segment::Expression { expr, text: trimmed.to_owned(), range: 0..text.len() };
        Ok(Self { segments: vec![segment] })
    }

    /// The text, when there is no expression in it.
    pub fn literal(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [] => Some(""),
            [Segment::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The expression, when there is nothing else.
    pub fn expression(&self) -> Option<&Expr> {
        match self.segments.as_slice() {
            [Segment::Expression { expr, .. }] => Some(expr),
            _ => None,
        }
    }

    /// Every expression.
    pub fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Expression { expr, .. } => Some(expr),
            Segment::Text(_) => None,
        })
    }

    /// The value: that of a lone expression as it is, else text.
    ///
    /// # Errors
    /// The first expression's that has no value.
    pub fn evaluate(&self, contexts: &dyn Contexts) -> Result<Value, Error> {
        if let Some(expr) = self.expression() {
            return evaluate_within(expr, contexts, MAX_MEMORY);
        }
        let mut out = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => out.push_str(text),
                Segment::Expression { expr, .. } => {
                    out.push_str(&evaluate_within(expr, contexts, MAX_MEMORY)?.to_text());
                    if out.len() > MAX_MEMORY {
                        return Err(Error { kind: ErrorKind::OutOfMemory, span: expr.span.clone() });
                    }
                }
            }
        }
        Ok(out.into())
    }

    /// Whether an expression asks how the job goes.
    pub fn asks_status(&self) -> bool {
        self.expressions().any(Expr::asks_status)
    }

    /// Contexts that are named, in lower case.
    pub fn contexts(&self) -> Vec<String> {
        let mut names = Vec::new();
        for expr in self.expressions() {
            expr.visit(&mut |expr| {
                if let Kind::Context(name) = &expr.kind {
                    names.push(name.to_ascii_lowercase());
                }
            });
        }
        names
    }
}

/// Where `}}` is, quotes being respected.
fn closing(text: &str) -> Option<usize> {
    let mut quoted = false;
    let mut before = '\0';
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '}' if !quoted && before == '}' => return Some(at - 1),
            _ => {}
        }
        before = if quoted { '\0' } else { c };
    }
    None
}
