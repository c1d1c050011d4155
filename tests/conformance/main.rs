//! The conformance suite, as `runspan conformance` runs it, on Docker and in the sandbox.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// Cases at once: most of a case is waiting.
const JOBS: &str = "4";
/// What each kind of image is here.
const KINDS: [(&str, &str); 3] = [("any", "busybox"), ("bash", "debian"), ("debian", "debian")];

#[test]
fn executors_behave_as_codebuild() {
    let docker = KINDS.map(|(kind, name)| (kind, format!("runspan-test/{name}")));
    let sandbox = KINDS.map(|(kind, name)| (kind, roots().join(name).to_string_lossy().into_owned()));
    let has_image = |image: &String| {
        let inspected = Command::new("docker").args(["image", "inspect", image]).output();
        inspected.is_ok_and(|output| output.status.success())
    };
    let mut executors = Vec::new();
    match docker.iter().find(|(_, image)| !has_image(image)) {
        Some((_, missing)) => skip(&format!("no Docker engine with {missing}")),
        None => executors.push(("docker", docker)),
    }
    match sandbox.iter().find(|(_, root)| !PathBuf::from(root).is_dir()) {
        Some((_, missing)) => skip(&format!("no root {missing}")),
        None => executors.push(("sandbox", sandbox)),
    }
    if !executors.is_empty() {
        all_pass(&executors);
    }
}

fn roots() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    cache.join("runspan-tests/roots")
}

fn skip(missing: &str) {
    let message = format!("{missing}; tests/images/make makes it");
    assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{message}");
    drop(writeln!(std::io::stderr(), "SKIPPED: the conformance suite: {message}"));
}

fn all_pass(executors: &[(&str, [(&str, String); 3])]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_runspan"));
    command.args(["conformance", "tests/conformance/cases", "--jobs", JOBS]);
    for (executor, images) in executors {
        command.args(["--executor", executor]);
        for (kind, image) in images {
            command.args(["--image", &format!("{executor}/{kind}={image}")]);
        }
    }
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> = text.lines().filter(|line| !line.starts_with("passed")).collect();
    assert!(output.status.success(), "{}\n{}", failed.join("\n"), String::from_utf8_lossy(&output.stderr));
    println!("{}", failed.join("\n"));
}
