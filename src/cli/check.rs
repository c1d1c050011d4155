//! `runspan check`.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use runspan_buildspec::{Diagnostic, Severity, parse_bytes, render, report, strict_aws};
use runspan_pipelines::Selection;
use walkdir::WalkDir;

use crate::console;
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::parallel;
use crate::translators::SourceFile;

/// Say what is wrong with buildspecs, and with files that become one.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Buildspecs, workflows, Jenkinsfiles and bitbucket-pipelines.yml; directories in which every buildspec*.yml is
    /// one.
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// Say too which lines of a buildspec AWS CodeBuild itself does not take, though runspan does.
    #[arg(long)]
    strict_aws: bool,
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t = CheckFormat::Human)]
    format: CheckFormat,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CheckFormat {
    /// For people.
    Human,
    /// For programs.
    Json,
    /// For code hosts: SARIF 2.1.0.
    Sarif,
}

/// A file and what is wrong with it.
struct Checked {
    name: String,
    diagnostics: Vec<Diagnostic>,
    /// Of a file with findings, for people.
    shown: String,
}

impl Checked {
    fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|found| found.severity() == severity).count()
    }
}

/// Checks every file; bad input when one has an error.
pub(super) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let files = buildspecs(&args.paths)?;
    let shown = args.format == CheckFormat::Human;
    let checked = check_all(&files, shown, args.strict_aws)?;
    let found = || {
        checked
            .iter()
            .flat_map(|file| file.diagnostics.iter().map(move |diagnostic| (file.name.as_str(), diagnostic)))
    };
    match args.format {
        CheckFormat::Human => {
            console::print(&checked.iter().map(|file| file.shown.as_str()).collect::<String>());
            console::note(&verdict(&checked));
        }
        CheckFormat::Json => console::print(&format!("{:#}\n", report::json(found()))),
        CheckFormat::Sarif => console::print(&format!("{:#}\n", report::sarif(found()))),
    }
    let failed = checked.iter().any(|file| file.count(Severity::Error) > 0);
    Ok(if failed { Exit::BadInput } else { Exit::Success })
}

fn verdict(checked: &[Checked]) -> String {
    let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let sum = |severity| checked.iter().map(|file| file.count(severity)).sum();
    format!(
        "{} checked: {}, {}",
        number(checked.len(), "file"),
        number(sum(Severity::Error), "error"),
        number(sum(Severity::Warning), "warning")
    )
}

/// The files themselves, and the buildspecs below directories.
fn buildspecs(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        let entries = WalkDir::new(path).sort_by_file_name().into_iter();
        for entry in entries.filter_entry(|entry| entry.file_name() != ".git") {
            let entry = entry.map_err(|error| {
                Failure::input(format!("{} cannot be searched", path.display())).because(&error)
            })?;
            if entry.file_type().is_file() && is_buildspec_name(entry.path()) {
                files.push(entry.into_path());
            }
        }
        if files.len() == before {
            return Err(Failure::input(format!("there is no buildspec*.yml below {}", path.display()))
                .help("name the files themselves"));
        }
    }
    Ok(files)
}

fn is_buildspec_name(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
        name.starts_with("buildspec") && (name.ends_with(".yml") || name.ends_with(".yaml"))
    })
}

/// Checks files on every processor; the results are in the files' order.
fn check_all(files: &[PathBuf], shown: bool, strict: bool) -> Result<Vec<Checked>, Failure> {
    let color = console::colors(io::stdout().is_terminal());
    parallel::each(files, |file| check_file(file, shown, strict, color)).into_iter().collect()
}

fn check_file(file: &Path, shown: bool, strict: bool, color: bool) -> Result<Checked, Failure> {
    let name = file.to_string_lossy().into_owned();
    let bytes =
        fs::read(file).map_err(|error| Failure::input(format!("{name} cannot be read")).because(&error))?;
    let diagnostics = diagnose(file, &bytes, strict);
    let mut text = String::new();
    if shown && !diagnostics.is_empty() {
        let source = String::from_utf8_lossy(&bytes);
        for diagnostic in &diagnostics {
            text.push_str(render(diagnostic, &name, &source, color).trim_end());
            text.push_str("\n\n");
        }
    }
    Ok(Checked { name, diagnostics, shown: text })
}

/// What is wrong with a buildspec, or with a file that becomes one.
fn diagnose(file: &Path, bytes: &[u8], strict: bool) -> Vec<Diagnostic> {
    if let Some(foreign) = SourceFile::of(file, bytes) {
        return foreign.translate(&Selection::default()).diagnostics;
    }
    let mut found = parse_bytes(bytes).diagnostics;
    if strict {
        found.extend(strict_aws(&String::from_utf8_lossy(bytes)));
        found.sort_by_key(|diagnostic| diagnostic.span.map(|span| span.start));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_searched_and_results_keep_their_order() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("b/buildspec.yml", "version: 0.2\nphases: {build: {commands: [a]}}\n");
        write("a/buildspec-test.yaml", "version: 0.2\nphases: {biuld: {commands: [a]}}\n");
        write("a/.git/buildspec.yml", "-");
        write("a/other.yml", "-");
        let files = buildspecs(&[place.path().to_owned()]).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.strip_prefix(place.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("a/buildspec-test.yaml"), Path::new("b/buildspec.yml")]);
        let checked = check_all(&files, true, false).unwrap();
        assert_eq!(checked[0].count(Severity::Error), 1);
        assert!(checked[0].shown.contains("buildspec-test.yaml:2"), "{}", checked[0].shown);
        assert_eq!((checked[1].diagnostics.len(), checked[1].shown.as_str()), (0, ""));
        assert_eq!(verdict(&checked), "2 files checked: 1 error, 0 warnings");
        assert!(
            buildspecs(&[place.path().join("a/.git/empty")])
                .is_ok_and(|files| check_all(&files, true, false).is_err())
        );
    }
}
