//! A sandbox of the machine's own root whose PID 1 is a script.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use runspan_engine::{
    Company, Container, ContainerEnd, Executor, ExecutorError, Limits, Network, NetworkError, Placement,
    RootFs, Tuning,
};
use runspan_sandbox::image::Settings;
use runspan_sandbox::{SandboxExecutor, WarmUp};
use tempfile::TempDir;

pub(crate) struct Case {
    pub(crate) asked: Container,
    dir: TempDir,
}

impl Case {
    /// PID 1 runs `script` with the machine's shell, and prints into a file that the test can read.
    pub(crate) fn new(script: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().unwrap();
        let run_dir = dir.path().join("run");
        fs::create_dir(&run_dir).unwrap();
        let agent = dir.path().join("agent");
        fs::write(&agent, format!("#!/bin/sh\nexec >/codebuild/run/out 2>&1\n{script}\n")).unwrap();
        fs::set_permissions(&agent, PermissionsExt::from_mode(0o755)).unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let asked = Container {
            attempt: format!("sandboxtest-{}-{number}", std::process::id()),
            root: RootFs::Host,
            registry_login: None,
            limits: Limits { memory_bytes: Some(256 << 20), cpus: Some(1.0), pids: 200 },
            privileged: false,
            engine_socket: false,
            network: Network::None,
            run_dir,
            agent,
            mounts: Vec::new(),
            tuning: Tuning::default(),
            company: Company::Alone,
        };
        Self { asked, dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// Another executor each time, as another process would have it.
    pub(crate) fn executor(&self) -> SandboxExecutor {
        let networks =
            || Err(NetworkError::Unavailable { reason: "not in these tests".into(), remedy: "none".into() });
        let program = env!("CARGO_BIN_EXE_sandbox-first-process").into();
        SandboxExecutor::new(&self.state(), program, WarmUp::none(Arc::new(networks)), Settings::default())
    }

    pub(crate) async fn place(&self) -> Result<Placement, ExecutorError> {
        self.executor().place(&self.asked, &|_| {}).await
    }

    /// From placing to the end, with what was printed; then everything is gone.
    pub(crate) async fn run(&self) -> (String, ContainerEnd) {
        let executor = self.executor();
        let placement = self.place().await.unwrap();
        let end = executor.observe(&placement).await.unwrap();
        executor.collect(&placement).await.unwrap();
        self.assert_nothing_left();
        (self.output(), end)
    }

    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.asked.run_dir.join("out")).unwrap_or_default()
    }

    pub(crate) fn wait_for(&self, text: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while !self.output().contains(text) {
            assert!(Instant::now() < end, "{text:?} is not in {:?}", self.output());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// No directory, process, mount or control group.
    pub(crate) fn assert_nothing_left(&self) {
        let attempt = &self.asked.attempt;
        let kept: Vec<_> = fs::read_dir(self.state().join("sandbox"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name != ".ids")
            .collect();
        assert!(kept.is_empty(), "{kept:?}");
        let ids = fs::read_dir(self.state().join("sandbox/.ids")).into_iter().flatten().count();
        assert_eq!(ids, 0, "ranges of ids");
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&line).contains(attempt), "{}", entry.path().display());
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&*self.state().to_string_lossy()), "{mounts}");
        let mut groups = vec![PathBuf::from("/sys/fs/cgroup")];
        while let Some(group) = groups.pop() {
            assert!(!group.ends_with(format!("runspan-{attempt}")), "{}", group.display());
            let below = fs::read_dir(group).into_iter().flatten().flatten();
            let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
            groups.extend(below.filter(is_dir).map(|entry| entry.path()));
        }
    }
}

/// Whether the tests may prove what only root can have.
pub(crate) fn is_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert_ne!(std::env::var("RUNSPAN_REQUIRE_SERVICES").as_deref(), Ok("1"), "{what} needs root");
        eprintln!("SKIPPED: {what} needs root");
    }
    root
}
