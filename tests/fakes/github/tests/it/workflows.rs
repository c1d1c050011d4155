//! What GitHub itself makes of a workflow: needs, matrix, conditions, messages.

use std::time::Duration;

use fake_github::model::{Conclusion, JobState, Push};
use serde_json::{Value, json};

use super::runner::{Bench, json_of, quick};

/// Takes the next job, says its outputs and ends it. Answers its name.
async fn work(bench: &Bench, conclusion: &str, outputs: Value) -> Option<(String, Value)> {
    let (_, request) = bench.poll().await?;
    bench.acknowledge(&request).await;
    let work = super::runner::Work::new(json_of(bench.acquire_raw(&request).await).await);
    bench.complete_with(&work, conclusion, json!({"outputs": outputs})).await;
    Some((work.message["jobDisplayName"].as_str().unwrap().to_owned(), work.message))
}

fn results(bench: &Bench, run: u64) -> Vec<(String, Option<Conclusion>)> {
    bench.github.read(|github| {
        let jobs = github.runs[&run].jobs.iter().map(|job| &github.jobs[job]);
        jobs.map(|job| (job.name.clone(), job.conclusion())).collect()
    })
}

/// A context of a message as plain JSON.
fn decode(data: &Value) -> Value {
    match data.get("t").and_then(Value::as_u64) {
        Some(1) => data["a"].as_array().unwrap().iter().map(decode).collect(),
        Some(2) => Value::Object(
            data["d"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| (pair["k"].as_str().unwrap().to_owned(), decode(&pair["v"])))
                .collect(),
        ),
        _ => data.clone(),
    }
}

#[tokio::test]
async fn outputs_flow_through_needs_and_the_matrix_turns() {
    let bench = Bench::new(quick()).await;
    let run = bench.push(
        "on: push\nenv:\n  A: 1\njobs:\n  build:\n    runs-on: self-hosted\n    outputs:\n      v: ${{ steps.x.outputs.v }}\n    steps:\n      - id: x\n        run: true\n  test:\n    needs: build\n    runs-on: ${{ matrix.os }}\n    strategy:\n      fail-fast: false\n      matrix:\n        os: [self-hosted]\n        node: ${{ fromJSON(needs.build.outputs.v) }}\n        include:\n          - node: 20\n            extra: yes\n    steps:\n      - run: echo ${{ needs.build.outputs.v }}\n",
    )[0];
    let (name, message) = work(&bench, "succeeded", json!({"v": {"value": "[18, 20]"}})).await.unwrap();
    assert_eq!(name, "build");
    assert_eq!(message["jobOutputs"]["map"][0]["Value"]["expr"], "steps.x.outputs.v");
    assert_eq!(message["contextData"]["matrix"], Value::Null);
    assert_eq!(message["environmentVariables"][0]["map"][0]["Value"]["num"], 1);
    let (name, message) = work(&bench, "succeeded", json!({})).await.unwrap();
    assert_eq!(name, "test (self-hosted, 18)");
    assert_eq!(message["jobName"], "self-hosted_18");
    assert_eq!(
        decode(&message["contextData"]["needs"]),
        json!({"build": {"result": "success", "outputs": {"v": "[18, 20]"}}})
    );
    assert_eq!(decode(&message["contextData"]["strategy"])["job-total"], 2);
    let (_, message) = work(&bench, "succeeded", json!({})).await.unwrap();
    assert_eq!(
        decode(&message["contextData"]["matrix"]),
        json!({"os": "self-hosted", "node": 20, "extra": "yes"})
    );
    assert!(work(&bench, "succeeded", json!({})).await.is_none());
    assert_eq!(bench.github.read(|github| github.run_conclusion(run)), Some(Conclusion::Success));
    bench.assert_settled(run);
}

const INSERTED: &str = r#"
on: push
jobs:
  a:
    runs-on: self-hosted
    strategy:
      matrix:
        a:
          - env:
              one: 1
              ${{ insert }}: ${{ fromJSON('{"two":2}') }}
          - ${{ fromJSON('[{"env":3},{"env":4}]') }}
    steps: [{run: a}]
"#;

#[tokio::test]
async fn what_expressions_make_is_part_of_the_matrix() {
    let bench = Bench::new(quick()).await;
    let run = bench.push(INSERTED)[0];
    let mut seen = Vec::new();
    while let Some((_, message)) = work(&bench, "succeeded", json!({})).await {
        seen.push(decode(&message["contextData"]["matrix"])["a"]["env"].clone());
    }
    assert_eq!(seen, [json!({"one": 1, "two": 2}), json!(3), json!(4)]);
    bench.assert_settled(run);
}

const CHAIN: &str = "on: push\njobs:\n  a:\n    runs-on: self-hosted\n    steps: [{run: a}]\n  b:\n    needs: a\n    runs-on: self-hosted\n    steps: [{run: b}]\n  c:\n    needs: b\n    if: failure()\n    runs-on: self-hosted\n    steps: [{run: c}]\n  d:\n    needs: [a, b]\n    if: ${{ always() && needs.a.result == 'failure' }}\n    runs-on: self-hosted\n    steps: [{run: d}]\n  e:\n    if: github.ref == 'refs/heads/other'\n    runs-on: self-hosted\n    steps: [{run: e}]\n";

#[tokio::test]
async fn conditions_of_jobs_see_what_came_before() {
    let bench = Bench::new(quick()).await;
    let run = bench.push(CHAIN)[0];
    let mut names = Vec::new();
    let mut conclusion = "failed";
    while let Some((name, _)) = work(&bench, conclusion, json!({})).await {
        names.push(name);
        conclusion = "succeeded";
    }
    assert_eq!(names, ["a", "c", "d"]);
    let mut all = results(&bench, run);
    all.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        all,
        [
            ("a".to_owned(), Some(Conclusion::Failure)),
            ("b".to_owned(), Some(Conclusion::Skipped)),
            ("c".to_owned(), Some(Conclusion::Success)),
            ("d".to_owned(), Some(Conclusion::Success)),
            ("e".to_owned(), Some(Conclusion::Skipped)),
        ]
    );
    bench.assert_settled(run);
}

#[tokio::test]
async fn a_failure_stops_its_siblings_unless_it_is_tolerated() {
    let matrix = |more: &str| {
        format!(
            "on: push\njobs:\n  t:\n    runs-on: self-hosted\n{more}    strategy:\n      matrix:\n        n: [1, 2, 3]\n    steps: [{{run: x}}]\n"
        )
    };
    let bench = Bench::new(quick()).await;
    let run = bench.push(&matrix(""))[0];
    work(&bench, "failed", json!({})).await;
    assert!(work(&bench, "succeeded", json!({})).await.is_none());
    assert_eq!(bench.github.read(|github| github.run_conclusion(run)), Some(Conclusion::Failure));
    bench.assert_settled(run);
    let run = bench.push(&matrix("    continue-on-error: true\n"))[0];
    for conclusion in ["failed", "succeeded", "succeeded"] {
        work(&bench, conclusion, json!({})).await.unwrap();
    }
    assert_eq!(bench.github.read(|github| github.run_conclusion(run)), Some(Conclusion::Success));
}

#[tokio::test]
async fn labels_decide_who_gets_a_job() {
    let bench = Bench::new(quick()).await;
    let run = bench.push("on: push\njobs:\n  a:\n    runs-on: [self-hosted, gpu]\n    steps: [{run: x}]\n  b:\n    runs-on: {group: Other}\n    steps: [{run: x}]\n")[0];
    assert!(bench.poll().await.is_none());
    let waiting = bench.github.read(|github| github.jobs.values().all(|job| job.state == JobState::Queued));
    assert!(waiting);
    bench.github.change(|github| {
        let runner = github.runners.get_mut(&bench.runner.id).unwrap();
        runner.registration.labels.push(fake_github::model::Label { name: "GPU".to_owned(), system: false });
    });
    assert_eq!(work(&bench, "succeeded", json!({})).await.unwrap().0, "a");
    assert_eq!(bench.github.read(|github| github.unsettled(run).len()), 1);
}

#[tokio::test]
async fn a_workflow_that_cannot_be_read_fails_its_run() {
    let bench = Bench::new(quick()).await;
    let run = bench.push("on: push\njobs:\n  a:\n    steps: []\n")[0];
    assert_eq!(bench.github.read(|github| github.run_conclusion(run)), Some(Conclusion::Failure));
    let error = bench.github.read(|github| github.runs[&run].error.clone()).unwrap();
    assert!(error.contains(".github/workflows/ci.yml (Line: 4)"), "{error}");
}

#[tokio::test]
async fn a_dispatch_takes_typed_inputs() {
    let bench = Bench::new(quick()).await;
    let workflow = "on:\n  workflow_dispatch:\n    inputs:\n      deep: {type: boolean, default: false}\n      level: {type: choice, options: [low, high], default: low}\n      who: {required: true}\njobs:\n  a:\n    runs-on: self-hosted\n    steps: [{run: x}]\n";
    assert!(bench.push(workflow).is_empty());
    let url = bench.url("/api/v3/repos/octo/hello/actions/workflows/ci.yml/dispatches");
    let ask = async |inputs: Value| {
        let body = json!({"ref": "main", "inputs": inputs});
        bench.call(reqwest::Method::POST, &url, "pat", Some(body)).await.status().as_u16()
    };
    assert_eq!(ask(json!({})).await, 422);
    assert_eq!(ask(json!({"who": "me", "level": "top"})).await, 422);
    assert_eq!(ask(json!({"who": "me", "other": "x"})).await, 422);
    assert_eq!(ask(json!({"who": "me", "deep": "true"})).await, 204);
    let (_, message) = work(&bench, "succeeded", json!({})).await.unwrap();
    assert_eq!(decode(&message["contextData"]["inputs"]), json!({"deep": true, "level": "low", "who": "me"}));
    assert_eq!(decode(&message["contextData"]["github"])["event"]["inputs"]["deep"], "true");
}

#[tokio::test]
async fn secrets_and_variables_reach_the_job_and_failed_jobs_run_again() {
    let bench = Bench::new(quick()).await;
    bench.github.change(|github| {
        let repository = github.repository("octo/hello").unwrap();
        repository.secrets.insert("KEY".to_owned(), "s3cret".to_owned());
        repository.variables.insert("PLACE".to_owned(), "here".to_owned());
    });
    let run = bench.push(super::runner::ONE_STEP)[0];
    let (_, message) = work(&bench, "failed", json!({})).await.unwrap();
    assert_eq!(message["variables"]["KEY"], json!({"value": "s3cret", "isSecret": true}));
    assert_eq!(decode(&message["contextData"]["vars"]), json!({"PLACE": "here"}));
    let url = bench.url(&format!("/api/v3/repos/octo/hello/actions/runs/{run}/rerun-failed-jobs"));
    assert_eq!(bench.call(reqwest::Method::POST, &url, "pat", None).await.status(), 201);
    let (_, again) = work(&bench, "succeeded", json!({})).await.unwrap();
    assert_eq!(decode(&again["contextData"]["github"])["run_attempt"], "2");
    assert_ne!(again["plan"]["planId"], message["plan"]["planId"]);
    assert_eq!(bench.github.read(|github| github.run_conclusion(run)), Some(Conclusion::Success));
}

#[tokio::test]
async fn two_workflows_of_one_push_are_two_runs() {
    let bench = Bench::new(quick()).await;
    let push = Push::new(
        "octo/hello",
        [
            (".github/workflows/a.yml", super::runner::ONE_STEP),
            (".github/workflows/b.yml", super::runner::ONE_STEP),
            (".github/workflows/c.yml", "on: pull_request\njobs:\n  a:\n    runs-on: x\n"),
        ],
    );
    let runs = bench.github.change(|github| github.push(&push)).unwrap().1;
    assert_eq!(runs.len(), 2);
    for _ in 0..2 {
        work(&bench, "succeeded", json!({})).await.unwrap();
    }
    let over = bench.github.wait_for(Duration::from_secs(1), |github| {
        runs.iter().all(|run| github.run_conclusion(*run).is_some()).then_some(())
    });
    assert!(over.await.is_some());
}
