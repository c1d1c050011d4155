//! A report as it was written down, read again.

use serde_json::Value;

use super::{
    CodeCoverage, Counts, Coverage, FileReport, Report, ReportGroup, ReportStatus, SourcePlace, TestCase,
    TestResults, TestStatus,
};

impl Report {
    /// What [`Self::to_json`] made of a report, without its problems, which only its log tells.
    pub fn from_json(json: &Value) -> Option<Self> {
        let report = &json["report"];
        let status = text(report, "status");
        let all = [ReportStatus::Succeeded, ReportStatus::Incomplete, ReportStatus::Failed];
        Some(Self {
            id: text(report, "arn").rsplit(':').next()?.parse().ok()?,
            group: ReportGroup::of_arn(text(report, "reportGroupArn")),
            execution_id: text(report, "executionId").to_owned(),
            created: text(report, "created").parse().ok()?,
            status: all.into_iter().find(|known| known.name() == status)?,
            results: match report["type"].as_str()? {
                "TEST" => FileReport::Tests(tests(&report["testSummary"], &json["testCases"])?),
                _ => FileReport::Coverage(coverage(&report["codeCoverageSummary"], &json["codeCoverages"])?),
            },
            problems: Vec::new(),
            export: serde_json::from_value(report["exportConfig"].clone()).ok(),
        })
    }
}

fn tests(summary: &Value, cases: &Value) -> Option<TestResults> {
    let cases = cases.as_array()?.iter().map(|case| {
        let line = case["sourceLine"].as_u64().and_then(|line| line.try_into().ok());
        let place = line.map(|line| SourcePlace { file: text(case, "sourceFile").to_owned(), line });
        TestCase {
            test_raw_data_path: text(case, "testRawDataPath").to_owned(),
            prefix: text(case, "prefix").to_owned(),
            name: text(case, "name").to_owned(),
            status: TestStatus::ALL
                .into_iter()
                .find(|status| status.name() == text(case, "status"))
                .unwrap_or_default(),
            duration_in_nano_seconds: number(case, "durationInNanoSeconds"),
            message: text(case, "message").to_owned(),
            test_suite_name: text(case, "testSuiteName").to_owned(),
            place,
        }
    });
    let counts = TestStatus::ALL.map(|status| number(&summary["statusCounts"], status.name()));
    Some(TestResults::of(counts, number(summary, "durationInNanoSeconds"), cases))
}

fn coverage(summary: &Value, files: &Value) -> Option<Coverage> {
    let files = files.as_array()?.iter().map(|file| (text(file, "filePath").to_owned(), counts(file)));
    Some(Coverage::of(counts(summary), files))
}

fn counts(of: &Value) -> CodeCoverage {
    let counts = |many: &str| Counts {
        covered: number(of, &format!("{many}Covered")),
        missed: number(of, &format!("{many}Missed")),
    };
    CodeCoverage { lines: counts("lines"), branches: counts("branches") }
}

fn text<'a>(of: &'a Value, member: &str) -> &'a str {
    of[member].as_str().unwrap_or_default()
}

fn number(of: &Value, member: &str) -> u64 {
    of[member].as_u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::super::Execution;
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let execution = Execution {
            region: "us-east-1".into(),
            account: "000000000000".into(),
            project: "shop".into(),
            arn: "arn:aws:codebuild:us-east-1:000000000000:build/shop:1".into(),
        };
        let mut tests = TestResults::default();
        // More than a report keeps.
        for number in 0..700 {
            tests.push(TestCase {
                name: format!("case {number}"),
                status: if number % 7 == 0 { TestStatus::Failed } else { TestStatus::Succeeded },
                duration_in_nano_seconds: number,
                message: "why".into(),
                place: (number == 0).then(|| SourcePlace { file: "a.rs".into(), line: 3 }),
                ..TestCase::default()
            });
        }
        let mut coverage = Coverage::default();
        for path in ["a", "b"] {
            let lines = Counts { covered: 3, missed: 1 };
            coverage.insert(path, CodeCoverage { lines, branches: Counts::default() });
        }
        for results in [FileReport::Tests(tests), FileReport::Coverage(coverage)] {
            let report = Report {
                id: Uuid::new_v4(),
                group: ReportGroup::of(&execution, "unit"),
                execution_id: execution.arn.clone(),
                created: Timestamp::now(),
                status: ReportStatus::Failed,
                results,
                problems: Vec::new(),
                export: None,
            };
            let json = report.to_json();
            let read = Report::from_json(&json).unwrap();
            assert_eq!(read.to_json(), json);
            assert_eq!((read.id, read.group, read.created), (report.id, report.group, report.created));
        }
        assert_eq!(Report::from_json(&Value::Null), None);
    }
}
