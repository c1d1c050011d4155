//! Diagnostics for people.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::{Diagnostic, Severity};

/// The diagnostic with file, line, column and the offending text underlined; ends with a newline.
pub fn render(diagnostic: &Diagnostic, file_name: &str, source: &str, color: bool) -> String {
    let level = match diagnostic.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&diagnostic.message).id(diagnostic.code.id());
    let mut group = match diagnostic.span {
        Some(span) => title.element(
            Snippet::source(source)
                .path(file_name)
                .annotation(
                    AnnotationKind::Primary
                        .span(within(source, span.start, span.end))
                        .label(some(&diagnostic.label)),
                )
                .annotations(diagnostic.related.iter().map(|related| {
                    AnnotationKind::Context
                        .span(within(source, related.span.start, related.span.end))
                        .label(some(&related.label))
                })),
        ),
        None => Group::with_title(title).element(annotate_snippets::Origin::path(file_name)),
    };
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group]) + "\n"
}

/// A range that is sure to lie in `source`, whoever made the diagnostic.
fn within(source: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let start = source.floor_char_boundary(start.min(source.len()));
    start..source.ceil_char_boundary(end.clamp(start, source.len()))
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
