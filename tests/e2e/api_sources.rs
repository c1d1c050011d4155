//! Private repositories, fetched with the logins that were imported.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::api_bench::{Bench, bench};

/// A git host, which ends with the pipe that its standard input is.
struct Host {
    child: Child,
    port: u16,
}

impl Host {
    fn start(bench: &Bench, repositories: &Path, token: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/api/git.py");
        let mut child = Command::new(bench.python())
            .arg(script)
            .arg(repositories)
            .arg(token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap() }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A bare repository with this buildspec.
fn repository(at: &Path, buildspec: &str) {
    let work = at.with_extension("work");
    std::fs::create_dir_all(&work).unwrap();
    std::fs::write(work.join("buildspec.yml"), buildspec).unwrap();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-C".as_ref(), work.as_os_str()])
            .args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    git(&["clone", "-q", "--bare", ".", at.to_str().unwrap()]);
}

#[test]
fn a_private_repository_is_fetched_with_the_imported_login() {
    let Some(bench) = bench() else { return };
    let repositories = bench.state().with_file_name("repositories");
    let buildspec = "version: 0.2\nbatch:\n  build-list: [{identifier: one}]\nphases:\n  build:\n    commands: [echo fetched]\n";
    repository(&repositories.join("private.git"), buildspec);
    let host = Host::start(&bench, &repositories, "gh-s3cr3t");
    let _serving = bench.serve(&[]);
    bench.project("private", "version: 0.2");
    let location = format!("http://127.0.0.1:{}/private.git", host.port);
    let source = json!({ "type": "GITHUB_ENTERPRISE", "location": location });
    bench.call("update_project", json!({ "name": "private", "source": source }));

    let refused = bench.ended(&bench.start("private"));
    assert_eq!(refused["buildStatus"], "FAILED", "{refused}");
    let failed = refused["phases"].as_array().unwrap().iter().find(|phase| phase["phaseStatus"] == "FAILED");
    assert_eq!(failed.unwrap()["phaseType"], "DOWNLOAD_SOURCE", "{refused}");

    let login = json!({ "serverType": "GITHUB_ENTERPRISE", "authType": "PERSONAL_ACCESS_TOKEN", "token": "gh-s3cr3t" });
    bench.call("import_source_credentials", login);
    let build = bench.ended(&bench.start("private"));
    let log = bench.log(&build);
    assert!(build["buildStatus"] == "SUCCEEDED" && log.contains("\nfetched\n"), "{build}\n{log}");
    assert!(build["resolvedSourceVersion"].as_str().is_some_and(|commit| commit.len() == 40), "{build}");
    assert!(
        !log.contains("s3cr3t") && !build.to_string().contains("s3cr3t"),
        "the login is nowhere to be seen"
    );

    // A batch finds its builds in the same repository.
    let batch =
        bench.call("start_build_batch", json!({ "projectName": "private" }))["buildBatch"]["id"].clone();
    let batch = bench.until("the batch ends", || {
        let found =
            bench.call("batch_get_build_batches", json!({ "ids": [batch] }))["buildBatches"][0].clone();
        Some(found).filter(|batch| batch["complete"] == true)
    });
    assert_eq!(batch["buildBatchStatus"], "SUCCEEDED", "{batch}");
}
