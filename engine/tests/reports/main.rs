//! Reports: the formats as real tools write them, broken files, reports, batches, the summary and discovery.

#![expect(clippy::unwrap_used, reason = "tests")]

mod broken;
mod discovery;
mod formats;
mod random;
mod report;
mod summary;

use std::path::PathBuf;

use runspan_buildspec::ReportFormat;
use runspan_engine::reports::{Coverage, Execution, FileReport, ReportError, TestResults, parse};

/// Every sample file, with its format.
const SAMPLES: [(&str, ReportFormat); 16] = [
    ("pytest.xml", ReportFormat::JunitXml),
    ("surefire.xml", ReportFormat::JunitXml),
    ("jest.xml", ReportFormat::JunitXml),
    ("go-junit.xml", ReportFormat::JunitXml),
    ("gtest.xml", ReportFormat::JunitXml),
    ("node-test.xml", ReportFormat::JunitXml),
    ("nunit2.xml", ReportFormat::NunitXml),
    ("nunit3.xml", ReportFormat::Nunit3Xml),
    ("testng.xml", ReportFormat::TestNgXml),
    ("cucumber-js.json", ReportFormat::CucumberJson),
    ("cucumber-jvm.json", ReportFormat::CucumberJson),
    ("mstest.trx", ReportFormat::VisualStudioTrx),
    ("jacoco.xml", ReportFormat::JacocoXml),
    ("cobertura.xml", ReportFormat::CoberturaXml),
    ("clover-istanbul.xml", ReportFormat::CloverXml),
    ("simplecov.resultset.json", ReportFormat::SimpleCov),
];

fn sample(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/reports").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn tests_of(format: ReportFormat, bytes: &[u8]) -> Result<TestResults, ReportError> {
    parse(format, "report", bytes).map(|report| match report {
        FileReport::Tests(tests) => tests,
        FileReport::Coverage(_) => panic!("{} gave coverage", format.name()),
    })
}

fn junit(text: &str) -> TestResults {
    tests_of(ReportFormat::JunitXml, text.as_bytes()).unwrap()
}

fn coverage_of(format: ReportFormat, name: &str) -> Coverage {
    match parse(format, name, &sample(name)).unwrap() {
        FileReport::Coverage(coverage) => coverage,
        FileReport::Tests(_) => panic!("{} gave tests", format.name()),
    }
}

fn execution() -> Execution {
    Execution {
        region: "eu-west-1".to_owned(),
        account: "123456789012".to_owned(),
        project: "shop".to_owned(),
        arn: "arn:aws:codebuild:eu-west-1:123456789012:build/shop:0f0f".to_owned(),
    }
}
