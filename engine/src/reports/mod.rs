//! Test and code coverage reports: result files in, CodeBuild's reports and a summary for people out.
//!
//! Nothing here touches the disk. [`parse`] reads one file's bytes, [`Report::assemble`] makes a report of a group's
//! files, [`Report::merge`] one of a batch's reports, [`summary`] the text at the end of the log, and
//! [`discover`] tells a file's format when the buildspec has no `reports`.

mod clover;
mod cobertura;
mod coverage;
mod cucumber;
mod discover;
mod error;
mod jacoco;
mod junit;
mod kept;
mod nunit;
mod nunit3;
mod report;
mod simplecov;
mod source;
mod summary;
mod test_case;
mod testng;
mod trx;
mod xml;

pub use coverage::*;
pub use discover::*;
pub use error::*;
pub use report::*;
pub use summary::*;
pub use test_case::*;

use runspan_buildspec::ReportFormat;
use source::{Source, decode};

/// What one or more report files say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileReport {
    /// Of a format for tests.
    Tests(TestResults),
    /// Of a format for code coverage.
    Coverage(Coverage),
}

/// Reads a report file. `file_name` becomes `testRawDataPath` and names the file in errors.
///
/// # Errors
/// When the file is empty, cut off, not well-formed or of another format.
pub fn parse(format: ReportFormat, file_name: &str, bytes: &[u8]) -> Result<FileReport, ReportError> {
    let text = decode(bytes);
    if text.trim().is_empty() {
        return Err(ReportError::Empty { file: file_name.to_owned() });
    }
    let source = Source { file: file_name, format, text: &text };
    match format {
        ReportFormat::JunitXml => junit::parse(&source).map(FileReport::Tests),
        ReportFormat::CucumberJson => cucumber::parse(&source).map(FileReport::Tests),
        ReportFormat::NunitXml => nunit::parse(&source).map(FileReport::Tests),
        ReportFormat::Nunit3Xml => nunit3::parse(&source).map(FileReport::Tests),
        ReportFormat::TestNgXml => testng::parse(&source).map(FileReport::Tests),
        ReportFormat::VisualStudioTrx => trx::parse(&source).map(FileReport::Tests),
        ReportFormat::CloverXml => clover::parse(&source).map(FileReport::Coverage),
        ReportFormat::CoberturaXml => cobertura::parse(&source).map(FileReport::Coverage),
        ReportFormat::JacocoXml => jacoco::parse(&source).map(FileReport::Coverage),
        ReportFormat::SimpleCov => simplecov::parse(&source).map(FileReport::Coverage),
    }
}
