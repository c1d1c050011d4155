//! Runs a case through `runspan run` and gathers what it gave.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::case::{Case, Run};
use super::expect::{Observed, differences};
use super::gather::{events, listing, report_records};

/// What became of a case.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Everything was as expected.
    Passed {
        /// Wall time of the case.
        seconds: f64,
    },
    /// Something was not.
    Failed {
        /// Wall time of the case.
        seconds: f64,
        /// What was not as expected.
        differences: Vec<String>,
        /// Log of the failed run.
        log: String,
    },
    /// It was not run, for this reason.
    Skipped(String),
}

impl Outcome {
    /// In one word.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "passed",
            Self::Failed { .. } => "failed",
            Self::Skipped(_) => "skipped",
        }
    }
}

/// Runs cases with one program and state directory.
pub(super) struct Runner {
    program: PathBuf,
    timeout: Duration,
    home: TempDir,
}

/// The source directory's name, so the name of every project without one.
const SOURCE: &str = "sample";

impl Runner {
    /// A runner of this very program.
    pub(super) fn new(timeout: Duration) -> io::Result<Self> {
        let home = tempfile::Builder::new().prefix("runspan-conformance-").tempdir()?;
        Ok(Self { program: env::current_exe()?, timeout, home })
    }

    /// Runs a case on an executor and an image.
    pub(super) fn run(&self, case: &Case, executor: &str, image: &str) -> Outcome {
        let started = Instant::now();
        let result = self.try_run(case, executor, image);
        let seconds = started.elapsed().as_secs_f64();
        match result {
            Ok(None) => Outcome::Passed { seconds },
            Ok(Some((differences, log))) => Outcome::Failed { seconds, differences, log },
            Err(error) => {
                let differences = vec![format!("the case could not be run: {error}")];
                Outcome::Failed { seconds, differences, log: String::new() }
            }
        }
    }

    /// The differences and the log of the first run that was not as expected.
    fn try_run(&self, case: &Case, executor: &str, image: &str) -> io::Result<Option<(Vec<String>, String)>> {
        let dir = tempfile::Builder::new().prefix("runspan-case-").tempdir()?;
        let source = dir.path().join(SOURCE);
        fs::create_dir(&source)?;
        write_tree(&source, &case.files)?;
        if let Some(buildspec) = &case.buildspec {
            fs::write(source.join("buildspec.yml"), buildspec)?;
        }
        for (name, files) in &case.sources {
            write_tree(&dir.path().join(name), files)?;
        }
        if case.git {
            commit(&source)?;
        }
        let plain = [Run::default()];
        let runs = if case.run.is_empty() { plain.as_slice() } else { case.run.as_slice() };
        for (index, run) in runs.iter().enumerate() {
            let last = index + 1 == runs.len();
            let image = run.image.as_deref().unwrap_or(image);
            write_tree(&source, &run.files)?;
            let observed = self.observe(case, run, dir.path(), (executor, image))?;
            let mut found = Vec::new();
            for expect in run.expect.iter().chain(last.then_some(&case.expect)) {
                found.extend(differences(expect, &observed, image));
            }
            if !found.is_empty() {
                if runs.len() > 1 {
                    found.insert(0, format!("run {} of {}", index + 1, runs.len()));
                }
                return Ok(Some((found, format!("{}{}", observed.log, observed.stderr))));
            }
        }
        Ok(None)
    }

    fn observe(&self, case: &Case, run: &Run, dir: &Path, on: (&str, &str)) -> io::Result<Observed> {
        let (stdout, stderr) = (dir.join("stdout"), dir.join("stderr"));
        let (artifacts, reports) = (dir.join("artifacts"), dir.join("reports"));
        for old in [&artifacts, &reports] {
            match fs::remove_dir_all(old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let mut command = self.command(case, run, dir, on)?;
        command.arg("--artifacts").arg(&artifacts).arg("--reports").arg(&reports);
        command.stdin(Stdio::null()).stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
        let status = self.wait(command.spawn()?, run.interrupt_at.as_deref(), &stdout)?;
        let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let mut observed = if run.plain {
            Observed { log: read(&stdout)?, ..Observed::default() }
        } else {
            events(&read(&stdout)?)
        };
        observed.exit = status.and_then(|status| status.code());
        observed.stderr = read(&stderr)?;
        observed.artifacts = listing(&artifacts)?;
        observed.reports = report_records(&reports)?;
        Ok(observed)
    }

    fn command(
        &self,
        case: &Case,
        run: &Run,
        dir: &Path,
        (executor, image): (&str, &str),
    ) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        // The caller's AWS settings would change the variables of the builds.
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.env("RUNSPAN_HOME", self.home.path()).envs(&run.host_env);
        command.arg("run").arg(dir.join(SOURCE)).args(["--executor", executor, "--image", image]);
        command.arg("--cache-dir").arg(dir.join("cache"));
        if !run.plain {
            command.arg("--json");
        }
        for name in case.sources.keys() {
            command.arg("--secondary-source").arg(format!("{name}={}", dir.join(name).display()));
        }
        for (name, value) in &run.env {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        if let Some(project) = &run.project {
            let path = dir.join("project.json");
            let unique = dir.file_name().unwrap_or_default().to_string_lossy();
            fs::write(&path, project.to_string().replace("{unique}", &unique))?;
            command.arg("--project").arg(path);
        }
        let dir = dir.to_string_lossy();
        command.args(run.args.iter().map(|arg| arg.replace("{dir}", &dir).replace("{image}", image)));
        Ok(command)
    }

    /// Waits for the program; none when it was given up.
    fn wait(
        &self,
        mut child: Child,
        interrupt_at: Option<&str>,
        stdout: &Path,
    ) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + self.timeout;
        let mut interrupt_at = interrupt_at;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if let Some(text) = interrupt_at
                && String::from_utf8_lossy(&fs::read(stdout)?).contains(text)
            {
                kill_process(Pid::from_child(&child), Signal::INT)?;
                interrupt_at = None;
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Writes files below a directory; `-> target` is a symbolic link.
pub(super) fn write_tree(dir: &Path, files: &IndexMap<String, String>) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for (path, content) in files {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match content.strip_prefix("-> ") {
            Some(target) => symlink(target, &path)?,
            None => fs::write(&path, content)?,
        }
    }
    Ok(())
}

/// Commits a tree so that the same files always give the same commit.
fn commit(source: &Path) -> io::Result<()> {
    const DATE: &str = "2026-01-01T00:00:00Z";
    for args in [
        ["init", "--quiet", "--initial-branch=main"].as_slice(),
        &["add", "--all"],
        &[
            "-c",
            "user.name=sample",
            "-c",
            "user.email=sample@localhost",
            "commit",
            "--quiet",
            "--message=Sample",
        ],
    ] {
        let mut git = Command::new("git");
        git.arg("-C").arg(source).args(args);
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        git.env("GIT_AUTHOR_DATE", DATE).env("GIT_COMMITTER_DATE", DATE);
        let status = git.status()?;
        if !status.success() {
            return Err(io::Error::other(format!("git {} failed: {status}", args.join(" "))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_tree_gives_the_same_commit() {
        let head = || {
            let dir = tempfile::tempdir().unwrap();
            write_tree(dir.path(), &IndexMap::from([("a".to_owned(), "1".to_owned())])).unwrap();
            commit(dir.path()).unwrap();
            let output =
                Command::new("git").arg("-C").arg(dir.path()).args(["rev-parse", "HEAD"]).output().unwrap();
            output.stdout
        };
        let first = head();
        assert_eq!(first.len(), 41);
        assert_eq!(first, head());
    }
}
