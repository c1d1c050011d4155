//! NUNIT3XML: `test-run//test-case`.

use super::source::Source;
use super::test_case::{OpenCase, seconds};
use super::xml::Element;
use super::{ReportError, TestResults, TestStatus, nunit};

pub(super) fn parse(source: &Source<'_>) -> Result<TestResults, ReportError> {
    nunit::read(source, &["test-run"], case)
}

fn case(source: &Source<'_>, element: &Element<'_>, fixture: &str) -> OpenCase {
    let mut open = OpenCase::new(source.file, &element.text("name"), &element.text("classname"), fixture);
    open.case.duration_in_nano_seconds = seconds(&element.text("duration"));
    open.case.status = match (element.text("result").as_ref(), element.text("label").as_ref()) {
        // A warning does not fail the run.
        ("Passed" | "Warning", _) => TestStatus::Succeeded,
        ("Failed", "Error" | "Cancelled" | "Invalid") => TestStatus::Error,
        ("Failed", _) => TestStatus::Failed,
        ("Skipped", _) => TestStatus::Skipped,
        _ => TestStatus::Unknown,
    };
    open
}
