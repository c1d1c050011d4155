//! The account of every construct.

use std::{collections::HashSet, ops::Range};

use runspan_buildspec::{Fidelity, Note, Span};

/// Notes in the order in which they are made; each construct has one.
pub(super) struct Notes<'s> {
    source: &'s str,
    lines: Vec<usize>,
    ascii: bool,
    notes: Vec<Note>,
    seen: HashSet<(usize, usize)>,
}

impl<'s> Notes<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        let breaks = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self {
            source,
            lines: std::iter::once(0).chain(breaks).collect(),
            ascii: source.is_ascii(),
            notes: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// Every note, in the order of the file.
    pub(super) fn finish(mut self) -> Vec<Note> {
        self.notes.sort_by_key(|note| (note.span.start, std::cmp::Reverse(note.span.end)));
        self.notes
    }

    pub(super) fn exact(&mut self, span: &Range<usize>, construct: &str, became: impl Into<String>) {
        self.note(span, construct, Fidelity::Exact { became: became.into() });
    }

    pub(super) fn approximate(
        &mut self,
        span: &Range<usize>,
        construct: &str,
        became: impl Into<String>,
        difference: impl Into<String>,
    ) {
        self.note(
            span,
            construct,
            Fidelity::Approximate { became: became.into(), difference: difference.into() },
        );
    }

    pub(super) fn manual(
        &mut self,
        span: &Range<usize>,
        construct: &str,
        reason: impl Into<String>,
        suggestion: Option<String>,
    ) {
        self.note(span, construct, Fidelity::Manual { reason: reason.into(), suggestion });
    }

    fn note(&mut self, span: &Range<usize>, construct: &str, fidelity: Fidelity) {
        // What is used in several places is told once.
        if self.seen.insert((span.start, span.end)) {
            self.notes.push(Note { span: self.span(span), construct: construct.into(), fidelity });
        }
    }

    /// The first line of a piece of the source.
    pub(super) fn span(&self, bytes: &Range<usize>) -> Span {
        let source = self.source;
        let start = source.floor_char_boundary(bytes.start.min(source.len()));
        let end = source.floor_char_boundary(bytes.end.min(source.len())).max(start);
        let line = self.lines.partition_point(|begin| *begin <= start);
        let begin = self.lines.get(line.wrapping_sub(1)).copied().unwrap_or(0);
        let text = source[start..end].lines().next().unwrap_or_default().trim_end();
        let chars = |text: &str| if self.ascii { text.len() } else { text.chars().count() };
        let column = chars(&source[begin..start]) + 1;
        Span { start, end: start + text.len(), line, column, end_column: column + chars(text) }
    }

    /// The line that a place is on, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= at)
    }

    /// A piece of the source, at most some lines of it.
    pub(super) fn quote(&self, span: &Range<usize>, most: usize) -> String {
        let text = &self.source[span.clone()];
        let mut lines: Vec<&str> = text.lines().take(most).map(str::trim_end).collect();
        let indent = lines
            .iter()
            .skip(1)
            .filter(|line| !line.trim().is_empty())
            .map(|line| line.len() - line.trim_start().len())
            .min()
            .unwrap_or(0);
        for line in lines.iter_mut().skip(1) {
            *line = line.get(indent..).unwrap_or_else(|| line.trim_start());
        }
        let mut quoted = lines.join("\n");
        if text.lines().count() > most {
            quoted.push_str("\n…");
        }
        quoted
    }
}
