//! NUNITXML, version 2: `test-results//test-case`.

use super::source::Source;
use super::test_case::{OpenCase, seconds};
use super::xml::{Element, Node, Xml};
use super::{ReportError, TestResults, TestStatus};

pub(super) fn parse(source: &Source<'_>) -> Result<TestResults, ReportError> {
    read(source, &["test-results"], case)
}

/// Reads `test-case` elements inside nested `test-suite` elements, which versions 2 and 3 share.
/// `case` makes a case of its element and the name of its fixture.
pub(super) fn read(
    source: &Source<'_>,
    roots: &'static [&'static str],
    case: fn(&Source<'_>, &Element<'_>, &str) -> OpenCase,
) -> Result<TestResults, ReportError> {
    let mut xml = Xml::new(source, roots);
    let mut results = TestResults::default();
    let mut suites: Vec<Suite> = Vec::new();
    let mut open: Option<OpenCase> = None;

    while let Some(node) = xml.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "test-suite" => suites.push(Suite {
                    name: element.text("name").into_owned(),
                    is_fixture: element.text("type") == "TestFixture",
                }),
                "test-case" => open = Some(case(source, &element, fixture(&suites))),
                _ => {}
            },
            Node::Text(text) => {
                let Some(open) = &mut open else { continue };
                match (xml.parent(), xml.element()) {
                    ("failure" | "reason", "message") => open.head.push(&text),
                    ("failure", "stack-trace") => open.body.push(&text),
                    _ => {}
                }
            }
            Node::End(name) => match name.as_str() {
                "test-suite" => {
                    suites.pop();
                }
                "test-case" => results.extend(open.take()),
                _ => {}
            },
        }
    }
    Ok(results)
}

struct Suite {
    name: String,
    is_fixture: bool,
}

/// The nearest fixture, for suites also stand for assemblies, namespaces and parameterised methods.
fn fixture(suites: &[Suite]) -> &str {
    let nearest = suites.iter().rev().find(|suite| suite.is_fixture).or(suites.last());
    nearest.map_or("", |suite| &suite.name)
}

fn case(source: &Source<'_>, element: &Element<'_>, fixture: &str) -> OpenCase {
    let full_name = element.text("name");
    let (class, name) = split(&full_name);
    let mut open = OpenCase::new(source.file, name, class, fixture);
    open.case.duration_in_nano_seconds = seconds(&element.text("time"));
    open.case.status = match element.text("result").as_ref() {
        "Success" => TestStatus::Succeeded,
        "Failure" => TestStatus::Failed,
        "Error" | "NotRunnable" | "Cancelled" => TestStatus::Error,
        "Ignored" | "Skipped" => TestStatus::Skipped,
        // Before 2.5 there was no `result`.
        "" if element.text("executed").eq_ignore_ascii_case("false") => TestStatus::Skipped,
        "" if element.text("success").eq_ignore_ascii_case("true") => TestStatus::Succeeded,
        "" if element.text("success").eq_ignore_ascii_case("false") => TestStatus::Failed,
        _ => TestStatus::Unknown,
    };
    open
}

/// `Namespace.Class.Method("a.b")` at its last dot before the arguments.
fn split(full_name: &str) -> (&str, &str) {
    let end = full_name.find(['(', '<']).unwrap_or(full_name.len());
    match full_name[..end].rfind('.') {
        Some(dot) => (&full_name[..dot], &full_name[dot + 1..]),
        None => ("", full_name),
    }
}
