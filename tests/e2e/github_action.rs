//! `action.yml`: as a machine of GitHub's would run its script, and as a step of a job of ours.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Output};

use fake_github::model::{Conclusion, Push};
use serde_json::Value;
use tempfile::TempDir;

use crate::github_bench::{Bench, quick};

const ACTION: &str = include_str!("../../action.yml");

/// Runs the action's only step with these inputs, over its own defaults; its output and what it said of the build.
fn act(inputs: &[(&str, &str)]) -> (Output, HashMap<String, String>) {
    let action: Value = serde_saphyr::from_str(ACTION).unwrap();
    let step = &action["runs"]["steps"][0];
    let place = TempDir::new().unwrap();
    let told = place.path().join("output");
    let mut command = Command::new("bash");
    command.args(["-c", step["run"].as_str().unwrap()]).env("GITHUB_OUTPUT", &told);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("RUNNER_TEMP", place.path());
    command.env("GITHUB_SHA", "0123abc").env("GITHUB_TOKEN", "hush-hush-4711").env("NAME", "Ada");
    for (variable, expression) in step["env"].as_object().unwrap() {
        let name = expression.as_str().unwrap().trim_start_matches("${{ inputs.").trim_end_matches(" }}");
        let given = inputs.iter().find(|(input, _)| *input == name).map(|(_, value)| (*value).to_owned());
        let default = action["inputs"][name]["default"].as_str().map(str::to_owned);
        assert!(action["inputs"][name].is_object(), "{name} is no input");
        command.env(variable, given.or(default).unwrap_or_default());
    }
    let output = command.output().unwrap();
    let told = std::fs::read_to_string(told).unwrap_or_default();
    let pairs = told.lines().filter_map(|line| line.split_once('='));
    (output, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn the_action_builds_and_says_how_it_ended() {
    let program = ("runspan", env!("CARGO_BIN_EXE_runspan"));
    let sandbox = ("executor", "sandbox");
    let out = TempDir::new().unwrap();
    let artifacts = ("artifacts", out.path().to_str().unwrap());
    let (output, told) = act(&[
        program,
        sandbox,
        artifacts,
        ("directory", "examples/hello"),
        ("project-name", "greeter"),
        ("env-vars-for-codebuild", "NAME"),
    ]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(told["build-status"], "SUCCEEDED");
    assert!(told["aws-build-id"].starts_with("greeter:"), "{told:?}");
    assert!(said(&output).contains("Hello, Ada!"), "{}", said(&output));
    assert!(Path::new(artifacts.1).read_dir().unwrap().next().is_some());

    let print = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo sha=$GITHUB_SHA token=$GITHUB_TOKEN.\n      - exit 7\n";
    let inputs = [program, sandbox, ("directory", "examples/hello"), ("buildspec-override", print)];
    let (output, told) = act(&inputs);
    assert_eq!(
        (output.status.code(), told["build-status"].as_str()),
        (Some(1), "FAILED"),
        "{}",
        said(&output)
    );
    assert!(said(&output).contains("sha=0123abc token=."), "{}", said(&output));

    for (inputs, why) in [
        (&[("runspan", "/nowhere/runspan")], "there is no /nowhere/runspan here"),
        (&[("runspan", "https://127.0.0.1:1/runspan")], "needs the input runspan-sha256"),
    ] {
        let (output, _) = act(inputs);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(why), "{}", said(&output));
    }
    let (output, _) = act(&[program, ("project-name", "x\", \"y")]);
    assert!(said(&output).contains("is no name of a project"), "{}", said(&output));
}

const WORKFLOW: &str = r#"
on: push
jobs:
  build:
    runs-on: self-hosted
    outputs: {id: "${{ steps.build.outputs.aws-build-id }}"}
    steps:
      - name: A program that stands in for runspan, since there is no sandbox in a sandbox
        run: |
          mkdir bin
          cat > bin/runspan <<'END'
          #!/bin/sh
          case $1 in
            run) shift; printf '<%s>' "$@" ;;
            builds) echo '{'; echo '"id": "p:1",'; echo '"buildStatus": "SUCCEEDED"' ;;
          esac
          END
          chmod +x bin/runspan
          echo "$PWD/bin" >> "$GITHUB_PATH"
      - id: build
        uses: octo/runspan@v1
        env: {KEY: "a  value"}
        with:
          directory: sub dir
          image-override: debian
          env-vars-for-codebuild: KEY
          disable-github-env-vars: true
      - run: test "${{ steps.build.outputs.build-status }}" = SUCCEEDED
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_action_is_a_step_of_a_job_of_ours() {
    let bench = Bench::registered(quick()).await;
    let push = Push::new("octo/runspan", [("action.yml", ACTION)]).to("refs/tags/v1");
    bench.github.change(|github| github.push(&push)).unwrap();
    let _serving = bench.serve();
    let run = bench.push(WORKFLOW);
    let conclusion = bench.conclusion(run).await;
    let job = bench.job(run);
    let log = bench.log(&job);
    assert_eq!(conclusion, Conclusion::Success, "{log}{}", bench.said());
    assert_eq!(job.outputs["id"].value, "p:1");
    assert!(log.contains("<sub dir><--executor><auto><--image><debian><--env><KEY=a  value>"), "{log}");
}
