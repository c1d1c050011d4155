//! JUNITXML: `testsuites/testsuite/testcase`, as written by Ant, Surefire, pytest, jest-junit, gtest and many others.

use super::source::Source;
use super::test_case::{OpenCase, seconds};
use super::xml::{Element, Node, Xml};
use super::{ReportError, TestResults, TestStatus};

pub(super) fn parse(source: &Source<'_>) -> Result<TestResults, ReportError> {
    let mut xml = Xml::new(source, &["testsuites", "testsuite"]);
    let mut results = TestResults::default();
    let mut suites: Vec<String> = Vec::new();
    let mut open: Option<OpenCase> = None;

    while let Some(node) = xml.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "testsuite" => suites.push(element.text("name").into_owned()),
                "testcase" => open = Some(case(source, &element, innermost(&suites))),
                name => {
                    let Some(status) = problem(name) else { continue };
                    // A failure outside any case is the suite's own: it must not be lost.
                    if xml.parent() == "testsuite" && status.is_failure() {
                        let suite = innermost(&suites);
                        open = Some(OpenCase::new(source.file, suite, "", suite));
                    }
                    if let Some(open) = &mut open {
                        open.case.status = open.case.status.max(status);
                        open.head.push(&element.attr("message").unwrap_or_else(|| element.text("type")));
                    }
                }
            },
            Node::Text(text) => {
                if let (Some(open), Some(_)) = (&mut open, problem(xml.element())) {
                    open.body.push(&text);
                }
            }
            Node::End(name) => match name.as_str() {
                "testsuite" => {
                    suites.pop();
                }
                "testcase" => results.extend(open.take()),
                name if problem(name).is_some() => {
                    if let Some(open) = &mut open {
                        open.close_problem();
                    }
                    if xml.element() == "testsuite" {
                        results.extend(open.take());
                    }
                }
                _ => {}
            },
        }
    }
    Ok(results)
}

fn case(source: &Source<'_>, element: &Element<'_>, suite: &str) -> OpenCase {
    let class = element.text("classname");
    let name = element.attr("name").filter(|name| !name.is_empty()).unwrap_or_else(|| class.clone());
    let mut open = OpenCase::new(source.file, &name, &class, suite);
    open.case.duration_in_nano_seconds = seconds(&element.text("time"));
    open.place(&element.text("file"), &element.text("line"));
    // Most tools say it with a child; gtest marks disabled tests only here.
    let outcome = element.attr("result").filter(|result| result != "completed");
    open.case.status = match outcome.unwrap_or_else(|| element.text("status")).to_ascii_lowercase().as_str() {
        "suppressed" | "notrun" | "skipped" | "disabled" | "ignored" => TestStatus::Skipped,
        "failed" | "failure" | "fail" => TestStatus::Failed,
        "error" => TestStatus::Error,
        _ => TestStatus::Succeeded,
    };
    open
}

fn problem(element: &str) -> Option<TestStatus> {
    match element {
        "failure" => Some(TestStatus::Failed),
        "error" => Some(TestStatus::Error),
        "skipped" => Some(TestStatus::Skipped),
        _ => None,
    }
}

fn innermost(suites: &[String]) -> &str {
    suites.iter().rev().find(|name| !name.is_empty()).map_or("", String::as_str)
}
