//! Bad input and a bad machine: one clear message, the right exit status, a complete record, nothing left behind.

use std::ffi::CString;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use crate::harness::{BUSYBOX, DEBIAN, Home, IMAGES, SANDBOX, home};

fn one_command(home: &Home, command: &str) -> PathBuf {
    let text = serde_json::json!({ "version": "0.2", "phases": { "build": { "commands": [command] } } });
    home.source("source", [("buildspec.yml", &text.to_string())])
}

#[test]
fn no_buildspec() {
    let Some(home) = home() else { return };
    let source = home.source("empty", [("main.c", "")]);
    home.run(&source, BUSYBOX).finish().exited(2).explained(&["buildspec.yml"]);
    home.run(&source, BUSYBOX)
        .args(["--buildspec", "ci/release.yml"])
        .finish()
        .exited(2)
        .explained(&["ci/release.yml"]);
    home.run(home.path("nowhere"), BUSYBOX).finish().exited(2).explained(&["nowhere"]);
    home.assert_nothing_left();
}

#[test]
fn no_image() {
    let Some(home) = home() else { return };
    let source = one_command(&home, "echo hello");
    if SANDBOX {
        // The machine's own root.
        home.runspan(["run"]).arg(&source).finish().exited(0).printed(&["\nhello\n"]);
        assert_eq!(home.record(&home.build()).0["environment"]["image"], "host");
    } else {
        home.runspan(["run", "--executor", "docker"]).arg(&source).finish().exited(2).explained(&[
            "--image",
            "RUNSPAN_IMAGE",
            "--project",
        ]);
    }
    home.assert_nothing_left();
}

#[test]
fn wrong_usage() {
    let Some(home) = home() else { return };
    let source = one_command(&home, "echo hello");
    let project = home.path("project.json");
    fs::write(&project, r#"{"name": "two words"}"#).unwrap();
    for arguments in [
        vec!["--env", "NOVALUE"],
        vec!["--timeout", "soon"],
        vec!["--no-such-flag"],
        vec!["--secondary-source", "theme=/nowhere"],
        vec!["--env-file", "/nowhere"],
        vec!["--project", "/nowhere"],
        vec!["--project", project.to_str().unwrap()],
    ] {
        home.run(&source, BUSYBOX).args(&arguments).finish().exited(2).explained(&[]);
    }
    assert_eq!(home.builds(), Vec::<String>::new());
    home.runspan(["builds", "show", "0123"]).finish().exited(2).explained(&["0123"]);
}

#[test]
fn a_yaml_fault_is_shown_where_it_is() {
    let Some(home) = home() else { return };
    let buildspec =
        "version: 0.2\nphases:\n  build:\n    commands:\n      - echo hello\n    comands: []\n\t- x\n";
    let source = home.source("broken", [("buildspec.yml", buildspec)]);
    home.run(&source, BUSYBOX).finish().exited(2).explained(&["buildspec.yml:7"]);
    let source = home.source(
        "trap",
        [("buildspec.yml", &buildspec.replace("\n\t- x", "").replace("echo hello", "echo a: b"))],
    );
    let ran = home.run(&source, BUSYBOX).finish().exited(2).explained(&["buildspec.yml:5", "Commands[0]"]);
    assert!(ran.errors().contains('^'), "{ran}");
    home.runspan(["check"]).arg(source.join("buildspec.yml")).finish().exited(2);
    home.assert_nothing_left();
}

#[test]
fn an_unknown_image() {
    let Some(home) = home() else { return };
    let source = one_command(&home, "echo hello");
    home.run(&source, "runspan-test/no-such-image:1")
        .finish()
        .exited(3)
        .explained(&["CannotPullContainerError", "no-such"]);
    let record = home.record(&home.build());
    let (code, message) = record.context("PROVISIONING");
    assert_eq!(code, "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE");
    assert!(
        message.starts_with("Unable to pull customer's container image. CannotPullContainerError: "),
        "{message}"
    );
    home.run(&source, "--privileged").finish().exited(2).explained(&[]);
    home.assert_nothing_left();
}

#[test]
fn a_dead_engine() {
    let Some(home) = home() else { return };
    if SANDBOX {
        return;
    }
    let source = one_command(&home, "echo hello");
    let socket = home.path("dead.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let host = format!("unix://{}", socket.display());
    home.run(&source, BUSYBOX).env("DOCKER_HOST", &host).finish().exited(3).explained(&["dead.sock"]);
    home.runspan(["doctor", "--executor", "docker"])
        .env("DOCKER_HOST", &host)
        .finish()
        .exited(3)
        .printed(&["dead.sock"]);
    home.assert_nothing_left();
}

#[test]
fn a_glob_that_cannot_be_read_or_matches_nothing() {
    for (files, message) in [(r#"["no-such-*"]"#, "no matching artifact paths found"), (r#"["a[b"]"#, "a[b")]
    {
        let Some(home) = home() else { return };
        let buildspec = format!(
            r#"{{"version": "0.2", "phases": {{"build": {{"commands": ["true"]}}}}, "artifacts": {{"files": {files}}}}}"#
        );
        let source = home.source("glob", [("buildspec.yml", &buildspec)]);
        let ran = home.run(&source, BUSYBOX).finish();
        assert!([1, 2].contains(&ran.code()), "{ran}");
        assert!(ran.text().contains(message) || ran.errors().contains(message), "{ran}");
        if ran.code() == 1 {
            let record = home.record(&home.build());
            assert_eq!(record.context("UPLOAD_ARTIFACTS").0, "CLIENT_ERROR");
            assert!(record.context("UPLOAD_ARTIFACTS").1.contains(message), "{record}");
        }
        home.assert_nothing_left();
    }
}

#[test]
fn one_line_of_256_mib() {
    let Some(home) = home() else { return };
    let source = one_command(&home, "head -c 268435456 /dev/zero | tr '\\0' x; echo; echo after");
    let printed = home.path("printed");
    home.run(&source, BUSYBOX).stdout_to(fs::File::create(&printed).unwrap()).finish().exited(0);
    let log = fs::read(&printed).unwrap();
    assert_eq!(longest_line(&log), 256 << 20);
    assert!(memchr::memmem::find(&log, b"x\nafter\n").is_some());
    home.assert_nothing_left();
}

fn longest_line(log: &[u8]) -> usize {
    log.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap_or(0)
}

#[test]
fn output_that_is_no_text() {
    for image in IMAGES {
        let Some(home) = home() else { return };
        let source = one_command(&home, r"printf 'a\000b\377\376\302\r\n\303('; printf 'c\n' >&2");
        let ran = home.run(&source, image).finish().exited(0);
        assert!(memchr::memmem::find(&ran.stdout, b"\na\0b\xff\xfe\xc2\r\n\xc3(c\n").is_some(), "{ran}");
        home.assert_nothing_left();
    }
}

#[test]
fn a_command_that_kills_itself_and_one_that_is_not_there() {
    let Some(home) = home() else { return };
    let source = one_command(&home, "kill -KILL $$");
    home.run(&source, BUSYBOX).finish().exited(1);
    assert_eq!(home.record(&home.build()).context("BUILD").0, "COMMAND_EXECUTION_ERROR");
    let source = one_command(&home, "no-such-command");
    home.run(&source, BUSYBOX).finish().exited(1).printed(&[
        "not found\n",
        "[Container] Command did not exit successfully no-such-command exit status 127\n",
    ]);
    home.assert_nothing_left();
}

#[test]
fn bash_where_there_is_none() {
    let Some(home) = home() else { return };
    let buildspec =
        "version: 0.2\nenv: {shell: bash}\nphases: {build: {commands: ['[[ 1 == 1 ]] && echo bash']}}\n";
    let source = home.source("bash", [("buildspec.yml", buildspec)]);
    home.run(&source, DEBIAN).finish().exited(0).printed(&["\nbash\n"]);
    let ran = home.run(&source, BUSYBOX).finish().exited(1);
    assert!(ran.text().contains("bash"), "{ran}");
    let (_, message) = home.record(&home.build()).context("BUILD");
    assert!(message.contains("bash"), "{message}");
    home.assert_nothing_left();
}

#[test]
fn an_unknown_user() {
    let Some(home) = home() else { return };
    let buildspec = "version: 0.2\nrun-as: nobody-knows\nphases: {build: {commands: [id]}}\n";
    let source = home.source("user", [("buildspec.yml", buildspec)]);
    let ran = home.run(&source, BUSYBOX).finish().exited(1);
    assert!(ran.text().contains("nobody-knows"), "{ran}");
    home.assert_nothing_left();
}

#[test]
fn memory_that_runs_out_is_named() {
    let Some(home) = home() else { return };
    let project = home.path("project.json");
    fs::write(&project, r#"{"environment": {"computeConfiguration": {"vCpu": 1, "memory": 1}}}"#).unwrap();
    let source = one_command(&home, r#"awk 'BEGIN { s = "x"; while (1) s = s s }'"#);
    home.run(&source, BUSYBOX)
        .arg("--project")
        .arg(&project)
        .finish()
        .exited(1)
        .printed(&["memory limit 1.0 GiB"]);
    assert!(home.record(&home.build()).context("BUILD").1.contains("memory limit 1.0 GiB"));
    home.assert_nothing_left();
}

/// A small file system of its own, so that it can be full.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, loudly, for who may not mount.
    fn mount(size: &str) -> Option<Self> {
        let at = tempfile::Builder::new().prefix("runspan-e2e-disk-").tempdir().unwrap();
        let options = CString::new(format!("size={size}")).unwrap();
        match mount("tmpfs", at.path(), "tmpfs", MountFlags::empty(), Some(&*options)) {
            Ok(()) => Some(Self(at)),
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "SKIPPED: mounting a small disk: {error}; run as root");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(self.path(), UnmountFlags::DETACH);
    }
}

#[test]
fn a_full_disk_under_the_state_directory() {
    let Some(home) = home() else { return };
    let Some(disk) = SmallDisk::mount("8m") else { return };
    let home = home.with_state(disk.path().join("state"));
    let source = one_command(&home, "head -c 67108864 /dev/zero | tr '\\0' x; echo; echo after");
    // Log and database share the disk; whichever is written first when it is full says so.
    let ran = home.run(&source, BUSYBOX).finish().exited(3).explained(&["/state/"]);
    let full = ["No space left on device", "database or disk is full"];
    assert!(full.iter().any(|text| ran.errors().contains(text)), "{ran}");
    let record = home.record(&home.build());
    assert_eq!(record.status(), "FAULT", "{record}");
    home.assert_nothing_left();
}

#[test]
fn a_full_disk_under_the_artifacts() {
    let Some(home) = home() else { return };
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let buildspec = "version: 0.2\nphases: {build: {commands: ['head -c 4194304 /dev/urandom > large']}}\nartifacts: {files: [large]}\n";
    let source = home.source("large", [("buildspec.yml", buildspec)]);
    let ran = home.run(&source, BUSYBOX).arg("--artifacts").arg(disk.path()).finish();
    assert!([1, 3].contains(&ran.code()), "{ran}");
    let record = home.record(&home.build());
    assert!(record.context("UPLOAD_ARTIFACTS").1.contains("no space left in"), "{record}");
    home.assert_nothing_left();
}
