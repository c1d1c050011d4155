use jiff::Timestamp;
use runspan_buildspec::ReportFormat;
use runspan_engine::reports::{FileReport, Report, ReportGroup, ReportStatus, parse};
use serde_json::json;
use uuid::Uuid;

use crate::{SAMPLES, execution, sample};

const ID: Uuid = Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);

fn format_of(name: &str) -> ReportFormat {
    SAMPLES.iter().find(|(sample, _)| *sample == name).unwrap().1
}

/// A report of group `name` made of samples.
pub(crate) fn report(group: &str, samples: &[&str]) -> Report {
    let format = format_of(samples[0]);
    let files = samples.iter().map(|name| parse(format, name, &sample(name)));
    Report::assemble(
        &execution(),
        ReportGroup::of(&execution(), group),
        format,
        files,
        ID,
        Timestamp::UNIX_EPOCH,
    )
}

/// A report of group `name` made of texts.
pub(crate) fn report_of(group: &str, format: ReportFormat, texts: &[&str]) -> Report {
    let files = texts.iter().map(|text| parse(format, "out/r.xml", text.as_bytes()));
    Report::assemble(
        &execution(),
        ReportGroup::of(&execution(), group),
        format,
        files,
        ID,
        Timestamp::UNIX_EPOCH,
    )
}

fn merged(members: &[Report], expected: usize) -> Report {
    let group = ReportGroup::of(&execution(), "unit");
    Report::merge(&execution(), group, members, expected, ID, Timestamp::UNIX_EPOCH).unwrap()
}

#[test]
fn a_group_is_a_name_of_the_project_or_an_arn() {
    let named = ReportGroup::of(&execution(), "unit");
    assert_eq!(named.arn(), "arn:aws:codebuild:eu-west-1:123456789012:report-group/shop-unit");
    assert_eq!(named.name(), "shop-unit");
    let arn = "arn:aws:codebuild:us-east-1:210987654321:report-group/shared";
    let shared = ReportGroup::of(&execution(), arn);
    assert_eq!((shared.arn(), shared.name()), (arn, "shared"));
}

#[test]
fn test_report_in_the_shape_of_the_api() {
    let report = report("unit", &["go-junit.xml", "surefire.xml"]);
    let json = report.to_json();
    assert_eq!(
        json["report"],
        json!({
            "arn": "arn:aws:codebuild:eu-west-1:123456789012:report/shop-unit:01234567-89ab-4def-8123-456789abcdef",
            "type": "TEST",
            "name": "shop-unit:01234567-89ab-4def-8123-456789abcdef",
            "reportGroupArn": "arn:aws:codebuild:eu-west-1:123456789012:report-group/shop-unit",
            "executionId": "arn:aws:codebuild:eu-west-1:123456789012:build/shop:0f0f",
            "status": "FAILED",
            "created": "1970-01-01T00:00:00Z",
            "expired": "1970-01-31T00:00:00Z",
            "exportConfig": { "exportConfigType": "NO_EXPORT" },
            "truncated": false,
            "testSummary": {
                "total": 8,
                "statusCounts": { "SUCCEEDED": 2, "FAILED": 3, "ERROR": 1, "SKIPPED": 2, "UNKNOWN": 0 },
                "durationInNanoSeconds": 1_234_731_000_000_u64,
            },
        })
    );
    assert_eq!(json["testCases"].as_array().unwrap().len(), 8);
    assert_eq!(
        json["testCases"][3],
        json!({
            "reportArn": json["report"]["arn"],
            "testRawDataPath": "surefire.xml",
            "prefix": "com.example.CalculatorTest",
            "name": "divides",
            "status": "ERROR",
            "durationInNanoSeconds": 100_000_000,
            "message": "java.lang.ArithmeticException: / by zero\n\tat com.example.Calculator.divide(Calculator.java:9)",
            "expired": "1970-01-31T00:00:00Z",
            "testSuiteName": "com.example.CalculatorTest",
        })
    );
}

#[test]
fn coverage_report_in_the_shape_of_the_api() {
    let json = report("cov", &["jacoco.xml"]).to_json();
    assert_eq!(json["report"]["type"], "CODE_COVERAGE");
    assert_eq!(json["report"]["status"], "SUCCEEDED");
    assert_eq!(
        json["report"]["codeCoverageSummary"],
        json!({
            "lineCoveragePercentage": 37.5, "linesCovered": 3, "linesMissed": 5,
            "branchCoveragePercentage": 50.0, "branchesCovered": 1, "branchesMissed": 1,
        })
    );
    assert_eq!(
        json["codeCoverages"][2],
        json!({
            "id": "01234567-89ab-4def-8123-456789abcdef:2", "reportARN": json["report"]["arn"],
            "filePath": "org/other/Deep.kt", "expired": "1970-01-31T00:00:00Z",
            "lineCoveragePercentage": 0.0, "linesCovered": 0, "linesMissed": 4,
            "branchesCovered": 0, "branchesMissed": 0,
        }),
        "no percentage of no branches"
    );
}

#[test]
fn status_of_a_report() {
    let ok = "<testsuite><testcase name='a'/><testcase name='b'><skipped/></testcase></testsuite>";
    let failed = "<testsuite><testcase name='a'><failure/></testcase></testsuite>";
    let status = |texts: &[&str]| report_of("unit", ReportFormat::JunitXml, texts).status;
    assert_eq!(status(&[ok]), ReportStatus::Succeeded);
    assert_eq!(status(&[ok, failed]), ReportStatus::Failed);
    assert_eq!(status(&[]), ReportStatus::Incomplete);
    assert_eq!(status(&[ok, "<testsuite>"]), ReportStatus::Incomplete);
    assert_eq!(status(&[failed, "<testsuite>"]), ReportStatus::Failed);
    assert_eq!(report_of("cov", ReportFormat::JacocoXml, &["<report/>"]).status, ReportStatus::Succeeded);
    assert_eq!(report_of("cov", ReportFormat::JacocoXml, &["<report>"]).status, ReportStatus::Incomplete);
}

#[test]
fn members_of_a_batch_merge() {
    let one = report("unit", &["go-junit.xml"]);
    let two = report("unit", &["surefire.xml"]);
    let json = merged(&[one.clone(), two], 2).to_json();
    assert_eq!(json["report"]["status"], "FAILED");
    assert_eq!(json["report"]["testSummary"]["total"], 8);
    assert_eq!(json["report"]["testSummary"]["durationInNanoSeconds"], 1_234_611_000_000_u64, "the longest");

    let ok = report_of("unit", ReportFormat::JunitXml, &["<testsuite><testcase name='a'/></testsuite>"]);
    let broken = report_of("unit", ReportFormat::JunitXml, &["<testsuite>"]);
    assert_eq!(merged(&[ok.clone(), ok.clone()], 2).status, ReportStatus::Succeeded);
    assert_eq!(merged(&[ok.clone(), broken.clone()], 2).status, ReportStatus::Incomplete);
    assert_eq!(merged(&[ok.clone(), broken], 2).problems.len(), 1);
    assert_eq!(merged(std::slice::from_ref(&ok), 2).status, ReportStatus::Incomplete, "a member is missing");
    assert_eq!(merged(&[ok.clone(), one], 3).status, ReportStatus::Failed);
    let odd = merged(&[ok, report("unit", &["jacoco.xml"])], 2);
    assert_eq!(odd.status, ReportStatus::Incomplete, "coverage cannot join tests");
    let group = ReportGroup::of(&execution(), "unit");
    assert_eq!(Report::merge(&execution(), group, &[], 1, ID, Timestamp::UNIX_EPOCH), None);
}

#[test]
fn merged_coverage_takes_the_best_entry_and_the_sum() {
    let file = |missed: u64, covered: u64, branches: u64| {
        let text = format!(
            "<report><package name='p'><sourcefile name='A.java'><counter type='LINE' missed='{missed}' \
             covered='{covered}'/><counter type='BRANCH' missed='{}' covered='{branches}'/></sourcefile></package></report>",
            4 - branches
        );
        report_of("cov", ReportFormat::JacocoXml, &[&text])
    };
    let merged = merged(&[file(5, 5, 1), file(2, 8, 1), file(2, 8, 3), file(9, 1, 4)], 4);
    let FileReport::Coverage(coverage) = &merged.results else { panic!("coverage expected") };
    let best = coverage.files()["p/A.java"];
    assert_eq!((best.lines.covered, best.branches.covered), (8, 3));
    let sum = coverage.summary();
    assert_eq!((sum.lines.covered, sum.lines.missed, sum.branches.covered), (22, 18, 9));

    let [one, two] = ["<package name='p'><sourcefile name='A'><counter type='LINE' missed='1' covered='1'/></sourcefile></package>",
        "<package name='p'><sourcefile name='A'><counter type='LINE' missed='0' covered='2'/></sourcefile></package>"]
        .map(|package| format!("<report>{package}</report>"));
    let files = report_of("cov", ReportFormat::JacocoXml, &[&one, &two]);
    let FileReport::Coverage(coverage) = &files.results else { panic!("coverage expected") };
    assert_eq!(
        coverage.summary().lines.percentage(),
        Some(100.0),
        "in one build the summary is that of the files"
    );
}
