//! Repositories, actions, checks, and the control by hand.

use std::{io::Read, process::Command};

use fake_github::model::Push;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::runner::{Bench, ONE_STEP, json_of, quick};

fn action(bench: &Bench, private: bool) -> String {
    let push = Push::new(
        "acme/greet",
        [("action.yml", "runs: {using: composite, steps: []}\n"), ("bin/run", "#!/bin/sh\n")],
    )
    .to("refs/tags/v1");
    let (sha, runs) = bench.github.change(|github| github.push(&push)).unwrap();
    assert!(runs.is_empty());
    bench.github.change(|github| github.repository("acme/greet").unwrap().private = private);
    sha
}

#[tokio::test]
async fn actions_are_resolved_and_their_archives_have_one_folder() {
    let bench = Bench::new(quick()).await;
    let sha = action(&bench, false);
    bench.push(ONE_STEP);
    let work = bench.take().await;
    let url = bench.url(&format!("/actions/build/{}/jobs/{}/runnerresolve/actions", work.plan, work.job));
    let ask = async |action: &str, version: &str| {
        let body = json!({"actions": [{"action": action, "version": version}]});
        bench.call(Method::POST, &url, &work.token, Some(body)).await
    };
    let answer = json_of(ask("acme/greet", "v1").await).await;
    let found = &answer["actions"]["acme/greet@v1"];
    assert_eq!((&found["resolved_sha"], &found["authentication"]), (&json!(sha), &Value::Null));
    let archive =
        bench.http.get(found["tar_url"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    let mut child = Command::new("tar")
        .args(["-tzf", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &archive).unwrap();
    let mut names = String::new();
    child.stdout.take().unwrap().read_to_string(&mut names).unwrap();
    child.wait().unwrap();
    let top: std::collections::BTreeSet<&str> =
        names.lines().filter_map(|name| name.split('/').next()).collect();
    assert_eq!(top.len(), 1, "{names}");
    assert!(names.contains("/action.yml"), "{names}");

    let missing = ask("acme/greet", "v2").await;
    assert_eq!(missing.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let message = json_of(missing).await["errors"]["acme/greet@v2"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Unable to resolve action `acme/greet@v2`"), "{message}");
}

#[tokio::test]
async fn a_private_action_comes_with_a_token() {
    let bench = Bench::new(quick()).await;
    action(&bench, true);
    bench.push(ONE_STEP);
    let work = bench.take().await;
    let url = bench.url(&format!("/actions/build/{}/jobs/{}/runnerresolve/actions", work.plan, work.job));
    let body = json!({"actions": [{"action": "acme/greet", "version": "v1"}]});
    let answer = json_of(bench.call(Method::POST, &url, &work.token, Some(body)).await).await;
    let found = &answer["actions"]["acme/greet@v1"];
    let archive = found["tar_url"].as_str().unwrap();
    assert_eq!(bench.http.get(archive).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let token = found["authentication"]["token"].as_str().unwrap();
    let with = bench.http.get(archive).basic_auth("x-access-token", Some(token)).send().await.unwrap();
    assert_eq!(with.status(), StatusCode::OK);
    assert_eq!(with.headers()["content-type"], "application/x-gzip");
}

#[tokio::test]
async fn git_clones_a_repository_and_a_private_one_only_with_the_jobs_token() {
    let bench = Bench::new(quick()).await;
    bench.push(ONE_STEP);
    let work = bench.take().await;
    let token = work.message["variables"]["github_token"]["value"].as_str().unwrap();
    bench.github.change(|github| github.repository("octo/hello").unwrap().private = true);
    let folder = tempfile::tempdir().unwrap();
    let clone = async |name: &str, credentials: &str| {
        let url = bench.url("/octo/hello").replace("http://", &format!("http://{credentials}"));
        let mut command = tokio::process::Command::new("git");
        command.args(["clone", "--quiet", "--depth=1", &url]).arg(folder.path().join(name));
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.output().await.unwrap()
    };
    assert!(!clone("without", "").await.status.success());
    let output = clone("with", &format!("x-access-token:{token}@")).await;
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(folder.path().join("with/.github/workflows/ci.yml")).unwrap();
    assert_eq!(text, ONE_STEP);
}

#[tokio::test]
async fn contents_and_archives_are_served() {
    let bench = Bench::unregistered(quick()).await;
    bench.push(ONE_STEP);
    let api = |path: &str| bench.url(&format!("/api/v3/repos/octo/hello{path}"));
    let raw = bench
        .http
        .get(api("/contents/.github/workflows/ci.yml?ref=main"))
        .header("accept", "application/vnd.github.raw");
    assert_eq!(raw.send().await.unwrap().text().await.unwrap(), ONE_STEP);
    let missing = bench.http.get(api("/contents/nothing")).send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    let archive = bench.http.get(api("/zipball/main")).send().await.unwrap();
    assert_eq!(
        (archive.status(), archive.headers()["content-type"].to_str().unwrap()),
        (StatusCode::OK, "application/zip")
    );
    let repository = json_of(bench.http.get(api("")).send().await.unwrap()).await;
    assert_eq!(repository["default_branch"], "main");
}

#[tokio::test]
async fn check_runs_and_statuses_follow_the_rules() {
    let bench = Bench::unregistered(quick()).await;
    bench.push(ONE_STEP);
    let api = |path: &str| bench.url(&format!("/api/v3/repos/octo/hello{path}"));
    let sha = json_of(bench.http.get(api("/commits/main")).send().await.unwrap()).await["sha"]
        .as_str()
        .unwrap()
        .to_owned();
    let post = async |path: &str, body: Value| bench.call(Method::POST, &api(path), "pat", Some(body)).await;
    assert_eq!(
        post("/check-runs", json!({"name": "report"})).await.status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let made = json_of(
        post("/check-runs", json!({"name": "report", "head_sha": sha, "status": "in_progress"})).await,
    )
    .await;
    let one = api(&format!("/check-runs/{}", made["id"]));
    let annotations = |count: usize| -> Vec<Value> {
        (0..count).map(|line| json!({"path": "a", "start_line": line + 1, "end_line": line + 1, "annotation_level": "failure", "message": "m"})).collect()
    };
    let update = async |count: usize| {
        let output = json!({"title": "t", "summary": "s", "annotations": annotations(count)});
        bench.call(Method::PATCH, &one, "pat", Some(json!({"output": output, "conclusion": "failure"}))).await
    };
    assert_eq!(update(51).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    update(50).await;
    assert_eq!(json_of(update(2).await).await["status"], "completed");
    let all = json_of(bench.http.get(api("/commits/main/check-runs")).send().await.unwrap()).await;
    assert_eq!(all["total_count"], 2, "the report's and the job's");
    assert_eq!(bench.github.read(|github| github.check_runs.values().next().unwrap().annotations.len()), 52);

    for (state, together) in [("pending", "pending"), ("success", "success"), ("error", "failure")] {
        let status = post(&format!("/statuses/{sha}"), json!({"state": state, "context": "ours"})).await;
        assert_eq!(status.status(), StatusCode::CREATED);
        let now = json_of(bench.http.get(api("/commits/main/status")).send().await.unwrap()).await;
        assert_eq!((&now["state"], &now["total_count"]), (&json!(together), &json!(1)));
    }
}

#[tokio::test]
async fn a_tree_is_pushed_by_hand_and_its_run_is_shown() {
    let bench = Bench::new(quick()).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join(".github/workflows")).unwrap();
    std::fs::write(folder.path().join(".github/workflows/ci.yml"), ONE_STEP).unwrap();
    let tar = Command::new("tar")
        .args(["-C", &folder.path().to_string_lossy(), "-c", "."])
        .output()
        .unwrap()
        .stdout;
    let url = bench.url("/_fake/repos/octo/hello/push");
    let pushed = json_of(bench.http.post(&url).body(tar).send().await.unwrap()).await;
    let run = pushed["runs"][0].as_u64().unwrap();
    let work = bench.take().await;
    bench.complete_with(&work, "succeeded", json!({"outputs": {"a": {"value": "1"}}})).await;
    let page = bench.url(&format!("/_fake/runs/{run}"));
    let text = bench.http.get(&page).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("build ["), "{text}");
    assert!(text.contains("output a = 1"), "{text}");
    let page =
        json_of(bench.http.get(&page).header("accept", "application/json").send().await.unwrap()).await;
    assert_eq!((&page["conclusion"], &page["unsettled"]), (&json!("success"), &json!([])));
    let api = bench.url(&format!("/api/v3/repos/octo/hello/actions/runs/{run}"));
    let shown = json_of(bench.http.get(&api).send().await.unwrap()).await;
    assert_eq!((&shown["status"], &shown["conclusion"]), (&json!("completed"), &json!("success")));
    let again = bench.call(Method::POST, &format!("{api}/cancel"), "pat", None).await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    let json_push = json!({"files": {".github/workflows/ci.yml": ONE_STEP}});
    let pushed = json_of(bench.http.post(&url).json(&json_push).send().await.unwrap()).await;
    assert_ne!(pushed["runs"][0].as_u64().unwrap(), run);
}
