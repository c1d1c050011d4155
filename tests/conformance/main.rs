//! The conformance suite, as `runspan conformance` runs it, against Docker and against the sandbox.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// Cases at once: most of a case is waiting.
const JOBS: &str = "4";
/// What each kind of image is here.
const KINDS: [(&str, &str); 3] = [("any", "busybox"), ("bash", "debian"), ("debian", "debian")];

#[test]
fn docker_behaves_as_codebuild() {
    let images = KINDS.map(|(kind, name)| (kind, format!("runspan-test/{name}")));
    let has = |image: &String| {
        let inspected = Command::new("docker").args(["image", "inspect", image]).output();
        inspected.is_ok_and(|output| output.status.success())
    };
    match images.iter().find(|(_, image)| !has(image)) {
        Some((_, missing)) => skip(&format!("no Docker engine with {missing}")),
        None => all_pass("docker", &images),
    }
}

#[test]
fn the_sandbox_behaves_as_codebuild() {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    let roots = cache.join("runspan-tests/roots");
    let images = KINDS.map(|(kind, name)| (kind, roots.join(name).to_string_lossy().into_owned()));
    match images.iter().find(|(_, root)| !PathBuf::from(root).is_dir()) {
        Some((_, missing)) => skip(&format!("no root {missing}")),
        None => all_pass("sandbox", &images),
    }
}

fn skip(missing: &str) {
    let message = format!("{missing}; tests/images/make makes it");
    assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{message}");
    drop(writeln!(std::io::stderr(), "SKIPPED: the conformance suite: {message}"));
}

fn all_pass(executor: &str, images: &[(&str, String)]) {
    let output = Command::new(env!("CARGO_BIN_EXE_runspan"))
        .args(["conformance", "tests/conformance/cases", "--executor", executor, "--jobs", JOBS])
        .args(images.iter().flat_map(|(kind, image)| ["--image".to_owned(), format!("{kind}={image}")]))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> = text.lines().filter(|line| !line.starts_with("passed")).collect();
    assert!(output.status.success(), "{}\n{}", failed.join("\n"), String::from_utf8_lossy(&output.stderr));
    println!("{}", failed.join("\n"));
}
