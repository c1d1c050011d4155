//! CUCUMBERJSON: a list of features, whose scenarios are the test cases.

use std::borrow::Cow;

use serde::Deserialize;

use super::source::Source;
use super::test_case::OpenCase;
use super::{ReportError, TestCase, TestResults, TestStatus};

#[derive(Deserialize)]
struct Feature<'a> {
    #[serde(default, borrow)]
    uri: Cow<'a, str>,
    #[serde(default, borrow)]
    name: Cow<'a, str>,
    #[serde(default, borrow)]
    elements: Vec<Element<'a>>,
}

#[derive(Deserialize)]
struct Element<'a> {
    #[serde(default, borrow)]
    name: Cow<'a, str>,
    #[serde(default, borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    before: Vec<Step<'a>>,
    #[serde(default, borrow)]
    steps: Vec<Step<'a>>,
    #[serde(default, borrow)]
    after: Vec<Step<'a>>,
}

/// A step or a hook.
#[derive(Deserialize)]
struct Step<'a> {
    #[serde(default, borrow)]
    keyword: Cow<'a, str>,
    #[serde(default, borrow)]
    name: Cow<'a, str>,
    #[serde(default, borrow)]
    result: Outcome<'a>,
    /// Hooks around this step.
    #[serde(default, borrow)]
    before: Vec<Self>,
    #[serde(default, borrow)]
    after: Vec<Self>,
}

#[derive(Default, Deserialize)]
struct Outcome<'a> {
    #[serde(default, borrow)]
    status: Cow<'a, str>,
    /// Nanoseconds; some tools write a fraction.
    #[serde(default)]
    duration: f64,
    #[serde(default, borrow)]
    error_message: Cow<'a, str>,
}

pub(super) fn parse(source: &Source<'_>) -> Result<TestResults, ReportError> {
    let features: Vec<Feature<'_>> =
        serde_json::from_str(source.text).map_err(|error| source.json_error(&error))?;
    let mut results = TestResults::default();
    for feature in &features {
        // A background stands before its scenario as an element of its own: its steps are the scenario's first.
        let mut background: &[Element<'_>] = &[];
        for (index, element) in feature.elements.iter().enumerate() {
            if element.kind == "background" {
                background = std::slice::from_ref(&feature.elements[index]);
            } else {
                let scenario = background.iter().chain([element]);
                results.push(case(source, feature, &element.name, scenario));
                background = &[];
            }
        }
    }
    Ok(results)
}

fn case<'a>(
    source: &Source<'_>,
    feature: &Feature<'_>,
    name: &str,
    elements: impl Iterator<Item = &'a Element<'a>>,
) -> TestCase {
    let mut open = OpenCase::new(source.file, name, &feature.uri, &feature.name);
    let mut worst = None;
    let mut duration = 0.0;
    for element in elements {
        let steps = element.steps.iter().flat_map(|s| s.before.iter().chain([s]).chain(&s.after));
        for step in element.before.iter().chain(steps).chain(&element.after) {
            let Some(status) = status(&step.result.status) else { continue };
            if status.is_failure() {
                open.head.push(&format!("{}{}: {}", step.keyword, step.name, step.result.status));
                open.body.push(&step.result.error_message);
                open.close_problem();
            }
            worst = worst.max(Some(status));
            duration += step.result.duration;
        }
    }
    open.case.status = worst.unwrap_or(TestStatus::Unknown);
    open.case.duration_in_nano_seconds = duration as u64;
    open.finish()
}

/// Cucumber itself fails a run for undefined and ambiguous steps. `None` for a step that never had a result.
fn status(status: &str) -> Option<TestStatus> {
    match status {
        "" => None,
        "passed" => Some(TestStatus::Succeeded),
        "failed" | "undefined" | "ambiguous" => Some(TestStatus::Failed),
        "skipped" | "pending" => Some(TestStatus::Skipped),
        _ => Some(TestStatus::Unknown),
    }
}
