//! Logs, summaries, states of steps, the live console, artifacts and caches.

use fake_github::model::{BlobKind, Settings, StepConclusion, StepStatus};
use futures_util::SinkExt;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
use uuid::Uuid;

use super::runner::{Bench, ONE_STEP, Work, json_of, quick};

async fn bench_with_work(settings: Settings) -> (Bench, Work) {
    let bench = Bench::new(settings).await;
    bench.push(ONE_STEP);
    let work = bench.take().await;
    (bench, work)
}

const RECEIVER: &str = "results.services.receiver.Receiver";
const STEPS: &str = "github.actions.results.api.v1.WorkflowStepUpdateService";
const ARTIFACTS: &str = "github.actions.results.api.v1.ArtifactService";
const CACHES: &str = "github.actions.results.api.v1.CacheService";

async fn twirp(bench: &Bench, work: &Work, service: &str, method: &str, more: Value) -> Response {
    let mut body = json!({"workflow_run_backend_id": work.plan, "workflow_job_run_backend_id": work.job});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let url = bench.url(&format!("/twirp/{service}/{method}"));
    bench.call(Method::POST, &url, &work.token, Some(body)).await
}

async fn put(bench: &Bench, url: &str, headers: &[(&str, &str)], body: &str) -> StatusCode {
    let mut request = bench.http.put(url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a_log_is_stored_in_one_piece() {
    let (bench, work) = bench_with_work(quick()).await;
    let step = Uuid::new_v4();
    let ids = json!({"step_backend_id": step});
    let early = twirp(&bench, &work, RECEIVER, "CreateStepLogsMetadata", ids.clone()).await;
    assert_eq!(early.status(), StatusCode::NOT_FOUND, "a log that was not uploaded");
    let answer = json_of(twirp(&bench, &work, RECEIVER, "GetStepLogsSignedBlobURL", ids).await).await;
    assert_eq!(answer["soft_size_limit"], "1048576");
    assert_eq!(answer["blob_storage_type"], "BLOB_STORAGE_TYPE_AZURE");
    let url = answer["logs_url"].as_str().unwrap();
    let whole =
        [("x-ms-blob-type", "BlockBlob"), ("if-none-match", "*"), ("x-ms-blob-content-type", "text/plain")];
    assert_eq!(put(&bench, url, &[], "x").await, StatusCode::BAD_REQUEST, "the kind is missing");
    assert_eq!(put(&bench, &url.replace("sig=", "sig=0"), &whole, "x").await, StatusCode::FORBIDDEN);
    assert_eq!(put(&bench, url, &whole, "\u{feff}one\ntwo\n").await, StatusCode::CREATED);
    assert_eq!(put(&bench, url, &whole, "again").await, StatusCode::CONFLICT);
    let metadata =
        json!({"step_backend_id": step, "uploaded_at": "2026-07-28T18:36:27.025Z", "line_count": 2});
    let answer = json_of(twirp(&bench, &work, RECEIVER, "CreateStepLogsMetadata", metadata).await).await;
    assert_eq!(answer, json!({"ok": true}));
    bench.github.read(|github| {
        assert_eq!(github.step_log(work.job, step).as_deref(), Some("one\ntwo\n"));
        assert_eq!(github.jobs[&work.job].step_logs[&step].lines, Some(2));
    });
}

#[tokio::test]
async fn a_log_is_stored_piece_by_piece_and_sealed() {
    let (bench, work) = bench_with_work(quick()).await;
    let answer = json_of(twirp(&bench, &work, RECEIVER, "GetJobLogsSignedBlobURL", json!({})).await).await;
    let url = answer["logs_url"].as_str().unwrap();
    let piece = format!("{url}&comp=appendblock");
    assert_eq!(put(&bench, &piece, &[], "x").await, StatusCode::NOT_FOUND, "it was not begun");
    assert_eq!(put(&bench, url, &[("x-ms-blob-type", "AppendBlob")], "").await, StatusCode::CREATED);
    assert_eq!(put(&bench, &piece, &[("x-ms-blob-sealed", "False")], "a\n").await, StatusCode::CREATED);
    assert_eq!(put(&bench, &format!("{piece}&seal=true"), &[], "b\n").await, StatusCode::CREATED);
    assert_eq!(put(&bench, &piece, &[], "late").await, StatusCode::CONFLICT);
    twirp(&bench, &work, RECEIVER, "CreateJobLogsMetadata", json!({"line_count": "2"})).await;
    bench.github.read(|github| {
        assert_eq!(github.job_log(work.job).as_deref(), Some("a\nb\n"));
        let blob = &github.blobs[&github.jobs[&work.job].log.as_ref().unwrap().blob];
        assert_eq!((blob.kind, blob.sealed), (BlobKind::Append, true));
    });
}

#[tokio::test]
async fn states_of_steps_come_in_order() {
    let (bench, work) = bench_with_work(quick()).await;
    let step = Uuid::new_v4();
    let update = async |order: u64, status: u64, conclusion: u64| {
        let steps = json!([{"external_id": step, "number": 2, "name": "Run echo hello", "status": status, "conclusion": conclusion}]);
        twirp(&bench, &work, STEPS, "WorkflowStepsUpdate", json!({"steps": steps, "change_order": order}))
            .await
    };
    assert_eq!(update(1, 3, 0).await.status(), StatusCode::OK);
    assert_eq!(update(2, 6, 2).await.status(), StatusCode::OK);
    assert_eq!(update(2, 3, 0).await.status(), StatusCode::OK);
    bench.github.read(|github| {
        let step = &github.jobs[&work.job].steps[&step];
        assert_eq!((step.status, step.conclusion), (StepStatus::Completed, StepConclusion::Success));
        assert_eq!(github.violations.len(), 1, "{:?}", github.violations);
    });
}

#[tokio::test]
async fn the_live_console_collects_lines_and_may_end() {
    let (bench, work) = bench_with_work(Settings { feed_messages: Some(2), ..quick() }).await;
    let url = work.message["resources"]["endpoints"][0]["data"]["FeedStreamUrl"].as_str().unwrap();
    let stream = async || {
        let address = url.strip_prefix("ws://").unwrap().split('/').next().unwrap();
        tokio::net::TcpStream::connect(address).await.unwrap()
    };
    let request = |token: &str| {
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        request
    };
    assert!(tokio_tungstenite::client_async(request("wrong"), stream().await).await.is_err());
    let (mut socket, _) =
        tokio_tungstenite::client_async(request(&work.token), stream().await).await.unwrap();
    let step = Uuid::new_v4();
    for first in [1, 3] {
        let lines = json!({"count": 2, "value": ["a", "b"], "stepId": step, "startLine": first});
        socket.send(Message::text(lines.to_string())).await.unwrap();
    }
    let live = bench
        .github
        .wait_for(std::time::Duration::from_secs(5), |github| {
            let live = &github.jobs[&work.job].live;
            (live.len() == 4).then(|| live.clone())
        })
        .await
        .unwrap();
    assert_eq!(live.iter().map(|line| line.number).collect::<Vec<_>>(), [Some(1), Some(2), Some(3), Some(4)]);
    assert!(live.iter().all(|line| line.step == Some(step)));
    use futures_util::StreamExt;
    assert!(!matches!(socket.next().await, Some(Ok(_))), "the connection ends without a word");
}

#[tokio::test]
async fn an_artifact_is_made_found_and_read() {
    let (bench, work) = bench_with_work(quick()).await;
    let call =
        async |method: &str, more: Value| json_of(twirp(&bench, &work, ARTIFACTS, method, more).await).await;
    let made = call("CreateArtifact", json!({"name": "dist", "version": 4})).await;
    let url = made["signed_upload_url"].as_str().unwrap();
    for (id, text) in [("QQ==", "hello "), ("Qg==", "world")] {
        let block = format!("{url}&comp=block&blockid={}", id.replace('=', "%3D"));
        assert_eq!(put(&bench, &block, &[], text).await, StatusCode::CREATED);
    }
    let list = "<?xml version=\"1.0\"?><BlockList><Latest>QQ==</Latest><Latest>Qg==</Latest></BlockList>";
    assert_eq!(put(&bench, &format!("{url}&comp=blocklist"), &[], list).await, StatusCode::CREATED);
    let wrong =
        twirp(&bench, &work, ARTIFACTS, "FinalizeArtifact", json!({"name": "dist", "size": "3"})).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let done = call("FinalizeArtifact", json!({"name": "dist", "size": "11", "hash": "sha256:x"})).await;
    assert!(done["artifact_id"].as_str().unwrap().parse::<u64>().is_ok());
    let twice =
        twirp(&bench, &work, ARTIFACTS, "CreateArtifact", json!({"name": "dist", "version": 4})).await;
    assert_eq!(twice.status(), StatusCode::CONFLICT);
    assert_eq!(call("ListArtifacts", json!({})).await["artifacts"][0]["size"], "11");
    let signed = call("GetSignedArtifactURL", json!({"name": "dist"})).await;
    let read = bench.http.get(signed["signed_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(read.text().await.unwrap(), "hello world");
}

#[tokio::test]
async fn a_cache_is_found_by_its_key_or_its_beginning() {
    let (bench, work) = bench_with_work(quick()).await;
    let call =
        async |method: &str, more: Value| json_of(twirp(&bench, &work, CACHES, method, more).await).await;
    let miss = call("GetCacheEntryDownloadURL", json!({"key": "k-1", "version": "v"})).await;
    assert_eq!(miss, json!({"ok": false, "signed_download_url": "", "matched_key": ""}));
    let made = call("CreateCacheEntry", json!({"key": "k-1", "version": "v"})).await;
    let url = made["signed_upload_url"].as_str().unwrap();
    assert_eq!(put(&bench, url, &[("x-ms-blob-type", "BlockBlob")], "cached").await, StatusCode::CREATED);
    call("FinalizeCacheEntryUpload", json!({"key": "k-1", "version": "v", "size_bytes": "6"})).await;
    let hit =
        call("GetCacheEntryDownloadURL", json!({"key": "k-2", "restore_keys": ["k-"], "version": "v"})).await;
    assert_eq!((&hit["ok"], &hit["matched_key"]), (&json!(true), &json!("k-1")));
    let other = call("GetCacheEntryDownloadURL", json!({"key": "k-1", "version": "w"})).await;
    assert_eq!(other["ok"], false);
    let read = bench.http.get(hit["signed_download_url"].as_str().unwrap()).header("range", "bytes=2-3");
    assert_eq!(read.send().await.unwrap().text().await.unwrap(), "ch");
}

#[tokio::test]
async fn identity_tokens_are_given_to_jobs_that_may_have_them() {
    let bench = Bench::new(quick()).await;
    bench.push(&ONE_STEP.replace("    steps:", "    permissions: {id-token: write}\n    steps:"));
    let work = bench.take().await;
    let url = work.message["resources"]["endpoints"][0]["data"]["GenerateIdTokenUrl"].as_str().unwrap();
    assert!(url.contains("//idtoken/"), "{url}");
    let answer = bench.call(Method::GET, &format!("{url}&audience=sts"), &work.token, None).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(json_of(answer).await["value"].as_str().unwrap().split('.').count(), 3);
    assert_eq!(bench.call(Method::GET, url, &bench.runner.token, None).await.status(), StatusCode::FORBIDDEN);
}
