//! Every file below a directory, in one report.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use runspan_buildspec::{Coverage, Translation, write};
use runspan_pipelines::Selection;
use serde_json::json;
use walkdir::{DirEntry, WalkDir};

use super::{ReportFormat, page, report, store};
use crate::console;
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::parallel;
use crate::translators::{FileFormat, SourceFile};

/// A file with what became of it.
pub(super) struct Translated {
    pub(super) file: SourceFile,
    pub(super) translation: Translation,
    /// Empty when the file has errors.
    pub(super) buildspec: String,
}

impl Translated {
    /// Of one file.
    pub(super) fn of(file: SourceFile, translation: Translation) -> Self {
        // What nobody starts by itself is shown nevertheless.
        let mut shown = translation.clone();
        shown.jobs.iter_mut().for_each(|job| job.on_demand = false);
        let whole = shown.buildspec();
        let buildspec = whole.map(|(buildspec, comments)| write(&buildspec, &comments)).unwrap_or_default();
        Self { file, translation, buildspec }
    }
}

/// Translates a whole tree.
pub(super) fn translate(tree: &Path, to: &Path, format: ReportFormat) -> Result<Exit, Failure> {
    if !tree.is_dir() {
        return Err(Failure::input(format!("{} is no directory", tree.display())));
    }
    let all = translate_all(tree, &candidates(tree));
    if all.is_empty() {
        return Err(Failure::input(format!("nothing below {} can be translated", tree.display()))
            .help("workflows lie in .github/workflows; a Jenkinsfile and a bitbucket-pipelines.yml have their names"));
    }
    let text = match format {
        ReportFormat::Text => {
            all.iter().map(|each| report::text(&each.file, &each.translation)).collect::<String>()
        }
        ReportFormat::Json => {
            let files: Vec<_> = all
                .iter()
                .map(|each| {
                    let mut value = report::json(&each.file, &each.translation);
                    value["buildspec"] = json!(each.buildspec);
                    value
                })
                .collect();
            format!("{:#}\n", json!({ "files": files }))
        }
        ReportFormat::Html => page::of_tree(&tree.to_string_lossy(), &all),
    };
    if to == Path::new("-") {
        console::print(&text)
    } else {
        store(to, &text)?
    }
    console::note(summary(&all).trim_end());
    let coverage = coverage(&all);
    Ok(if coverage.manual > 0 || all.iter().any(|each| each.translation.has_errors()) {
        Exit::Manual
    } else {
        Exit::Success
    })
}

/// The sum over files.
pub(super) fn coverage<'a>(all: impl IntoIterator<Item = &'a Translated>) -> Coverage {
    let mut sum = Coverage::default();
    all.into_iter().for_each(|each| sum += each.translation.coverage());
    sum
}

fn summary(all: &[Translated]) -> String {
    let rows: Vec<[String; 6]> = FileFormat::ALL
        .iter()
        .filter_map(|format| {
            let of_format: Vec<&Translated> = all.iter().filter(|each| each.file.format == *format).collect();
            let faulty = of_format.iter().filter(|each| each.translation.has_errors()).count();
            let jobs: usize = of_format.iter().map(|each| each.translation.jobs.len()).sum();
            let coverage = coverage(of_format.iter().copied());
            (!of_format.is_empty()).then(|| {
                [
                    format.name().to_owned(),
                    of_format.len().to_string(),
                    faulty.to_string(),
                    jobs.to_string(),
                    format!("{:.1} %", coverage.ratio() * 100.0),
                    coverage.manual.to_string(),
                ]
            })
        })
        .collect();
    console::table(["FORMAT", "FILES", "FAULTY", "JOBS", "DONE", "MANUAL"], &rows)
}

/// Files that may be something, by their names.
fn candidates(tree: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in WalkDir::new(tree).sort_by_file_name().into_iter().filter_entry(is_source) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                console::note(&format!("warning: left out: {error}"));
                continue;
            }
        };
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let may_be = name.ends_with(".yml")
            || name.ends_with(".yaml")
            || name.contains("jenkinsfile")
            || name.ends_with(".groovy");
        if entry.file_type().is_file() && may_be {
            found.push(entry.into_path());
        }
    }
    found
}

fn is_source(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    name != ".git" && name != "node_modules" && name != "vendor"
}

/// Translates files on every processor; the results are in the files' order. What cannot be read is told and left out.
fn translate_all(tree: &Path, files: &[PathBuf]) -> Vec<Translated> {
    let progress = progress(files.len());
    let all = parallel::each(files, |path| {
        let read = SourceFile::read(path).map(|file| {
            file.map(|file| {
                let name = path.strip_prefix(tree).unwrap_or(path).to_string_lossy().into_owned();
                let translation = file.translate(&Selection::default());
                Translated::of(SourceFile { name, ..file }, translation)
            })
        });
        progress.inc(1);
        read
    });
    progress.finish_and_clear();
    let told = |failure: &Failure| console::complain(failure);
    all.into_iter().filter_map(|read| read.inspect_err(told).ok().flatten()).collect()
}

fn progress(files: usize) -> ProgressBar {
    let target =
        if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("translating {bar:30} {pos} of {len} files");
    let bar = ProgressBar::with_draw_target(Some(files as u64), target);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
