//! What a report of the build is as a check run. Pure.

use std::fmt::Write as _;

use runspan_engine::build::Build;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Characters that the API takes of a summary or text.
const MAX_TEXT: usize = 65_535;
/// Characters that it takes of an annotation's title.
const MAX_TITLE: usize = 255;

/// A check run that is over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CheckRun {
    /// The report group, and the job: jobs of a matrix report to one group.
    pub(crate) name: String,
    /// In the words of the API.
    pub(crate) conclusion: &'static str,
    /// The whole log, where it has a page of its own.
    pub(crate) details_url: Option<String>,
    pub(crate) output: Output,
    /// Failed tests that stand somewhere in the repository.
    pub(crate) annotations: Vec<Annotation>,
}

/// What people read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Output {
    pub(crate) title: String,
    pub(crate) summary: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) text: String,
}

/// A failed test, at its line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Annotation {
    pub(crate) path: String,
    pub(crate) start_line: u32,
    pub(crate) end_line: u32,
    pub(crate) annotation_level: &'static str,
    pub(crate) title: String,
    pub(crate) message: String,
}

/// A report as the engine wrote it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    report: Head,
    #[serde(default)]
    test_cases: Vec<TestCase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    report_group_arn: String,
    status: String,
    #[serde(default)]
    truncated: bool,
    test_summary: Option<TestSummary>,
    code_coverage_summary: Option<Coverage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TestSummary {
    total: u64,
    status_counts: Counts,
    duration_in_nano_seconds: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", default)]
#[derive(Default)]
struct Counts {
    succeeded: u64,
    failed: u64,
    error: u64,
    skipped: u64,
    unknown: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Coverage {
    line_coverage_percentage: Option<f64>,
    lines_covered: u64,
    lines_missed: u64,
    branch_coverage_percentage: Option<f64>,
    branches_covered: u64,
    branches_missed: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TestCase {
    prefix: String,
    name: String,
    status: String,
    message: String,
    source_file: Option<String>,
    source_line: Option<u32>,
}

impl CheckRun {
    /// Of a report of a job's build, texts passing through `hide`; `None` when it is none.
    pub(crate) fn of(
        report: &Value,
        job: &str,
        build: Option<&Build>,
        hide: impl Fn(&str) -> String,
    ) -> Option<Self> {
        let Report { report, test_cases } = Report::deserialize(report).ok()?;
        let arn = &report.report_group_arn;
        let group = arn.split_once(":report-group/").map_or(arn.as_str(), |(_, name)| name);
        let failed = test_cases.iter().filter(|case| matches!(case.status.as_str(), "FAILED" | "ERROR"));
        let (mut annotations, mut text) = (Vec::new(), String::new());
        for case in failed {
            match case.annotation(&hide) {
                Some(annotation) => annotations.push(annotation),
                // The API wants a file and lines, which nobody knows.
                None => case.describe(&mut text),
            }
        }
        if !text.is_empty() {
            text.insert_str(0, "Failed tests whose place in the repository the report does not tell:\n");
        }
        let mut summary = report.summary();
        if let Some(build) = build {
            links(build, &mut summary);
        }
        Some(Self {
            name: hide(&format!("{group} / {job}")),
            conclusion: match report.status.as_str() {
                "SUCCEEDED" => "success",
                "FAILED" => "failure",
                _ => "neutral",
            },
            details_url: build.and_then(log_page).map(str::to_owned),
            output: Output {
                title: report.title(),
                summary: clip(&hide(&summary), MAX_TEXT),
                text: clip(&hide(&text), MAX_TEXT),
            },
            annotations,
        })
    }
}

impl Head {
    fn title(&self) -> String {
        let incomplete = if self.status == "INCOMPLETE" { ", incomplete" } else { "" };
        match (&self.test_summary, &self.code_coverage_summary) {
            (Some(tests), _) => match tests.status_counts.failed + tests.status_counts.error {
                0 => format!("{}, none failed{incomplete}", count(tests.total, "test")),
                failed => format!("{failed} of {} failed{incomplete}", count(tests.total, "test")),
            },
            (None, Some(Coverage { line_coverage_percentage: Some(lines), .. })) => {
                format!("{lines:.2} % of lines covered{incomplete}")
            }
            _ => format!("nothing to cover{incomplete}"),
        }
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        if let Some(TestSummary { total, status_counts, duration_in_nano_seconds }) = &self.test_summary {
            let Counts { succeeded, failed, error, skipped, unknown } = status_counts;
            let seconds = *duration_in_nano_seconds as f64 / 1e9;
            let _ = writeln!(
                text,
                "| Tests | Succeeded | Failed | Errors | Skipped | Unknown | Duration |\n|---|---|---|---|---|---|---|\n\
                 | {total} | {succeeded} | {failed} | {error} | {skipped} | {unknown} | {seconds:.3} s |"
            );
        }
        if let Some(coverage) = &self.code_coverage_summary {
            text.push_str("| Coverage | | Covered | Missed |\n|---|---|---|---|\n");
            let Coverage { lines_covered, lines_missed, branches_covered, branches_missed, .. } = coverage;
            for (what, percentage, covered, missed) in [
                ("Lines", coverage.line_coverage_percentage, lines_covered, lines_missed),
                ("Branches", coverage.branch_coverage_percentage, branches_covered, branches_missed),
            ] {
                let percentage = percentage.map_or_else(|| "–".to_owned(), |value| format!("{value:.2} %"));
                let _ = writeln!(text, "| {what} | {percentage} | {covered} | {missed} |");
            }
        }
        if self.status == "INCOMPLETE" {
            text.push_str("\nThe report is incomplete: there was no file of it, or one cannot be read.\n");
        }
        if self.truncated {
            text.push_str("\nThere are more cases than a report keeps; failed ones come first.\n");
        }
        text
    }
}

impl TestCase {
    fn full_name(&self) -> String {
        if self.prefix.is_empty() { self.name.clone() } else { format!("{}.{}", self.prefix, self.name) }
    }

    /// At its place, when that is one in the repository.
    fn annotation(&self, hide: impl Fn(&str) -> String) -> Option<Annotation> {
        let file = self.source_file.as_deref()?;
        let path = file.strip_prefix("./").unwrap_or(file).replace('\\', "/");
        if path.starts_with('/') || path.contains(':') || path.split('/').any(|part| part == "..") {
            return None;
        }
        let line = self.source_line?;
        let name = hide(&self.full_name());
        let message = hide(&self.message);
        Some(Annotation {
            path: hide(&path),
            start_line: line,
            end_line: line,
            annotation_level: "failure",
            // Neither may be empty.
            message: if message.trim().is_empty() { format!("{name} failed") } else { message },
            title: clip(&name, MAX_TITLE),
        })
    }

    /// As a block of code, so that nothing in it is Markdown.
    fn describe(&self, text: &mut String) {
        let name = self.full_name().replace(['\n', '\r'], " ");
        let _ = write!(text, "\n    {name}\n");
        for line in self.message.lines() {
            let _ = writeln!(text, "        {line}");
        }
    }
}

/// Where the artifacts and the whole log are, as far as they have pages.
fn links(build: &Build, text: &mut String) {
    let artifacts = build.artifacts.iter().chain(&build.secondary_artifacts);
    for (artifact, link) in artifacts.filter_map(|artifact| Some((artifact, artifact.link.as_deref()?))) {
        let name = artifact.artifact_identifier.as_deref().unwrap_or("Artifacts");
        let _ = write!(text, "\n[{name}]({link})\n");
    }
    for (name, link) in [("Log", log_page(build)), ("Log in S3", build.logs.s3_deep_link.as_deref())] {
        if let Some(link) = link {
            let _ = write!(text, "\n[{name}]({link})\n");
        }
    }
}

/// The log's page in CloudWatch, when the log goes there.
fn log_page(build: &Build) -> Option<&str> {
    build.logs.cloud_watch_logs_arn.as_ref().map(|_| build.logs.deep_link.as_str())
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// At most so many characters.
fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(status: &str, cases: Value) -> Value {
        json!({
            "report": {
                "reportGroupArn": "arn:aws:codebuild:r:0:report-group/web-unit", "status": status,
                "testSummary": {
                    "total": 3, "durationInNanoSeconds": 1_500_000_000_u64,
                    "statusCounts": {"SUCCEEDED": 1, "FAILED": 1, "ERROR": 1, "SKIPPED": 0, "UNKNOWN": 0},
                },
            },
            "testCases": cases,
        })
    }

    fn case(name: &str, status: &str, place: Option<(&str, u32)>) -> Value {
        json!({
            "prefix": "Cart", "name": name, "status": status, "message": "expected *2*\nfound hush",
            "sourceFile": place.map(|place| place.0), "sourceLine": place.map(|place| place.1),
        })
    }

    fn of(report: &Value) -> CheckRun {
        CheckRun::of(report, "build (1)", None, |text| text.replace("hush", "***")).unwrap()
    }

    #[test]
    fn failed_tests_stand_at_their_lines_or_in_the_text() {
        let run = of(&report(
            "FAILED",
            json!([
                case("adds", "FAILED", Some(("./src/cart.c", 7))),
                case("is empty", "SUCCEEDED", Some(("src/cart.c", 1))),
                case("lost", "ERROR", None),
                case("outside", "FAILED", Some(("/usr/lib/x.c", 3))),
                case("above", "FAILED", Some(("../x.c", 3))),
            ]),
        ));
        assert_eq!((run.name.as_str(), run.conclusion), ("web-unit / build (1)", "failure"));
        let [annotation] = run.annotations.as_slice() else { panic!("{:?}", run.annotations) };
        assert_eq!(
            (annotation.path.as_str(), annotation.start_line, annotation.title.as_str()),
            ("src/cart.c", 7, "Cart.adds")
        );
        assert_eq!(annotation.message, "expected *2*\nfound ***");
        let Output { title, summary, text } = run.output;
        assert_eq!(title, "2 of 3 tests failed");
        assert!(summary.contains("| 3 | 1 | 1 | 1 | 0 | 0 | 1.500 s |"), "{summary}");
        assert!(text.contains("\n    Cart.lost\n        expected *2*\n        found ***\n"), "{text}");
        assert!(text.contains("Cart.outside") && text.contains("Cart.above"), "{text}");
        assert!(!text.contains("Cart.adds") && !text.contains("is empty"), "{text}");
    }

    #[test]
    fn coverage_has_percentages_and_what_is_incomplete_is_neutral() {
        let run = of(&json!({"report": {
            "reportGroupArn": "web-cover", "status": "INCOMPLETE",
            "codeCoverageSummary": {
                "lineCoveragePercentage": 85.5, "linesCovered": 171, "linesMissed": 29,
                "branchesCovered": 0, "branchesMissed": 0,
            },
        }}));
        assert_eq!((run.name.as_str(), run.conclusion), ("web-cover / build (1)", "neutral"));
        assert_eq!(run.output.title, "85.50 % of lines covered, incomplete");
        assert!(run.output.summary.contains("| Lines | 85.50 % | 171 | 29 |"), "{}", run.output.summary);
        assert!(run.output.summary.contains("| Branches | – |"), "{}", run.output.summary);
        assert!(CheckRun::of(&json!({"other": 1}), "x", None, str::to_owned).is_none());
    }

    #[test]
    fn the_whole_log_and_artifacts_are_linked() {
        let build: Build = serde_json::from_value(json!({
            "id": "p:u", "arn": "", "buildNumber": 1, "startTime": "2026-01-01T00:00:00Z", "currentPhase": "COMPLETED",
            "buildStatus": "SUCCEEDED", "projectName": "p", "phases": [], "source": {"type": "NO_SOURCE"},
            "artifacts": {"location": "arn:aws:s3:::b/k", "link": "https://s3/b/k", "files": 1, "bytes": 1},
            "cache": {}, "environment": {"type": "", "image": "", "computeType": "", "privilegedMode": false},
            "logs": {
                "groupName": "", "streamName": "", "deepLink": "https://logs/u", "cloudWatchLogsArn": "arn:aws:logs:x",
            },
            "timeoutInMinutes": 1, "queuedTimeoutInMinutes": 1, "buildComplete": true, "initiator": "",
            "autoRetryConfig": {"autoRetryLimit": 0, "autoRetryNumber": 0}, "debugSession": {"sessionEnabled": false},
        }))
        .unwrap();
        let run = CheckRun::of(&report("SUCCEEDED", json!([])), "j", Some(&build), str::to_owned).unwrap();
        assert_eq!((run.details_url.as_deref(), run.conclusion), (Some("https://logs/u"), "success"));
        let summary = run.output.summary;
        assert!(
            summary.contains("[Artifacts](https://s3/b/k)") && summary.contains("[Log](https://logs/u)"),
            "{summary}"
        );
    }

    #[test]
    fn texts_are_as_long_as_the_api_takes() {
        let cases: Vec<Value> = (0..400)
            .map(|_| json!({"prefix": "", "name": "ä".repeat(300), "status": "FAILED", "message": ""}))
            .collect();
        let run = of(&report("FAILED", json!(cases)));
        assert_eq!(run.output.text.chars().count(), MAX_TEXT);
        let cases = json!([{
            "prefix": "", "name": "ä".repeat(300), "status": "FAILED", "message": "", "sourceFile": "a", "sourceLine": 1,
        }]);
        let run = of(&report("FAILED", cases));
        assert_eq!(run.annotations[0].title.chars().count(), MAX_TITLE);
        assert!(run.annotations[0].message.ends_with(" failed"));
    }
}
