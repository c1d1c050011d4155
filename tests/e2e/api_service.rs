//! The queue, the end of a service, and the service after one that died.

use rustix::process::Signal;
use serde_json::json;

use super::api_bench::bench;

const SLOW: &str = "version: 0.2\nphases:\n  build:\n    commands: [sleep 600]\n";
const QUICK: &str = "version: 0.2\nphases:\n  build:\n    commands: ['true']\n";

#[test]
fn builds_wait_in_the_queue_and_a_service_ends_after_them() {
    let Some(bench) = bench() else { return };
    let mut serving = bench.serve(&["--max-builds", "1"]);
    bench.project("slow", SLOW);
    bench.project("quick", QUICK);
    let first = bench.start("slow");
    bench.in_phase(&first, "BUILD");
    let (second, third) = (bench.start("slow"), bench.start("quick"));
    bench.in_phase(&second, "QUEUED");
    bench.call("stop_build", json!({ "id": second }));
    let stopped = bench.ended(&second);
    let phases = stopped["phases"].as_array().unwrap();
    assert_eq!(
        (&phases[1]["phaseType"], &phases[1]["phaseStatus"]),
        (&json!("QUEUED"), &json!("STOPPED")),
        "{stopped}"
    );
    assert_eq!(bench.build(&third)["currentPhase"], "QUEUED");
    // What is over can be forgotten; what is not, not.
    let deleted = bench.call("batch_delete_builds", json!({ "ids": [second, third, "slow:none"] }));
    assert_eq!(deleted["buildsDeleted"].as_array().unwrap().len(), 1, "{deleted}");
    assert_eq!(deleted["buildsNotDeleted"].as_array().unwrap().len(), 2, "{deleted}");
    assert!(bench.build(&second).is_null());

    serving.signal(Signal::TERM);
    bench.until("it begins no more", || {
        let answer = bench.try_call("start_build", json!({ "projectName": "quick" }));
        Some(()).filter(|()| answer["error"] == "ServiceUnavailable")
    });
    bench.call("stop_build", json!({ "id": first }));
    assert_eq!(serving.ended(), 0, "{}", bench.said());
    let _next = bench.serve(&[]);
    assert_eq!(bench.build(&first)["buildStatus"], "STOPPED", "{}", bench.said());
    assert_eq!(bench.build(&third)["buildStatus"], "SUCCEEDED", "{}", bench.said());
}

#[test]
fn a_service_goes_on_with_what_a_killed_one_began() {
    let Some(bench) = bench() else { return };
    let serving = bench.serve(&["--max-builds", "1"]);
    bench.project("slow", SLOW);
    bench.project("quick", QUICK);
    bench.project("both", "version: 0.2\nbatch:\n  build-list:\n    - identifier: one\nphases: {}\n");
    let running = bench.start("slow");
    bench.in_phase(&running, "BUILD");
    let waiting = bench.start("quick");
    bench.in_phase(&waiting, "QUEUED");
    let batch = bench.call("start_build_batch", json!({ "projectName": "both" }))["buildBatch"]["id"].clone();
    serving.kill();
    let _next = bench.serve(&["--max-builds", "1"]);
    assert_eq!(bench.build(&running)["currentPhase"], "BUILD", "{}", bench.said());
    assert_eq!(bench.build(&waiting)["currentPhase"], "QUEUED", "{}", bench.said());
    bench.call("stop_build", json!({ "id": running }));
    assert_eq!(bench.ended(&running)["buildStatus"], "STOPPED", "{}", bench.said());
    assert_eq!(bench.ended(&waiting)["buildStatus"], "SUCCEEDED", "{}", bench.said());
    let batch = bench.until("the batch ends", || {
        let found =
            bench.call("batch_get_build_batches", json!({ "ids": [batch] }))["buildBatches"][0].clone();
        Some(found).filter(|batch| batch["complete"] == true)
    });
    assert_eq!(batch["buildBatchStatus"], "SUCCEEDED", "{batch}");
}

#[test]
fn a_failed_build_is_tried_again_and_tokens_are_remembered() {
    let Some(bench) = bench() else { return };
    let _serving = bench.serve(&[]);
    bench.project("flaky", "version: 0.2\nphases:\n  build:\n    commands:\n      - exit 3\n");
    let ask = json!({ "projectName": "flaky", "autoRetryLimitOverride": 1, "idempotencyToken": "once" });
    let first = bench.call("start_build", ask.clone())["build"].clone();
    assert_eq!(
        bench.call("start_build", ask)["build"]["id"],
        first["id"],
        "the same token is the same build"
    );
    let other = json!({ "projectName": "flaky", "idempotencyToken": "once" });
    bench.refused("start_build", other, "InvalidInputException", "idempotencyToken");
    let first = bench.ended(first["id"].as_str().unwrap());
    let second = bench.until("it is tried again", || {
        let listed = bench.call("list_builds", json!({ "sortOrder": "ASCENDING" }));
        listed["ids"][1].as_str().map(str::to_owned)
    });
    let second = bench.ended(&second);
    assert_eq!(second["autoRetryConfig"]["previousAutoRetry"], first["arn"], "{second}");
    assert_eq!(second["autoRetryConfig"]["autoRetryNumber"], 1);
    let first = bench.build(first["id"].as_str().unwrap());
    assert_eq!(first["autoRetryConfig"]["nextAutoRetry"], second["arn"], "{first}");
    bench.call("update_project", json!({ "name": "flaky", "buildBatchConfig": { "serviceRole": "none" } }));
    let ask = json!({ "projectName": "flaky", "idempotencyToken": "together" });
    let batch = bench.call("start_build_batch", ask.clone())["buildBatch"]["id"].clone();
    assert_eq!(bench.call("start_build_batch", ask)["buildBatch"]["id"], batch);
    let other = json!({ "projectName": "flaky", "idempotencyToken": "together", "imageOverride": "busybox" });
    bench.refused("start_build_batch", other, "InvalidInputException", "idempotencyToken");
    assert_eq!(
        bench.call("list_builds", json!({}))["ids"].as_array().unwrap().len(),
        2,
        "nothing else was begun"
    );
}
