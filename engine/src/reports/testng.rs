//! TESTNGXML: `testng-results//test-method`.

use super::source::Source;
use super::test_case::OpenCase;
use super::xml::{Node, Xml};
use super::{ReportError, TestResults, TestStatus};

pub(super) fn parse(source: &Source<'_>) -> Result<TestResults, ReportError> {
    let mut xml = Xml::new(source, &["testng-results"]);
    let mut results = TestResults::default();
    let mut suite = String::new();
    let mut class = String::new();
    let mut open: Option<OpenCase> = None;

    while let Some(node) = xml.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "suite" => suite = element.text("name").into_owned(),
                "class" => class = element.text("name").into_owned(),
                // Configuration methods (set-up and tear-down) are not tests.
                "test-method" if element.text("is-config") != "true" => {
                    let mut case = OpenCase::new(source.file, &element.text("name"), &class, &suite);
                    case.case.duration_in_nano_seconds =
                        element.count("duration-ms").saturating_mul(1_000_000);
                    case.case.status = match element.text("status").as_ref() {
                        "PASS" => TestStatus::Succeeded,
                        "FAIL" => TestStatus::Failed,
                        "SKIP" => TestStatus::Skipped,
                        _ => TestStatus::Unknown,
                    };
                    open = Some(case);
                }
                _ => {}
            },
            Node::Text(text) => {
                let Some(open) = &mut open else { continue };
                match (xml.parent(), xml.element()) {
                    ("exception", "message") => open.head.push(&text),
                    ("exception", "full-stacktrace" | "short-stacktrace") => open.body.push(&text),
                    _ => {}
                }
            }
            Node::End(name) if name == "test-method" => results.extend(open.take()),
            Node::End(_) => {}
        }
    }
    Ok(results)
}
