//! The conformance suite, as `runspan conformance` runs it, against Docker.

use std::io::Write as _;
use std::process::Command;

/// Cases at once: most of a case is waiting for the engine.
const JOBS: &str = "4";

#[test]
fn docker_behaves_as_codebuild() {
    let root = env!("CARGO_MANIFEST_DIR");
    let images = ["any=runspan-test/busybox", "bash=runspan-test/debian", "debian=runspan-test/debian"];
    let has = |image: &str| {
        let name = image.split_once('=').map_or(image, |(_, name)| name);
        Command::new("docker")
            .args(["image", "inspect", name])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if let Some(missing) = images.into_iter().find(|image| !has(image)) {
        let message = format!("no Docker engine with {missing}; tests/images/make makes the images");
        assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{message}");
        drop(writeln!(std::io::stderr(), "SKIPPED: the conformance suite: {message}"));
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_runspan"))
        .args(["conformance", "tests/conformance/cases", "--executor", "docker", "--jobs", JOBS])
        .args(images.iter().flat_map(|image| ["--image", image]))
        .current_dir(root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> = text.lines().filter(|line| !line.starts_with("passed")).collect();
    assert!(output.status.success(), "{}\n{}", failed.join("\n"), String::from_utf8_lossy(&output.stderr));
    println!("{}", failed.join("\n"));
}
