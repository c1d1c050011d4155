//! VISUALSTUDIOTRX: `TestRun/Results/UnitTestResult`, with class names from `TestDefinitions`.

use std::collections::HashMap;

use super::source::Source;
use super::test_case::{OpenCase, time_span};
use super::xml::{Node, Xml};
use super::{ReportError, TestResults, TestStatus};

const ROOTS: &[&str] = &["TestRun"];

pub(super) fn parse(source: &Source<'_>) -> Result<TestResults, ReportError> {
    let classes = classes(source)?;
    let mut xml = Xml::new(source, ROOTS);
    let mut results = TestResults::default();
    let mut run = String::new();
    let mut open: Option<OpenCase> = None;

    while let Some(node) = xml.next()? {
        match node {
            Node::Start(element) if element.name() == "TestRun" => run = element.text("name").into_owned(),
            // Rows of a data-driven test nest deeper: their messages belong to the one case around them.
            Node::Start(element) if xml.parent() == "Results" => {
                let class = classes.get(element.text("testId").as_ref()).map_or("", String::as_str);
                let name = element.text("testName");
                // xunit and NUnit put the class into the name too.
                let name = name.strip_prefix(class).and_then(|rest| rest.strip_prefix('.')).unwrap_or(&name);
                let mut case = OpenCase::new(source.file, name, class, &run);
                case.case.duration_in_nano_seconds = time_span(&element.text("duration"));
                case.case.status = status(&element.text("outcome"));
                open = Some(case);
            }
            Node::Text(text) if xml.parent() == "ErrorInfo" => {
                let Some(open) = &mut open else { continue };
                match xml.element() {
                    "Message" => open.head.push(&text),
                    "StackTrace" => open.body.push(&text),
                    _ => {}
                }
            }
            Node::End(name) if name == "ErrorInfo" => {
                if let Some(open) = &mut open {
                    open.close_problem();
                }
            }
            Node::End(_) if xml.element() == "Results" => results.extend(open.take()),
            _ => {}
        }
    }
    Ok(results)
}

/// Test id to class. Definitions follow the results in the file, so they take a pass of their own.
fn classes(source: &Source<'_>) -> Result<HashMap<String, String>, ReportError> {
    let mut xml = Xml::new(source, ROOTS);
    let mut classes = HashMap::new();
    let mut id = String::new();
    while let Some(node) = xml.next()? {
        let Node::Start(element) = node else { continue };
        match element.name() {
            "UnitTest" => id = element.text("id").into_owned(),
            "TestMethod" => {
                // MSTest once wrote `Class, Assembly, Version=…`.
                let class = element.text("className");
                let class = class.split(',').next().unwrap_or_default().trim();
                classes.insert(std::mem::take(&mut id), class.to_owned());
            }
            _ => {}
        }
    }
    Ok(classes)
}

fn status(outcome: &str) -> TestStatus {
    match outcome {
        "Passed" | "Completed" | "Warning" | "PassedButRunAborted" => TestStatus::Succeeded,
        "Failed" => TestStatus::Failed,
        "Error" | "Timeout" | "Aborted" | "Disconnected" | "NotRunnable" => TestStatus::Error,
        "NotExecuted" | "Pending" => TestStatus::Skipped,
        _ => TestStatus::Unknown,
    }
}
