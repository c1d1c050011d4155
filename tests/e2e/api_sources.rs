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

#[test]
fn git_in_a_build_is_given_the_imported_login_for_its_own_host() {
    let Some(bench) = bench() else { return };
    let repositories = bench.state().with_file_name("repositories");
    let host = Host::start(&bench, &repositories, "gh-s3cr3t");
    let buildspec = |helper: &str| {
        let fill = |protocol: &str| {
            format!(
                "printf 'protocol={protocol}\\nhost=127.0.0.1:{}\\npath=other.git\\n\\n' | git credential fill",
                host.port
            )
        };
        format!(
            "version: 0.2
env: {{ git-credential-helper: {helper} }}
phases:
  build:
    commands:
      - export GIT_TERMINAL_PROMPT=0
      - {} || echo no login elsewhere
      - {} > login
      - cat login; grep -c 'password=gh-s3' login
",
            fill("https"),
            fill("http")
        )
    };
    let bare = repositories.join("private.git");
    repository(&bare, &buildspec("yes"));
    let made =
        Command::new("git").arg("-C").arg(&bare).args(["update-ref", "refs/pull/1/head", "HEAD"]).status();
    assert!(made.unwrap().success());
    let _serving = bench.serve(&[]);
    bench.project("helped", "version: 0.2");
    let location = format!("http://127.0.0.1:{}/private.git", host.port);
    let source = json!({ "type": "GITHUB_ENTERPRISE", "location": location });
    bench.call("update_project", json!({ "name": "helped", "source": source }));
    let login = json!({ "serverType": "GITHUB_ENTERPRISE", "authType": "PERSONAL_ACCESS_TOKEN", "token": "gh-s3cr3t" });
    bench.call("import_source_credentials", login);

    let build = bench.ended(&bench.start("helped"));
    let log = bench.log(&build);
    assert!(build["buildStatus"] == "SUCCEEDED" && log.contains("\nno login elsewhere\n"), "{build}\n{log}");
    assert!(log.contains("\npassword=***\n1\n"), "{log}");
    // Neither a build that does not ask for it gets one, nor one of what others want to be merged.
    for more in [json!({ "buildspecOverride": buildspec("no") }), json!({ "sourceVersion": "pr/1" })] {
        let mut ask = json!({ "projectName": "helped" });
        ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let id = bench.call("start_build", ask)["build"]["id"].as_str().unwrap().to_owned();
        let build = bench.ended(&id);
        let log = bench.log(&build);
        assert!(build["buildStatus"] == "FAILED" && log.contains("Entering phase BUILD"), "{build}\n{log}");
        assert!(!log.contains("password=***") && !log.contains("s3cr3t"), "{log}");
    }
}

#[test]
fn a_source_has_a_login_of_its_own_in_a_secret() {
    let Some(bench) = bench() else { return };
    let moto = bench.ask("moto", json!({}))["endpoint"].clone();
    let secret = |name: &str, kind: &str| {
        let login = json!({ "ServerType": kind, "AuthType": "PERSONAL_ACCESS_TOKEN", "Token": "own-s3cr3t" });
        let made = bench.ask(
            "call",
            json!({
                "endpoint": moto, "service": "secretsmanager", "operation": "create_secret",
                "parameters": { "Name": name, "SecretString": login.to_string() },
            }),
        );
        made["ARN"].clone()
    };
    let (good, other) = (secret("git/good", "GITHUB_ENTERPRISE"), secret("git/other", "GITLAB"));
    let repositories = bench.state().with_file_name("repositories");
    repository(
        &repositories.join("own.git"),
        "version: 0.2\nphases: { build: { commands: [echo fetched] } }\n",
    );
    let host = Host::start(&bench, &repositories, "own-s3cr3t");
    let endpoint = moto.as_str().unwrap();
    let variables =
        [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_ENDPOINT_URL", endpoint)];
    let _serving = bench.serve_with(&[], &variables);
    bench.project("own", "version: 0.2");
    let location = format!("http://127.0.0.1:{}/own.git", host.port);
    let build = |kind: &str, resource: &serde_json::Value| {
        let auth = json!({ "type": kind, "resource": resource });
        let source = json!({ "type": "GITHUB_ENTERPRISE", "location": location, "auth": auth });
        bench.call("update_project", json!({ "name": "own", "source": source }));
        let build = bench.ended(&bench.start("own"));
        assert_eq!(build["source"]["auth"], auth);
        assert!(!build.to_string().contains("s3cr3t") && !bench.log(&build).contains("s3cr3t"));
        build
    };
    // One for all of the kind does not count beside it.
    let login =
        json!({ "serverType": "GITHUB_ENTERPRISE", "authType": "PERSONAL_ACCESS_TOKEN", "token": "of-all" });
    bench.call("import_source_credentials", login);
    assert_eq!(build("SECRETS_MANAGER", &good)["buildStatus"], "SUCCEEDED");
    for (kind, resource, said) in [
        ("SECRETS_MANAGER", &other, "is a login for GITLAB, which this source is not"),
        ("SECRETS_MANAGER", &json!("git/none"), "ResourceNotFoundException"),
        ("CODECONNECTIONS", &good, "use SECRETS_MANAGER"),
    ] {
        let failed = build(kind, resource);
        let phases = failed["phases"].as_array().unwrap();
        let failed = phases.iter().find(|phase| phase["phaseStatus"] == "FAILED").unwrap();
        assert_eq!(failed["phaseType"], "DOWNLOAD_SOURCE");
        assert!(failed["contexts"][0]["message"].as_str().unwrap().contains(said), "{failed}");
    }
}
