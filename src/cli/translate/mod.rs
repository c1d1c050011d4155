//! `runspan translate`.

mod organisation;
mod page;
mod report;

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use runspan_buildspec::{Severity, Translation, render, write};

use crate::console;
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::translators::{Chosen, SourceFile, choose, selection};

/// Turn a workflow, a Jenkinsfile or a bitbucket-pipelines.yml into a buildspec.
///
/// Exit status: 0 nothing is left to do; 2 bad input; 4 a person has to do the rest, as the report says.
#[derive(Debug, Args)]
pub(super) struct TranslateArgs {
    /// The file.
    #[arg(value_name = "FILE", required_unless_present = "tree", conflicts_with = "tree")]
    file: Option<PathBuf>,
    /// Every such file below a directory, as one report.
    #[arg(long, value_name = "DIR", requires = "report")]
    tree: Option<PathBuf>,
    /// Where the buildspec goes [default: standard output].
    #[arg(short, long, value_name = "FILE", conflicts_with = "tree")]
    output: Option<PathBuf>,
    /// One job of it; of a bitbucket-pipelines.yml also a pipeline, as in `branches.main`.
    #[arg(long, value_name = "NAME", conflicts_with = "tree")]
    job: Option<String>,
    /// Where the account of every construct goes; `-` prints it, in place of the buildspec unless that has a file.
    #[arg(long, value_name = "FILE|-")]
    report: Option<PathBuf>,
    /// How the report is written [default: by the name of its file, else text].
    #[arg(long, value_enum)]
    format: Option<ReportFormat>,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people: what is not exact, and counts.
    Text,
    /// For programs: everything.
    Json,
    /// A page that stands by itself.
    Html,
}

impl ReportFormat {
    /// By the name of the file.
    fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Self::Json,
            Some("html" | "htm") => Self::Html,
            _ => Self::Text,
        }
    }
}

/// Translates.
pub(super) fn translate(args: &TranslateArgs) -> Result<Exit, Failure> {
    let format = args.format.or_else(|| args.report.as_deref().map(ReportFormat::of));
    let format = format.unwrap_or(ReportFormat::Text);
    if let Some(tree) = &args.tree {
        let report = args.report.as_deref().unwrap_or(Path::new("-"));
        return organisation::translate(tree, report, format);
    }
    let path = args.file.as_deref().unwrap_or(Path::new("-"));
    let file = SourceFile::read(path)?.ok_or_else(|| {
        Failure::input(format!("{} is nothing that can be translated", path.display()))
            .help("name a GitHub workflow, a Jenkinsfile or a bitbucket-pipelines.yml")
    })?;
    let translation = file.translate(&selection(args.job.as_deref()));
    if translation.has_errors() {
        return Err(faulty(&file, &translation));
    }
    warn(&file, &translation);
    let text = buildspec(&file, &translation, args.job.as_deref())?;
    let to_stdout = args.report.as_deref() == Some(Path::new("-"));
    match &args.output {
        Some(path) => store(path, &text)?,
        None if to_stdout => {}
        None => console::print(&text),
    }
    match &args.report {
        Some(path) => {
            let report = match format {
                ReportFormat::Text => report::text(&file, &translation),
                ReportFormat::Json => format!("{:#}\n", report::json(&file, &translation)),
                ReportFormat::Html => page::of_file(&file, &translation, &text),
            };
            if to_stdout { console::print(&report) } else { store(path, &report)? }
        }
        None => console::note(report::manual(&file, &translation).trim_end()),
    }
    Ok(if translation.coverage().manual > 0 { Exit::Manual } else { Exit::Success })
}

/// The text of what was asked for.
fn buildspec(file: &SourceFile, translation: &Translation, job: Option<&str>) -> Result<String, Failure> {
    let whole = match choose(file, translation, job)? {
        Chosen::All => translation.buildspec(),
        Chosen::One(job) => Some(job.alone()),
    };
    Ok(whole.map(|(buildspec, comments)| write(&buildspec, &comments)).unwrap_or_default())
}

/// Says what is wrong with the file.
pub(super) fn faulty(file: &SourceFile, translation: &Translation) -> Failure {
    show(file, translation, Severity::Error);
    Failure::input(format!("{} cannot be translated: see above", file.name))
}

/// Says what is odd about the file.
pub(super) fn warn(file: &SourceFile, translation: &Translation) {
    show(file, translation, Severity::Warning);
}

fn show(file: &SourceFile, translation: &Translation, severity: Severity) {
    let color = console::colors(io::stderr().is_terminal());
    for found in translation.diagnostics.iter().filter(|found| found.severity() == severity) {
        console::note(render(found, &file.name, &file.text, color).trim_end());
    }
}

fn store(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text)
        .map_err(|error| Failure::input(format!("{} cannot be written", path.display())).because(&error))
}
