//! What lies between GitHub and a runner goes wrong, call by call.

use std::time::Duration;

use fake_github::model::{Conclusion, Settings};
use fake_github::{Effect, Fault};
use serde_json::json;

use crate::github_bench::{Bench, quick, workflow};

/// Every call of a job's life.
const CALLS: &[&str] = &[
    "/message",
    "/acknowledge",
    "acquirejob",
    "renewjob",
    "GetStepLogsSignedBlobURL",
    "/blobs/",
    "CreateStepLogsMetadata",
    "GetJobLogsSignedBlobURL",
    "CreateJobLogsMetadata",
    "WorkflowStepsUpdate",
    "completejob",
];

fn effects() -> Vec<Effect> {
    vec![
        Effect::Status(503),
        Effect::Status(500),
        Effect::StatusAfter(502),
        Effect::Close,
        Effect::CutRequest(4),
        Effect::LoseAnswer,
        Effect::CutAnswer(7),
        Effect::Stall(Duration::from_millis(300)),
        Effect::Twice,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_call_fails_each_job_ends_once() {
    let settings = Settings { lock: Duration::from_secs(6), ..quick() };
    let bench = Bench::new(settings).await;
    bench.register(&["--name", "slot", "--slots", "4"]);
    let _serving = bench.serve();
    let mut runs = Vec::new();
    for call in CALLS {
        for effect in effects() {
            bench.github.inject(Fault::once(call, effect.clone()).times(3));
            let run = bench.push(&workflow("- run: echo one\n- run: echo two"));
            runs.push((run, *call, effect));
            // Four jobs at a time: the faults hit whichever comes first.
            if runs.len() % 4 == 0 {
                for (run, ..) in &runs[runs.len() - 4..] {
                    bench.conclusion(*run).await;
                }
            }
        }
    }
    let mut lost = Vec::new();
    for (run, call, effect) in &runs {
        if bench.conclusion(*run).await != Conclusion::Success {
            lost.push(format!("{call} {effect:?}"));
        }
    }
    let struck = bench.github.read(|github| github.calls.iter().filter(|call| call.fault.is_some()).count());
    println!("{struck} faults struck {} jobs; GitHub ended itself: {lost:?}", runs.len());
    assert!(struck >= 280, "only {struck} faults");
    // A job whose acquisition GitHub does not repeat can only be ended by GitHub.
    assert!(lost.len() <= 20, "{lost:?}\n{}", bench.said());
    let doubled = bench.github.read(|github| {
        github
            .jobs
            .values()
            .filter(|job| job.completions.iter().filter(|end| end.accepted).count() != 1)
            .count()
    });
    assert_eq!(doubled, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_sessions_that_end_are_renewed() {
    let settings =
        Settings { access_token: Duration::from_secs(2), poll_hold: Duration::from_secs(1), ..quick() };
    let bench = Bench::registered(settings).await;
    let _serving = bench.serve();
    let first = bench.push(&workflow("- run: echo one"));
    assert_eq!(bench.conclusion(first).await, Conclusion::Success, "{}", bench.said());
    bench.github.change(|github| github.expire_access_tokens());
    let over = json!({"source": "actions-broker-listener", "errorMessage": "Session is over",
        "errorKind": "RunnerSessionInvalid", "statusCode": 401});
    bench.github.inject(Fault::once("/message", Effect::Answer(401, over)));
    let refused = json!({"source": "actions-broker-listener", "errorMessage": "no", "errorKind": "", "statusCode": 403});
    bench.github.inject(Fault::once("/message", Effect::Answer(403, refused)).after(2));
    let second = bench.push(&workflow("- run: echo two"));
    assert_eq!(bench.conclusion(second).await, Conclusion::Success, "{}", bench.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waiting_does_not_heal_ends_the_runner_with_the_remedy() {
    let bench = Bench::registered(Settings { poll_hold: Duration::from_secs(1), ..quick() }).await;
    let mut serving = bench.serve();
    serving.wait_for("waits for jobs");
    bench.github.change(|github| github.settings.minimum_version = Some((9, 0, 0)));
    assert_eq!(serving.ended(), 3);
    assert!(bench.said().contains("--runner-version"), "{}", bench.said());
    bench.github.change(|github| github.settings.minimum_version = None);

    let mut serving = bench.serve();
    bench.github.change(|github| {
        let id = *github.runners.keys().next().unwrap();
        github.revoke(id);
    });
    assert_eq!(serving.ended(), 3);
    assert!(bench.said().contains("runspan register github"), "{}", bench.said());
}
