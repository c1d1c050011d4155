//! A runner that is not ours registers here and finishes jobs.
//!
//! It is `github-act-runner`, which works against github.com; `tests/fakes/github/validate` builds it and runs
//! these tests with it.

use std::{
    env,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use fake_github::{
    FakeGitHub, Value,
    model::{Conclusion, Delivery, Push, Settings, StepConclusion, TokenKind},
};
use tempfile::TempDir;
use tokio::process::Command;

const WORKFLOW: &str = "on: push
env:
  LEVEL: workflow
jobs:
  build:
    runs-on: [self-hosted, linux]
    outputs:
      value: ${{ steps.make.outputs.value }}
    steps:
      - run: echo \"hello ${{ github.repository }} $LEVEL $OWN\"
        env:
          OWN: ${{ github.run_attempt }}
      - id: make
        name: Make a value
        run: |
          echo \"value=42\" >> \"$GITHUB_OUTPUT\"
          echo \"# Made 42\" >> \"$GITHUB_STEP_SUMMARY\"
      - run: echo never
        if: failure()
  test:
    needs: build
    runs-on: self-hosted
    strategy:
      fail-fast: false
      matrix:
        number: [42, 43]
    steps:
      - run: test \"${{ needs.build.outputs.value }}\" = \"${{ matrix.number }}\"
";

/// The runner's program, or why the test is not run.
fn program() -> Option<PathBuf> {
    let program = env::var_os("FAKE_GITHUB_RUNNER").map(PathBuf::from);
    if program.is_none() {
        // Past the harness, which keeps what a passing test prints.
        drop(writeln!(
            std::io::stderr(),
            "SKIPPED: no runner that is not ours: run tests/fakes/github/validate, or set FAKE_GITHUB_RUNNER to github-act-runner"
        ));
    }
    program
}

async fn call(program: &Path, home: &Path, arguments: &[&str]) -> Output {
    let child = Command::new(program)
        .args(arguments)
        .current_dir(home)
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    tokio::time::timeout(Duration::from_secs(120), child.wait_with_output()).await.unwrap().unwrap()
}

async fn works(settings: Settings) {
    let Some(program) = program() else { return };
    let github = FakeGitHub::start(settings).await.unwrap();
    let (_, runs) = github
        .change(|github| github.push(&Push::new("octo/hello", [(".github/workflows/ci.yml", WORKFLOW)])))
        .unwrap();
    let run = runs[0];
    let token = github.change(|github| github.runner_token(TokenKind::Registration).0);
    let home = TempDir::new().unwrap();
    let url = format!("{}/octo/hello", github.url());
    let configure = [
        "configure",
        "--unattended",
        "--url",
        &url,
        "--token",
        &token,
        "--name",
        "theirs",
        "--labels",
        "extra",
    ];
    let configured = call(&program, home.path(), &configure).await;
    assert!(configured.status.success(), "{configured:?}");
    assert!(github.read(|github| {
        let runner = github.runners.values().next().unwrap();
        runner.has_labels(&["self-hosted".to_owned(), "linux".to_owned(), "extra".to_owned()])
    }));

    for _ in 0..3 {
        let ran = call(&program, home.path(), &["run", "--once", "-t=false"]).await;
        assert!(ran.status.success(), "{ran:?}");
    }
    let page = github.read(|github| fake_github::page::text(github, run)).unwrap();
    assert_eq!(github.read(|github| github.unsettled(run)), Vec::<String>::new(), "{page}");
    github.read(|github| {
        let jobs: Vec<_> = github.runs[&run].jobs.iter().map(|job| &github.jobs[job]).collect();
        let build = jobs[0];
        assert_eq!(build.conclusion(), Some(Conclusion::Success), "{page}");
        assert_eq!(build.outputs["value"].value, "42");
        let log = github.job_log(build.id).unwrap();
        assert!(log.contains("hello octo/hello workflow 1"), "{log}");
        let step = |name: &str| build.steps.values().find(|step| step.name.contains(name)).unwrap();
        assert_eq!(step("Make a value").conclusion, StepConclusion::Success);
        assert_eq!(step("never").conclusion, StepConclusion::Skipped);
        assert!(github.summary(build.id, step("Make a value").id).unwrap().contains("# Made 42"));
        assert!(build.live.iter().any(|line| line.text.contains("hello octo/hello")), "{:?}", build.live);
        assert_eq!(jobs[1].matrix, Value::from([("number", 42u32.into())]));
        let conclusions: Vec<_> = jobs[1..].iter().map(|job| job.conclusion()).collect();
        assert_eq!(conclusions, [Some(Conclusion::Success), Some(Conclusion::Failure)], "{page}");
        assert_eq!(github.violations, Vec::<String>::new());
    });

    let token = github.change(|github| github.runner_token(TokenKind::Removal).0);
    let removed = call(
        &program,
        home.path(),
        &["remove", "--unattended", "--url", &url, "--name", "theirs", "--token", &token],
    )
    .await;
    assert!(removed.status.success(), "{removed:?}");
    assert!(github.read(|github| github.runners.is_empty()));
}

#[tokio::test]
async fn another_runner_works_through_the_broker() {
    works(Settings::default()).await;
}

#[tokio::test]
async fn another_runner_works_through_the_queue() {
    works(Settings { delivery: Delivery::Queue { encrypted: true, fips: true }, ..Settings::default() })
        .await;
}
