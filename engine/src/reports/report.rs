//! Reports of a build and of a batch, in the shape of CodeBuild's API.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use runspan_buildspec::ReportFormat;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::project::ReportExportConfig;

use super::{CodeCoverage, Coverage, FileReport, ReportError, TestCase, TestResults, TestStatus};

/// Report groups that a buildspec may name.
pub const MAX_REPORT_GROUPS: usize = 5;
/// How long CodeBuild keeps a report.
const RETENTION: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The build or batch that a report belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// AWS region.
    pub region: String,
    /// AWS account.
    pub account: String,
    /// Project name.
    pub project: String,
    /// ARN of the build or batch build; a report's `executionId`.
    pub arn: String,
}

/// A report group, known by its ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportGroup {
    arn: String,
}

impl ReportGroup {
    /// The group that a key of the buildspec's `reports` names: an ARN, or `name` for `<project>-<name>`.
    pub fn of(execution: &Execution, name_or_arn: &str) -> Self {
        if name_or_arn.starts_with("arn:") {
            return Self { arn: name_or_arn.to_owned() };
        }
        let Execution { region, account, project, .. } = execution;
        Self { arn: format!("arn:aws:codebuild:{region}:{account}:report-group/{project}-{name_or_arn}") }
    }

    /// The group of auto-discovered files: `<project>-<FORMAT>-AutoDiscovered`.
    pub fn auto_discovered(execution: &Execution, format: ReportFormat) -> Self {
        Self::of(execution, &format!("{}-AutoDiscovered", format.name()))
    }

    pub(super) fn of_arn(arn: &str) -> Self {
        Self { arn: arn.to_owned() }
    }

    /// The ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The name, with the project's.
    pub fn name(&self) -> &str {
        self.arn.split_once(":report-group/").map_or(&self.arn, |(_, name)| name)
    }

    fn report_arn(&self, id: Uuid) -> String {
        format!("{}:{id}", self.arn.replacen(":report-group/", ":report/", 1))
    }
}

/// How a report ended, from best to worst: of several the worst counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReportStatus {
    /// All files were read and no test failed.
    Succeeded,
    /// There was no file, or one could not be read.
    Incomplete,
    /// A test failed.
    Failed,
}

impl ReportStatus {
    /// CodeBuild's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Incomplete => "INCOMPLETE",
            Self::Failed => "FAILED",
        }
    }
}

/// A test or code coverage report. It never changes the status of its build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The last part of the ARN.
    pub id: Uuid,
    /// Its group.
    pub group: ReportGroup,
    /// ARN of the build or batch build.
    pub execution_id: String,
    /// When it was made.
    pub created: Timestamp,
    /// `status`.
    pub status: ReportStatus,
    /// What the files say, without those that could not be read.
    pub results: FileReport,
    /// What is missing from the results, and why.
    pub problems: Vec<ReportError>,
    /// Where its files went, when they did.
    pub export: Option<ReportExportConfig>,
}

impl Report {
    /// A report of a group's files.
    pub fn assemble(
        execution: &Execution,
        group: ReportGroup,
        format: ReportFormat,
        files: impl IntoIterator<Item = Result<FileReport, ReportError>>,
        id: Uuid,
        created: Timestamp,
    ) -> Self {
        let mut results = FileReport::empty(format.is_coverage());
        let mut problems = Vec::new();
        let mut is_empty = true;
        for file in files {
            is_empty = false;
            match file {
                Ok(file) => results.append(file),
                Err(problem) => problems.push(problem),
            }
        }
        let incomplete = is_empty || !problems.is_empty();
        let status = if results.has_failures() {
            ReportStatus::Failed
        } else if incomplete {
            ReportStatus::Incomplete
        } else {
            ReportStatus::Succeeded
        };
        Self {
            id,
            group,
            execution_id: execution.arn.clone(),
            created,
            status,
            results,
            problems,
            export: None,
        }
    }

    /// One report of what the members of a batch reported to one group. `None` when none of them did.
    /// `expected` is how many should have: the merged report is INCOMPLETE when one is missing, or reported coverage
    /// where the first reported tests.
    pub fn merge(
        batch: &Execution,
        group: ReportGroup,
        members: &[Self],
        expected: usize,
        id: Uuid,
        created: Timestamp,
    ) -> Option<Self> {
        let is_coverage = members.first()?.results.is_coverage();
        let mut report = Self {
            id,
            group,
            execution_id: batch.arn.clone(),
            created,
            status: ReportStatus::Succeeded,
            results: FileReport::empty(is_coverage),
            problems: Vec::new(),
            export: None,
        };
        let mut merged = 0;
        for member in members.iter().filter(|member| member.results.is_coverage() == is_coverage) {
            merged += 1;
            report.status = report.status.max(member.status);
            report.results.merge(member.results.clone());
            report.problems.extend(member.problems.iter().cloned());
        }
        if merged < expected.max(members.len()) {
            report.status = report.status.max(ReportStatus::Incomplete);
        }
        Some(report)
    }

    /// Every text that the build's commands wrote.
    pub(crate) fn texts_mut(&mut self) -> Vec<&mut String> {
        let FileReport::Tests(tests) = &mut self.results else { return Vec::new() };
        let cases = tests.cases_mut().flat_map(|case| {
            let TestCase { test_raw_data_path, prefix, name, message, test_suite_name, place, .. } = case;
            let file = place.as_mut().map(|place| &mut place.file);
            [test_raw_data_path, prefix, name, message, test_suite_name].into_iter().chain(file)
        });
        cases.collect()
    }

    /// Makes places below the directory of the source relative to it.
    pub(crate) fn place_in(&mut self, source: &str) {
        let FileReport::Tests(tests) = &mut self.results else { return };
        for place in tests.cases_mut().filter_map(|case| case.place.as_mut()) {
            if let Ok(below) = Path::new(&place.file).strip_prefix(source) {
                place.file = below.to_string_lossy().into_owned();
            }
        }
    }

    /// The ARN.
    pub fn arn(&self) -> String {
        self.group.report_arn(self.id)
    }

    /// The report as CodeBuild's API gives it in three answers: `report` as in BatchGetReports, and `testCases` as in
    /// DescribeTestCases or `codeCoverages` as in DescribeCodeCoverages. Times are written as the AWS CLI writes them.
    pub fn to_json(&self) -> Value {
        let arn = self.arn();
        let expired = self.created.saturating_add(RETENTION).unwrap_or(Timestamp::MAX).to_string();
        let mut report = json!({
            "arn": arn,
            "type": if self.results.is_coverage() { "CODE_COVERAGE" } else { "TEST" },
            "name": format!("{}:{}", self.group.name(), self.id),
            "reportGroupArn": self.group.arn(),
            "executionId": self.execution_id,
            "status": self.status.name(),
            "created": self.created.to_string(),
            "expired": expired,
            "exportConfig": self.export.clone().unwrap_or_default(),
            "truncated": false,
        });
        match &self.results {
            FileReport::Tests(tests) => {
                report["truncated"] = tests.truncated().into();
                report["testSummary"] = test_summary(tests);
                json!({ "report": report, "testCases": test_cases(tests, &arn, &expired) })
            }
            FileReport::Coverage(coverage) => {
                report["codeCoverageSummary"] = coverage_members(coverage.summary()).into();
                let files: Vec<Value> = code_coverages(coverage, self.id, &arn, &expired);
                json!({ "report": report, "codeCoverages": files })
            }
        }
    }
}

impl FileReport {
    fn empty(is_coverage: bool) -> Self {
        if is_coverage { Self::Coverage(Coverage::default()) } else { Self::Tests(TestResults::default()) }
    }

    /// Whether this is code coverage.
    pub fn is_coverage(&self) -> bool {
        matches!(self, Self::Coverage(_))
    }

    fn has_failures(&self) -> bool {
        matches!(self, Self::Tests(tests) if !tests.failures().is_empty())
    }

    /// Another file of the same group; one format gives one kind.
    fn append(&mut self, other: Self) {
        match (self, other) {
            (Self::Tests(all), Self::Tests(more)) => all.append(more),
            (Self::Coverage(all), Self::Coverage(more)) => all.append(more),
            _ => debug_assert!(false, "a group holds tests or coverage, not both"),
        }
    }

    /// Another member of the same group.
    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Tests(all), Self::Tests(more)) => all.merge(more),
            (Self::Coverage(all), Self::Coverage(more)) => all.merge(more),
            _ => debug_assert!(false, "a group holds tests or coverage, not both"),
        }
    }
}

fn test_summary(tests: &TestResults) -> Value {
    let counts: Map<String, Value> = TestStatus::ALL
        .iter()
        .map(|&status| (status.name().to_owned(), tests.count(status).into()))
        .collect();
    json!({
        "total": tests.total(),
        "statusCounts": counts,
        "durationInNanoSeconds": tests.duration_in_nano_seconds(),
    })
}

fn test_cases(tests: &TestResults, arn: &str, expired: &str) -> Vec<Value> {
    let case = tests.cases().map(|case| {
        let mut member = json!({
            "reportArn": arn,
            "testRawDataPath": case.test_raw_data_path,
            "prefix": case.prefix,
            "name": case.name,
            "status": case.status.name(),
            "durationInNanoSeconds": case.duration_in_nano_seconds,
            "message": case.message,
            "expired": expired,
            "testSuiteName": case.test_suite_name,
        });
        if let Some(place) = &case.place {
            member["sourceFile"] = place.file.as_str().into();
            member["sourceLine"] = place.line.into();
        }
        member
    });
    case.collect()
}

fn code_coverages(coverage: &Coverage, report: Uuid, arn: &str, expired: &str) -> Vec<Value> {
    let files = coverage.files().iter().enumerate().map(|(number, (path, &file))| {
        let mut members = coverage_members(file);
        members.insert("id".to_owned(), format!("{report}:{number}").into());
        members.insert("reportARN".to_owned(), arn.into());
        members.insert("filePath".to_owned(), path.as_str().into());
        members.insert("expired".to_owned(), expired.into());
        members.into()
    });
    files.collect()
}

/// The members that a file and a summary share; a percentage of nothing is left out.
fn coverage_members(coverage: CodeCoverage) -> Map<String, Value> {
    let mut members = Map::new();
    for (one, many, counts) in [("line", "lines", coverage.lines), ("branch", "branches", coverage.branches)]
    {
        if let Some(percentage) = counts.percentage() {
            members.insert(format!("{one}CoveragePercentage"), percentage.into());
        }
        members.insert(format!("{many}Covered"), counts.covered.into());
        members.insert(format!("{many}Missed"), counts.missed.into());
    }
    members
}
