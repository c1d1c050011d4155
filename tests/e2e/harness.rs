//! A state directory of its own for each test, the program run in it, and the proof that nothing is left behind.

mod api;
mod aws;
mod files;
mod process;
mod record;

pub(crate) use api::*;
pub(crate) use aws::*;
pub(crate) use files::*;
pub(crate) use process::*;
pub(crate) use record::*;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// glibc, bash, gcc, make, git.
pub(crate) const DEBIAN: &str = "runspan-test/debian";
/// Static busybox and nothing else; no /tmp.
pub(crate) const BUSYBOX: &str = "runspan-test/busybox";
/// Both.
pub(crate) const IMAGES: [&str; 2] = [BUSYBOX, DEBIAN];

/// Any build of these tests is over by then, on a machine that does other work too.
pub(crate) const BUILD_LIMIT: Duration = Duration::from_secs(150);
/// What the program does without a build is over by then.
pub(crate) const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at something that gives no signal when it changes.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Whether the sandbox is under test, and not a container engine: this program is built once for each.
pub(crate) const SANDBOX: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"e2e_sandbox");

/// A state directory, and a place for whatever else a test writes. Containers that a failed test left are removed.
pub(crate) struct Home {
    root: TempDir,
    state: PathBuf,
}

/// A fresh state directory; `None`, loudly, when there is no engine or no image to test with.
pub(crate) fn home() -> Option<Home> {
    static READY: LazyLock<Result<(), String>> = LazyLock::new(engine_is_ready);
    if let Err(reason) = &*READY {
        assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{reason}");
        // Past libtest's capture, so that it is seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
        return None;
    }
    let root = tempfile::Builder::new().prefix("runspan-e2e-").tempdir().unwrap();
    let state = root.path().join("state");
    Some(Home { root, state })
}

fn engine_is_ready() -> Result<(), String> {
    if SANDBOX {
        return match IMAGES.iter().map(|image| root(image)).find(|root| !root.is_dir()) {
            Some(root) => Err(format!("no root {}; make it with tests/images/make", root.display())),
            None => Ok(()),
        };
    }
    let answered = |arguments: &[&str]| {
        Command::new("docker").args(arguments).output().is_ok_and(|output| output.status.success())
    };
    if !answered(&["version"]) {
        return Err("no container engine answers to `docker version`".into());
    }
    match IMAGES.iter().find(|image| !answered(&["image", "inspect", image])) {
        Some(image) => Err(format!("no image {image}; make it with tests/images/make")),
        None => Ok(()),
    }
}

impl Home {
    /// The same place with another state directory in it.
    pub(crate) fn with_state(mut self, state: impl Into<PathBuf>) -> Self {
        self.state = state.into();
        self
    }

    /// A path beside the state directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The state directory.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// A source directory with these files.
    pub(crate) fn source<const N: usize>(&self, name: &str, files: [(&str, &str); N]) -> PathBuf {
        let root = self.path(name);
        fs::create_dir_all(&root).unwrap();
        for (file, text) in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    /// The program with these arguments.
    pub(crate) fn runspan<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runspan"));
        command
            .args(arguments)
            .env("RUNSPAN_HOME", &self.state)
            .env_remove("RUNSPAN_IMAGE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Run { command, limit: BUILD_LIMIT }
    }

    /// `run` of this directory or file on this image.
    pub(crate) fn run(&self, source: impl AsRef<Path>, image: &str) -> Run {
        self.run_on(image).arg(source.as_ref())
    }

    /// `run` on this image, of what is said yet.
    pub(crate) fn run_on(&self, image: &str) -> Run {
        let run = self.runspan(["run"]);
        match SANDBOX && IMAGES.contains(&image) {
            true => run.args(["--executor", "sandbox", "--image"]).arg(root(image)),
            false => run.args(["--executor", if SANDBOX { "sandbox" } else { "docker" }, "--image", image]),
        }
    }

    /// The uuids of the builds this state directory knows, oldest first.
    pub(crate) fn builds(&self) -> Vec<String> {
        let mut found: Vec<_> = fs::read_dir(self.state.join("builds"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let made = entry.metadata().and_then(|of| of.created().or_else(|_| of.modified())).ok()?;
                Some((made, entry.file_name().into_string().ok()?))
            })
            .collect();
        found.sort();
        found.into_iter().map(|(_, uuid)| uuid).collect()
    }

    /// The uuid of the newest build, once there is one.
    pub(crate) fn build(&self) -> String {
        wait_until("a build appears", COMMAND_LIMIT, || self.builds().pop())
    }

    /// The record of a build.
    pub(crate) fn record(&self, build: &str) -> Record {
        let shown = self.runspan(["builds", "show", build, "--format", "json"]).finish();
        assert_eq!(shown.code(), 0, "{shown}");
        Record(serde_json::from_str(&shown.text()).unwrap_or_else(|error| panic!("{error}: {shown}")))
    }

    /// The log of a build as it is kept.
    pub(crate) fn log(&self, build: &str) -> String {
        let shown = self.runspan(["builds", "logs", build]).finish();
        assert_eq!(shown.code(), 0, "{shown}");
        shown.text()
    }

    /// Everything that is still there of a build.
    pub(crate) fn leftovers(&self, build: &str) -> Vec<String> {
        let mut found = Vec::new();
        if SANDBOX {
            let directory = self.state.join("sandbox").join(build);
            found.extend(directory.exists().then(|| format!("sandbox {}", directory.display())));
            found.extend(in_kernel(build));
        } else {
            found.extend(in_engine(build));
        }
        // The kernel takes interfaces away in its own time.
        let end = Instant::now() + Duration::from_secs(3);
        while !interfaces(build).is_empty() && Instant::now() < end {
            std::thread::sleep(LOOK_AGAIN);
        }
        found.extend(interfaces(build));
        found
    }

    /// Fails unless every build is complete and no container, network, volume or mount remains of any.
    pub(crate) fn assert_nothing_left(&self) {
        for build in self.builds() {
            let record = self.record(&build);
            assert_eq!(record.0["buildComplete"], true, "the record of {build} is complete: {record}");
            assert_eq!(self.leftovers(&build), Vec::<String>::new(), "left of {build}");
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let below: Vec<_> = mounts
            .lines()
            .filter(|line| {
                let target = line.split(' ').nth(4).unwrap_or_default();
                Path::new(target).starts_with(&self.state) && Path::new(target) != self.state
            })
            .collect();
        assert_eq!(below, Vec::<&str>::new(), "mounts");
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for build in self.builds() {
                for line in self.leftovers(&build) {
                    let (kind, id) = line.split_once(' ').unwrap_or_default();
                    match kind {
                        "process" => drop(Command::new("kill").args(["-9", id]).output()),
                        "sandbox" | "cgroup" => {}
                        kind => drop(docker(&[kind, "rm", "--force", id])),
                    }
                }
            }
        }
    }
}

/// Everything the engine still has of a build: `container ID`, `network ID`, `volume NAME`.
fn in_engine(build: &str) -> Vec<String> {
    let label = format!("label=dev.runspan.attempt={build}");
    let all = [
        ("container", vec!["container", "ls", "--all", "--quiet", "--filter", &label]),
        ("network", vec!["network", "ls", "--quiet", "--filter", &label]),
        ("volume", vec!["volume", "ls", "--quiet", "--filter", &label]),
    ];
    all.iter()
        .flat_map(|(kind, command)| {
            docker(command).lines().map(|id| format!("{kind} {id}")).collect::<Vec<_>>()
        })
        .collect()
}

/// Asks the container of a build to stop, as `docker stop` does: its first process gets SIGTERM.
pub(crate) fn stop_container(build: &str) {
    if !SANDBOX {
        docker(&["stop", "--time", "60", &format!("runspan-{build}")]);
        return;
    }
    for line in in_kernel(build) {
        if let Some(id) = line.strip_prefix("process ") {
            Command::new("kill").args(["-TERM", id]).output().unwrap();
        }
    }
}

/// The host's ends of a build's private network: `interface NAME`.
fn interfaces(build: &str) -> Vec<String> {
    let all = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    all.filter(|entry| {
        fs::read_to_string(entry.path().join("ifalias")).is_ok_and(|alias| alias.trim_end().ends_with(build))
    })
    .map(|entry| format!("interface {}", entry.file_name().display()))
    .collect()
}

/// Everything the kernel still has of a build: `process ID`, `cgroup PATH`.
fn in_kernel(build: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let id = entry.file_name().into_string().unwrap_or_default();
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if line.ends_with(format!("--attempt\0{build}\0").as_bytes()) {
            found.push(format!("process {id}"));
        }
    }
    let mut groups = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(group) = groups.pop() {
        if group.ends_with(format!("runspan-{build}")) {
            found.push(format!("cgroup {}", group.display()));
        }
        let below = fs::read_dir(group).into_iter().flatten().flatten();
        groups.extend(
            below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()),
        );
    }
    found
}

/// What the engine's command prints.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Looks until there is something, for at most `limit`.
pub(crate) fn wait_until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain until {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The root of a test image, as `tests/images/make` keeps it.
pub(crate) fn root(image: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"));
    let name = image.rsplit('/').next().unwrap_or_default();
    cache.join("runspan-tests/roots").join(name)
}

/// A directory of `examples/`.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}
