//! One case: its files, its translation, its build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use walkdir::WalkDir;

use crate::outcome::Outcome;

/// Files that say what is expected, and are no part of the source.
const EXPECTED: [&str; 3] = ["buildspec.yml", "report.txt", "outcome.yml"];
const UPDATE: &str = "RUNSPAN_UPDATE_TRANSLATIONS";

/// A directory with a source file and what is expected of it.
pub(crate) struct Case {
    /// As in `pipelines/after-script`.
    pub(crate) name: String,
    directory: PathBuf,
    /// The source file, from the directory.
    source: PathBuf,
    pub(crate) outcome: Outcome,
}

/// Every case; `RUNSPAN_TEST_CASE` names some.
pub(crate) fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/translate");
    let only = std::env::var("RUNSPAN_TEST_CASE").unwrap_or_default();
    let directories = WalkDir::new(&root).min_depth(2).max_depth(2).sort_by_file_name();
    let all: Vec<Case> = directories
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_dir())
        .map(|entry| Case::of(&root, entry.path()))
        .filter(|case| case.name.contains(&only))
        .collect();
    assert!(!all.is_empty(), "no case below {}", root.display());
    all
}

impl Case {
    fn of(root: &Path, directory: &Path) -> Self {
        let name = directory.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let outcome = match fs::read_to_string(directory.join("outcome.yml")) {
            Ok(text) => serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")),
            Err(_) => Outcome::default(),
        };
        let workflows = fs::read_dir(directory.join(".github/workflows")).into_iter().flatten();
        let mut workflows: Vec<PathBuf> = workflows.map(|entry| entry.unwrap().path()).collect();
        workflows.sort();
        let named = ["bitbucket-pipelines.yml", "Jenkinsfile"].map(|file| directory.join(file));
        let source = named.into_iter().filter(|path| path.is_file()).chain(workflows).next();
        let source = source.unwrap_or_else(|| panic!("{name} has no source file"));
        let source = source.strip_prefix(directory).unwrap().to_owned();
        Self { name, directory: directory.to_owned(), source, outcome }
    }

    fn runspan(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runspan"));
        command.env_remove("RUNSPAN_IMAGE").env("NO_COLOR", "1");
        command
    }

    /// Fails unless buildspec and report are as reviewed, and the buildspec is one.
    pub(crate) fn compare(&self) {
        let place = tempfile::tempdir().unwrap();
        let (buildspec, report) = (place.path().join("buildspec.yml"), place.path().join("report.txt"));
        let mut command = self.runspan();
        command.current_dir(&self.directory).arg("translate").arg(&self.source);
        command.arg("-o").arg(&buildspec).arg("--report").arg(&report);
        command.args(self.outcome.job.iter().flat_map(|job| ["--job", job.as_str()]));
        let translated = command.output().unwrap();
        match translated.status.code() {
            Some(0 | 4) => {
                self.expect("buildspec.yml", &fs::read_to_string(&buildspec).unwrap());
                self.expect("report.txt", &fs::read_to_string(&report).unwrap());
                // AWS takes it too, but for what only this project's own engine runs.
                let strict = !fs::read_to_string(&buildspec).unwrap().contains("uses:");
                let mut check = self.runspan();
                check.arg("check").arg(&buildspec).args(strict.then_some("--strict-aws"));
                let checked = check.output().unwrap();
                assert!(checked.status.success(), "{}: {}", self.name, shown(&checked));
            }
            // A file that cannot be translated: why is the report.
            Some(2) => self.expect("report.txt", &String::from_utf8_lossy(&translated.stderr)),
            _ => panic!("{}: {}", self.name, shown(&translated)),
        }
    }

    fn expect(&self, file: &str, now: &str) {
        let path = self.directory.join(file);
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&path, now).unwrap();
            return;
        }
        let reviewed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            reviewed == now,
            "{}/{file} is not as reviewed ({UPDATE}=1 writes it anew); now it is\n{now}",
            self.name
        );
    }

    /// Builds the source file, and fails unless that ends as it should.
    pub(crate) fn run(&self, executor: &str) {
        let Outcome { job, event, env, secrets, image, exit, log, absent, stderr, artifacts, reports } =
            &self.outcome;
        let place = tempfile::Builder::new().prefix("runspan-translate-").tempdir().unwrap();
        let source = place.path().join("source");
        copy(&self.directory, &source);
        let results = place.path().join("artifacts");
        let mut command = self.runspan();
        command.env("RUNSPAN_HOME", place.path().join("home")).arg("run").arg(source.join(&self.source));
        command.args(["--image", image.name(), "--executor", executor]).arg("--artifacts").arg(&results);
        command.args(job.iter().flat_map(|job| ["--job", job.as_str()]));
        command.args(env.iter().flat_map(|(name, value)| ["--env".into(), format!("{name}={value}")]));
        if !secrets.is_empty() {
            let file = place.path().join("secrets");
            let lines = secrets.iter().map(|(name, value)| format!("{name}={value}\n"));
            fs::write(&file, lines.collect::<String>()).unwrap();
            command.arg("--secrets-file").arg(file);
        }
        if let Some(event) = event {
            let file = place.path().join("event.json");
            fs::write(&file, event).unwrap();
            command.arg("--event").arg(file);
        }
        let reported = place.path().join("reports");
        command.arg("--reports").arg(&reported);
        let built = command.output().unwrap();
        let name = &self.name;
        assert_eq!(built.status.code(), *exit, "{name}: {}", shown(&built));
        let text = String::from_utf8_lossy(&built.stdout);
        let errors = String::from_utf8_lossy(&built.stderr);
        let mut from = 0;
        for wanted in log {
            let found = text[from..].find(wanted.as_str());
            let found =
                found.unwrap_or_else(|| panic!("{name}: no `{wanted}` in its place: {}", shown(&built)));
            from += found + wanted.len();
        }
        for unwanted in absent {
            let is_there = text.contains(unwanted.as_str()) || errors.contains(unwanted.as_str());
            assert!(!is_there, "{name}: `{unwanted}`: {}", shown(&built));
        }
        for wanted in stderr {
            assert!(errors.contains(wanted.as_str()), "{name}: no `{wanted}`: {}", shown(&built));
        }
        for (path, content) in artifacts {
            let found = fs::read_to_string(results.join(path));
            let found = found.unwrap_or_else(|error| panic!("{name}: {path}: {error}; {}", shown(&built)));
            assert_eq!(found.trim_end(), content.trim_end(), "{name}: {path}");
        }
        for (group, tests) in reports {
            let file = WalkDir::new(&reported).into_iter().filter_map(Result::ok).find(|entry| {
                entry.path().extension().is_some_and(|extension| extension == "json")
                    && entry.path().to_string_lossy().contains(group.as_str())
            });
            let file = file.unwrap_or_else(|| panic!("{name}: no report of {group}: {}", shown(&built)));
            let report: serde_json::Value =
                serde_json::from_str(&fs::read_to_string(file.path()).unwrap()).unwrap();
            assert_eq!(report["report"]["testSummary"]["total"], *tests, "{name}: {group}: {report}");
        }
    }
}

/// The source of a case, without what is expected of it.
fn copy(from: &Path, to: &Path) {
    for entry in WalkDir::new(from).into_iter().map(Result::unwrap) {
        let path = entry.path().strip_prefix(from).unwrap();
        if entry.file_type().is_dir() {
            fs::create_dir_all(to.join(path)).unwrap();
        } else if !EXPECTED.iter().any(|name| path == Path::new(name)) {
            fs::copy(entry.path(), to.join(path)).unwrap();
        }
    }
}

fn shown(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
