//! Sources other than a directory, and what an image offers a source.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{IMAGES, SANDBOX, docker, home, root};

const SHOW: &str = "version: 0.2
phases:
  build:
    commands:
      - echo \"READ=$(cat file) AT=$CODEBUILD_RESOLVED_SOURCE_VERSION\"
      - echo \"URL=$CODEBUILD_SOURCE_REPO_URL\"
";

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn commit(directory: &Path, content: &str) -> String {
    fs::write(directory.join("file"), content).unwrap();
    git(directory, &["add", "-A"]);
    git(directory, &["commit", "-qm", "change"]);
    git(directory, &["rev-parse", "HEAD"])
}

#[test]
fn a_git_source_is_built_at_the_version_that_was_asked_for() {
    let Some(home) = home() else { return };
    let repository = home.source("repository", [("buildspec.yml", SHOW)]);
    git(&repository, &["init", "-q"]);
    let first = commit(&repository, "first");
    git(&repository, &["checkout", "-qb", "feature"]);
    let second = commit(&repository, "second");
    git(&repository, &["checkout", "-q", "main"]);
    let url = format!("file://{}", repository.display());
    let run = |version: &[&str]| home.run_on(IMAGES[0]).args(["--source", &url]).args(version).finish();
    run(&[]).exited(0).printed(&[&format!("READ=first AT={first}"), &format!("URL={url}")]);
    run(&["--source-version", "feature"]).exited(0).printed(&[&format!("READ=second AT={second}")]);
    run(&["--source-version", &first]).exited(0).printed(&["READ=first"]);
    let missing = run(&["--source-version", "nowhere"]).exited(1);
    missing.printed(&["reference not found for primary source and source version nowhere"]);
    home.assert_nothing_left();
}

#[test]
fn a_link_in_a_repository_does_not_reach_a_file_of_this_machine() {
    let Some(home) = home() else { return };
    let repository = home.source("repository", [("file", "x")]);
    let outside = home.path("outside.yml");
    fs::write(&outside, "version: 0.2\nphases: {build: {commands: [echo OUTSIDE]}}\n").unwrap();
    std::os::unix::fs::symlink(&outside, repository.join("buildspec.yml")).unwrap();
    git(&repository, &["init", "-q"]);
    commit(&repository, "x");
    let url = format!("file://{}", repository.display());
    let run = home.run_on(IMAGES[0]).args(["--source", &url]).finish();
    run.exited(2).did_not_print("OUTSIDE");
}

#[test]
fn a_zip_file_is_a_source() {
    let Some(home) = home() else { return };
    let tree = home.source("tree", [("buildspec.yml", SHOW), ("file", "zipped")]);
    let zipped = home.path("source.zip");
    let status = Command::new("zip").arg("-qr").arg(&zipped).arg(".").current_dir(&tree).status().unwrap();
    assert!(status.success());
    home.run_on(IMAGES[0])
        .args(["--source", &zipped.to_string_lossy()])
        .finish()
        .exited(0)
        .printed(&["READ=zipped"]);
}

#[test]
fn runtime_versions_run_the_commands_of_the_image() {
    let Some(home) = home() else { return };
    let runtimes = "version: 0.1
runtimes:
  nodejs:
    versions:
      22:
        commands: ['echo installing node 22', 'export NODE=22']
      default:
        commands: ['echo installing custom $VERSION']
";
    let buildspec = "version: 0.2
phases:
  install: {runtime-versions: {nodejs: 22.x}}
  build: {commands: ['echo NODE=$NODE']}
";
    let source = home.source("runtimes", [("buildspec.yml", buildspec), ("runtimes.yml", runtimes)]);
    let config = home.path("config/image/config");
    fs::create_dir_all(&config).unwrap();
    fs::copy(source.join("runtimes.yml"), config.join("runtimes.yml")).unwrap();
    let image = if SANDBOX {
        let copy = home.path("root");
        let copied = Command::new("cp").arg("-a").arg(root(IMAGES[0])).arg(&copy).status().unwrap();
        assert!(copied.success());
        fs::rename(home.path("config"), copy.join("codebuild")).unwrap();
        copy.to_string_lossy().into_owned()
    } else {
        let image = format!("runspan-test/runtimes-{}", std::process::id());
        let container = docker(&["create", IMAGES[0], "true"]);
        docker(&["cp", &home.path("config").to_string_lossy(), &format!("{}:/codebuild", container.trim())]);
        docker(&["commit", container.trim(), &image]);
        docker(&["rm", container.trim()]);
        image
    };
    let good = home.run(&source, &image).finish();
    fs::write(source.join("buildspec.yml"), buildspec.replace("nodejs: 22.x", "ruby: 3")).unwrap();
    let bad = home.run(&source, &image).finish();
    if !SANDBOX {
        docker(&["image", "rm", &image]);
    }
    good.exited(0).printed(&[
        "Selecting 'nodejs' runtime version '22' based on manual selections...",
        "Running command echo installing node 22",
        "\ninstalling node 22\n",
        "\nNODE=22\n",
    ]);
    bad.exited(2)
        .printed(&["Unknown runtime named 'ruby'. This build image has the following runtimes: nodejs"]);
}

#[test]
fn access_keys_never_reach_the_log() {
    let Some(home) = home() else { return };
    let buildspec = "version: 0.2
phases:
  build:
    commands:
      - echo \"plain $AWS_SECRET_ACCESS_KEY\"
      - printf 'broken up %.8s' \"$AWS_SECRET_ACCESS_KEY\"; sleep 0.2; echo \"$AWS_SECRET_ACCESS_KEY\" | cut -c9-
      - printf %s \"$AWS_SECRET_ACCESS_KEY\" | base64
      - cat /nowhere/$AWS_SECRET_ACCESS_KEY
";
    let source = home.source("secrets", [("buildspec.yml", buildspec)]);
    let secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYzzKEY";
    let run =
        home.run(&source, IMAGES[1]).args(["--env", &format!("AWS_SECRET_ACCESS_KEY={secret}")]).finish();
    let run = run.exited(1).printed(&["plain ***"]);
    let run = run.did_not_print(secret);
    run.did_not_print("d0phbHJYVXRuRkVNSUs3TURFTkdiUHhSZmlDWXp6S0VZ");
}
