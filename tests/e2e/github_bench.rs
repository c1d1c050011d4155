//! GitHub, a runner's state, and the program.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fake_github::FakeGitHub;
use fake_github::model::{Conclusion, Job, Moment, Push, Settings};
use tempfile::TempDir;

use crate::serving::{LIMIT, Serving};

pub(crate) struct Bench {
    pub(crate) github: FakeGitHub,
    home: TempDir,
}

/// GitHub as tests want it: it does not wait long.
pub(crate) fn quick() -> Settings {
    Settings {
        poll_hold: Duration::from_secs(5),
        redelivery: Duration::from_secs(2),
        lock: Duration::from_secs(12),
        ..Settings::default()
    }
}

/// A workflow with one job of these steps, which are YAML.
pub(crate) fn workflow(steps: &str) -> String {
    let steps: String = steps.lines().map(|line| format!("      {line}\n")).collect();
    format!("on: push\njobs:\n  build:\n    runs-on: self-hosted\n    steps:\n{steps}")
}

impl Bench {
    pub(crate) async fn new(settings: Settings) -> Self {
        let github = FakeGitHub::start(settings).await.unwrap();
        github.change(|github| {
            github.allow("ghp_test");
            github.repository("octo/hello").map(drop).unwrap();
        });
        Self { github, home: tempfile::Builder::new().prefix("runspan-github-").tempdir().unwrap() }
    }

    /// With a registered runner.
    pub(crate) async fn registered(settings: Settings) -> Self {
        let bench = Self::new(settings).await;
        bench.register(&["--name", "one"]);
        bench
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runspan"));
        command
            .args(arguments)
            .env("RUNSPAN_HOME", self.state())
            .env_remove("RUNSPAN_IMAGE")
            .stdin(Stdio::null());
        for name in ["RUNSPAN_GITHUB_PAT", "RUNSPAN_GITHUB_TOKEN", "RUNSPAN_GITHUB_JIT_CONFIG"] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn runspan(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Registers with the personal access token.
    pub(crate) fn register(&self, more: &[&str]) {
        self.register_for("octo/hello", more);
    }

    /// The same for another repository.
    pub(crate) fn register_for(&self, repository: &str, more: &[&str]) {
        let url = format!("{}/{repository}", self.github.url());
        let output =
            self.runspan(&[&["register", "github", "--url", &url, "--pat", "ghp_test"], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn serve(&self) -> Serving {
        self.serve_with(&[])
    }

    pub(crate) fn serve_with(&self, more: &[&str]) -> Serving {
        self.serve_as(&[&["--executor", "sandbox", "--image", "host", "--host-network"], more].concat())
    }

    /// Where no node can be had but that of the machine.
    pub(crate) fn serve_offline(&self, arguments: &[&str]) -> Serving {
        self.serve_by(self.command(&[]).env("RUNSPAN_NODE_URL", "/nowhere"), arguments)
    }

    pub(crate) fn serve_as(&self, arguments: &[&str]) -> Serving {
        self.serve_by(&mut self.command(&[]), arguments)
    }

    fn serve_by(&self, command: &mut Command, arguments: &[&str]) -> Serving {
        let log = self.home.path().join("serve.log");
        Serving::start(command.arg("serve").args(arguments), &log)
    }

    /// Gives the sandbox the smallest test image, or says why it cannot be had.
    pub(crate) fn pull_busybox(&self) -> Result<(), String> {
        let cache = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"));
        let root = cache.join("runspan-tests/roots/busybox");
        if !root.is_dir() {
            return Err(format!("no root {}; make it with tests/images/make", root.display()));
        }
        let place = self.home.path().join("image");
        std::fs::create_dir_all(place.join("layer")).unwrap();
        let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
            let output = Command::new(program).args(arguments).current_dir(&place).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        run(
            "tar",
            &["-C".as_ref(), root.as_os_str(), "-cf".as_ref(), "layer/layer.tar".as_ref(), ".".as_ref()],
        );
        let sum = run("sha256sum", &["layer/layer.tar".as_ref()]);
        let digest = sum.split(' ').next().unwrap();
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{"Cmd":["/bin/sh"]}},"rootfs":{{"type":"layers","diff_ids":["sha256:{digest}"]}}}}"#
        );
        let manifest = r#"[{"Config":"config.json","RepoTags":["runspan-test/busybox:latest","busybox:latest"],"Layers":["layer/layer.tar"]}]"#;
        std::fs::write(place.join("config.json"), config).unwrap();
        std::fs::write(place.join("manifest.json"), manifest).unwrap();
        let files = ["-cf", "image.tar", "manifest.json", "config.json", "layer/layer.tar"];
        run("tar", &files.map(std::ffi::OsStr::new));
        let pulled = self.runspan(&["images", "pull", &place.join("image.tar").to_string_lossy()]);
        assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
        Ok(())
    }

    /// Pushes a workflow; its run.
    pub(crate) fn push(&self, workflow: &str) -> u64 {
        self.push_with(&[], workflow)
    }

    /// Pushes a workflow with other files; its run.
    pub(crate) fn push_with(&self, files: &[(&str, &str)], workflow: &str) -> u64 {
        let files = files.iter().copied().chain([(".github/workflows/ci.yml", workflow)]);
        let push = Push::new("octo/hello", files);
        self.github.change(|github| github.push(&push)).unwrap().1[0]
    }

    /// How a run ends; that each of its jobs ended exactly once.
    pub(crate) async fn conclusion(&self, run: u64) -> Conclusion {
        let ended = self.github.wait_for(LIMIT, |github| github.run_conclusion(run)).await;
        assert_eq!(self.github.read(|github| github.unsettled(run)), Vec::<String>::new(), "{}", self.said());
        ended.unwrap_or_else(|| panic!("run {run} did not end: {}", self.said()))
    }

    /// The jobs of a run.
    pub(crate) fn jobs(&self, run: u64) -> Vec<Job> {
        self.github.read(|github| {
            github.runs[&run].jobs.iter().filter_map(|job| github.jobs.get(job)).cloned().collect()
        })
    }

    /// The only job of a run.
    pub(crate) fn job(&self, run: u64) -> Job {
        let mut jobs = self.jobs(run);
        assert_eq!(jobs.len(), 1);
        jobs.remove(0)
    }

    /// Waits until something has happened to a run's job.
    pub(crate) async fn until(&self, run: u64, moment: Moment) {
        let seen = self
            .github
            .wait_for(LIMIT, |github| {
                let jobs = &github.runs.get(&run)?.jobs;
                jobs.iter().any(|job| github.jobs[job].has_been(moment)).then_some(())
            })
            .await;
        assert!(seen.is_some(), "run {run} never was {moment:?}: {}", self.said());
    }

    /// Waits until somebody who watches a run sees this line.
    pub(crate) async fn until_shown(&self, run: u64, text: &str) {
        let seen = self
            .github
            .wait_for(LIMIT, |github| {
                let jobs = &github.runs.get(&run)?.jobs;
                jobs.iter().flat_map(|job| &github.jobs[job].live).any(|line| line.text == text).then_some(())
            })
            .await;
        assert!(seen.is_some(), "run {run} never showed {text}: {}", self.said());
    }

    /// The text of a job's log.
    pub(crate) fn log(&self, job: &Job) -> String {
        self.github.read(|github| github.job_log(job.id)).unwrap_or_default()
    }

    /// What callers did that no right client does.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.github.read(|github| github.violations.clone())
    }

    /// What the program said.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.home.path().join("serve.log")).unwrap_or_default()
    }
}
