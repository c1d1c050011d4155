//! Steps in GitHub's sense, where it takes more than one run to see them: actions of repositories, stops, deaths of the
//! supervisor, what the record shows.

mod server;

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::harness::{BUSYBOX, DEBIAN, Home, SANDBOX, home};
use server::Server;

/// Whether `node` is on this machine, whose root a sandbox can have.
fn has_node() -> bool {
    let found = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "node is not installed");
        drop(std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: node is not installed\n"));
    }
    found
}

/// A sandbox with this machine's own root, which has node.
fn on_this_machine(home: &Home, source: &Path) -> crate::harness::Run {
    home.run(source, "host")
}

const ACTION: &str = r#"name: counting
inputs:
  who: { default: nobody }
  a b: { default: "${{ runner.os }}" }
outputs: { sum: { description: what it adds up to } }
runs: { using: node20, pre: pre.js, main: main.js, post: post.js, post-if: "!cancelled()" }
"#;
const PRE: &str = "require('fs').appendFileSync(process.env.GITHUB_STATE, 'a=1\\n'); console.log('pre ' + process.env.INPUT_WHO);";
const MAIN: &str = r"const fs = require('fs');
const { env } = process;
console.log(['main', env.INPUT_WHO, env['INPUT_A_B'], env.STATE_a, env.GITHUB_ACTION_REPOSITORY, env.GITHUB_ACTION_REF].join(' '));
fs.appendFileSync(env.GITHUB_OUTPUT, 'sum=3\n');
fs.appendFileSync(env.GITHUB_STATE, 'b=2\n');
";
const POST: &str =
    "console.log('post ' + process.env.STATE_a + process.env.STATE_b + ' ' + process.env.INPUT_WHO);";

#[test]
fn an_action_of_a_repository_runs_before_in_and_after_its_place() {
    if !SANDBOX || !has_node() {
        return;
    }
    let Some(home) = home() else { return };
    let server = Server::start(&[
        ("action.yml", ACTION),
        ("pre.js", PRE),
        ("main.js", MAIN),
        ("sub/post.js", "x"),
        ("post.js", POST),
    ]);
    let source = home.source(
        "steps",
        [(
            "buildspec.yml",
            "version: 0.2
phases:
  build:
    steps:
      - run: echo first
      - { id: one, uses: o/counting@releases/v1, with: { who: you } }
      - { uses: o/counting@releases/v1 }
      - run: echo sum ${{ steps.one.outputs.sum }}
",
        )],
    );
    let run = || on_this_machine(&home, &source).env("RUNSPAN_ACTIONS_URL", server.url()).finish();
    run().exited(0).printed(&[
        "Download action repository 'o/counting@releases/v1'",
        "pre you\n",
        "pre nobody\n",
        "\nfirst\n",
        "\nmain you Linux 1 o/counting releases/v1\n",
        "\nmain nobody Linux 1",
        "\nsum 3\n",
        "Post Run o/counting@releases/v1",
        "post 12 nobody\n",
        "post 12 you\n",
    ]);
    // The commit is asked for again; its archive is not.
    run().exited(0);
    assert_eq!(server.asked(), ["commits/releases%2Fv1", "tarball", "commits/releases%2Fv1"]);
    home.assert_nothing_left();
}

#[test]
fn an_action_that_is_not_there_fails_the_phase_and_says_so() {
    let Some(home) = home() else { return };
    let server = Server::start(&[("action.yml", ACTION)]);
    let spec = |uses: &str| {
        format!(
            "version: 0.2\nphases: {{ build: {{ steps: [ {{ run: echo ran }}, {{ uses: {uses} }} ] }} }}\n"
        )
    };
    for (uses, text) in [
        ("o/none@v1", "Unable to resolve action `o/none@v1`"),
        ("o/counting/sub@v1", "Can't find 'action.yml', 'action.yaml' or 'Dockerfile'"),
        ("o/escapes@v1", "leads out of it"),
    ] {
        let source = home.source("steps", [("buildspec.yml", &spec(uses))]);
        home.run(&source, BUSYBOX)
            .env("RUNSPAN_ACTIONS_URL", server.url())
            .finish()
            .exited(1)
            .printed(&[text, "Phase complete: BUILD State: FAILED"])
            .did_not_print("\nran\n");
    }
}

#[test]
fn an_image_without_node_says_what_to_do() {
    let Some(home) = home() else { return };
    let spec = "version: 0.2\nphases: { build: { steps: [ { uses: ./a } ] } }\n";
    let action = "runs: { using: node20, main: main.js }\n";
    let source = home.source("steps", [("buildspec.yml", spec), ("a/action.yml", action), ("a/main.js", "")]);
    home.run(&source, BUSYBOX)
        .finish()
        .exited(1)
        .printed(&["the action needs node 20 or later, which the image does not have"]);
    home.run(&source, DEBIAN)
        .env("RUNSPAN_NODE_URL", "/nowhere")
        .finish()
        .exited(1)
        .printed(&["node 20 cannot be had", "/nowhere/node-linux-"]);
}

/// The action as far as it matters here: what it is given when nobody says otherwise.
const CHECKOUT: &str = r#"inputs:
  repository: { default: "${{ github.repository }}" }
  ref: {}
  token: { default: "${{ github.token }}" }
  fetch-depth: { default: 1 }
  lfs: { default: false }
  path: {}
  github-server-url: {}
  ssh-key: {}
runs: { using: node24, main: dist/index.js }
"#;

#[test]
fn a_checkout_needs_no_node() {
    let Some(home) = home() else { return };
    let server = Server::start(&[("action.yml", CHECKOUT)]);
    let checkout = |more: &str| {
        format!(
            "version: 0.2
phases:
  build:
    steps:
      - id: it
        uses: actions/checkout@v4
        with: {{ repository: o/cloned, path: in/here, github-server-url: '{}', fetch-depth: 0{more} }}
      - run: cat in/here/cloned.txt; echo ${{{{ steps.it.outputs.commit != '' }}}}
",
            server.url()
        )
    };
    let run = |spec: &str| {
        let source = home.source("steps", [("buildspec.yml", spec)]);
        home.run(&source, BUSYBOX).env("RUNSPAN_ACTIONS_URL", server.url()).finish()
    };
    run(&checkout("")).exited(0).printed(&["fetched without node", "\nfrom the repository\ntrue\n"]);
    run(&checkout(", ssh-key: k")).exited(1).printed(&["the action needs node 24", "`ssh-key: k`"]);
    run(&checkout(", ref: none")).exited(1).printed(&["none"]);
    home.assert_nothing_left();
}

const LONG: &str = "version: 0.2
phases:
  install:
    steps:
      - { id: early, run: 'echo \"v=7\" >> $GITHUB_OUTPUT; echo \"::notice::early\"; echo KEPT=1 >> $GITHUB_ENV' }
  build:
    steps:
      - { id: one, run: 'echo \"v=1\" >> $GITHUB_OUTPUT; echo one; echo \"# Sum\" >> $GITHUB_STEP_SUMMARY' }
      - run: 'for i in $(seq 1 60); do echo \"slow $i\"; usleep 20000; done; echo \"::warning file=a.c,line=2::odd\"'
      - { id: bad, run: exit 3, continue-on-error: true }
      - run: echo \"end ${{ steps.early.outputs.v }} ${{ steps.one.outputs.v }} ${{ steps.bad.outcome }} $KEPT ${{ env.KEPT }} ${{ hashFiles('buildspec.yml') != '' }}\"
";

#[test]
fn steps_go_on_under_another_supervisor_and_are_told_once() {
    for moment in ["\none\n", "\nslow 7\n", "\nslow 55\n"] {
        let Some(home) = home() else { return };
        let source = home.source("steps", [("buildspec.yml", LONG)]);
        let running = home.run(&source, BUSYBOX).start();
        running.wait_for(moment);
        let build = home.build();
        running.kill();
        let attached = home.runspan(["builds", "attach", &build]).finish().exited(0);
        attached.printed(&["\nslow 60\n", "\nend 7 1 failure 1 1 true\n"]);
        let log = home.log(&build);
        assert_eq!(log.matches("\nslow 30\n").count(), 1, "{log}");
        let shown = home.runspan(["builds", "show", &build, "--format", "json"]).finish().exited(0);
        let record: serde_json::Value = serde_json::from_str(&shown.text()).unwrap();
        let steps = record["steps"].as_array().unwrap();
        let seen: Vec<_> = steps
            .iter()
            .map(|step| {
                format!("{} {} {}", step["phase"], step["index"], step["conclusion"]).replace('"', "")
            })
            .collect();
        let expected =
            ["INSTALL 0 success", "BUILD 0 success", "BUILD 1 success", "BUILD 2 success", "BUILD 3 success"];
        assert_eq!(seen, expected, "killed at {moment:?}");
        assert_eq!(steps[3]["outcome"], "failure");
        assert_eq!(steps[2]["annotations"][0]["file"], "a.c");
        assert_eq!(steps[1]["summary"], "# Sum\n");
        home.runspan(["builds", "show", &build]).finish().exited(0).printed(&[
            "STEP",
            "failure, tolerated",
            "notice: early",
            "warning: a.c:2: odd",
            "Summary of",
            "# Sum",
        ]);
        home.assert_nothing_left();
    }
}

#[test]
fn a_stopped_job_still_runs_what_is_always_run() {
    let Some(home) = home() else { return };
    let source = home.source(
        "steps",
        [(
            "buildspec.yml",
            "version: 0.2
phases:
  build:
    steps:
      - run: echo on the way; sleep 3600
      - run: echo not this
      - { if: failure(), run: echo nor this }
      - { if: always(), run: 'echo \"always ${{ job.status }}\"' }
      - { if: cancelled(), run: echo cancelled; sleep 3600 }
    finally: [echo nor finally]
  post_build:
    commands: [echo nor post_build]
",
        )],
    );
    let running = home.run(&source, BUSYBOX).start();
    running.wait_for("\non the way\n");
    running.signal(Signal::INT);
    running.wait_for("\ncancelled\n");
    // The second one does not wait for anything.
    running.signal(Signal::INT);
    let finished = running.finish().exited(130).printed(&["always cancelled\n", "cancelled\n"]);
    finished.did_not_print("\nnot this").did_not_print("\nnor ");
    let record = home.record(&home.build());
    assert_eq!(record.status(), "STOPPED");
    home.assert_nothing_left();
}

#[test]
fn a_step_that_is_always_run_is_not_ended_by_a_stop() {
    let Some(home) = home() else { return };
    let spec = "version: 0.2
phases:
  build:
    steps:
      - { if: always(), run: echo begun; sleep 2; echo not ended }
      - run: echo not this
      - { if: cancelled(), run: echo cancelled }
";
    let source = home.source("steps", [("buildspec.yml", spec)]);
    let running = home.run(&source, BUSYBOX).start();
    running.wait_for("\nbegun\n");
    running.signal(Signal::INT);
    running.finish().exited(130).printed(&["\nnot ended\n", "\ncancelled\n"]).did_not_print("\nnot this");
    assert_eq!(home.record(&home.build()).status(), "STOPPED");
    home.assert_nothing_left();
}

#[test]
fn problem_matchers_annotate() {
    let Some(home) = home() else { return };
    let matcher = r#"{"problemMatcher":[{"owner":"cc","pattern":[{"regexp":"^(.+):(\\d+): (warning|error): (.+)$","file":1,"line":2,"severity":3,"message":4}]}]}"#;
    let spec = "version: 0.2
phases:
  build:
    steps:
      - run: echo '::add-matcher::m.json'
      - run: |
          echo 'a.c:3: error: broken'
          echo 'b.c:4: warning: odd'
      - run: echo '::remove-matcher owner=cc::'
      - run: 'echo \"a.c:9: error: unseen\"'
";
    let source = home.source("steps", [("buildspec.yml", spec), ("m.json", matcher)]);
    home.run(&source, BUSYBOX).finish().exited(0);
    home.runspan(["builds", "show", &home.build()])
        .finish()
        .exited(0)
        .printed(&["error: a.c:3: broken", "warning: b.c:4: odd"])
        .did_not_print("unseen (");
}

#[test]
fn a_workflow_whose_action_only_we_can_run_runs() {
    if !SANDBOX || !has_node() {
        return;
    }
    let Some(home) = home() else { return };
    let workflow = r#"on: push
env: { LEVEL: high }
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - id: tool
        uses: ./tool
        with: { level: "${{ env.LEVEL }}" }
      - if: steps.tool.outputs.found == '2' && success()
        run: echo "found ${{ steps.tool.outputs.found }} on $LEVEL"
      - { run: exit 3, continue-on-error: true }
      - if: failure()
        run: echo not this
"#;
    let script = "const fs = require('fs'); console.log('level ' + process.env.INPUT_LEVEL);\n\
                  fs.appendFileSync(process.env.GITHUB_OUTPUT, 'found=2\\n');";
    let action = "inputs: { level: { required: true } }\nruns: { using: node20, main: tool.js }\n";
    let source = home.source(
        "workflow",
        [(".github/workflows/ci.yml", workflow), ("tool/action.yml", action), ("tool/tool.js", script)],
    );
    on_this_machine(&home, &source.join(".github/workflows/ci.yml"))
        .finish()
        .exited(0)
        .printed(&["level high\n", "\nfound 2 on high\n"])
        .did_not_print("\nnot this");
}
