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
        Effect::Status(429),
        Effect::StatusAfter(502),
        Effect::Close,
        Effect::CutRequest(4),
        Effect::LoseAnswer,
        Effect::CutAnswer(7),
        Effect::Stall(Duration::from_millis(300)),
        Effect::Twice,
    ]
}

/// GitHubs side by side, each with a share of the faults.
const LANES: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn whatever_call_fails_each_job_ends_once() {
    let mut cases = Vec::new();
    for call in CALLS {
        cases.extend(effects().into_iter().map(|effect| (*call, effect)));
    }
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let share: Vec<_> = cases.iter().skip(lane).step_by(LANES).cloned().collect();
            tokio::spawn(one_lane(share))
        })
        .collect();
    let (mut struck, mut unheard, mut lost) = (0, 0, Vec::new());
    for lane in lanes {
        let told = lane.await.unwrap();
        struck += told.struck;
        unheard += told.unheard;
        lost.extend(told.lost);
    }
    println!("{struck} faults struck {} jobs; GitHub itself ended those of {lost:?}", cases.len());
    assert!(struck >= 300, "only {struck} faults");
    // What GitHub itself must end: jobs whose acquisition was not heard of, which it does not repeat.
    assert!(lost.len() <= unheard, "{unheard} acquisitions were not heard of, but {lost:?}");
}

struct Told {
    /// Faults in all.
    struck: usize,
    /// Acquisitions of which the runner did not hear.
    unheard: usize,
    /// Jobs that did not succeed.
    lost: Vec<String>,
}

/// One job for each fault.
async fn one_lane(cases: Vec<(&'static str, Effect)>) -> Told {
    let bench = Bench::registered(Settings { lock: Duration::from_secs(6), ..quick() }).await;
    let _serving = bench.serve();
    let mut lost = Vec::new();
    for (call, effect) in cases {
        bench.github.inject(Fault::once(call, effect.clone()).times(3));
        let run = bench.push(&workflow("- run: echo one\n- run: echo two"));
        if bench.conclusion(run).await != Conclusion::Success {
            lost.push(format!("{call} {effect:?}"));
        }
    }
    bench.github.read(|github| {
        let faulty = || github.calls.iter().filter(|call| call.fault.is_some());
        let is_unheard = |fault: &str| {
            ["LoseAnswer", "StatusAfter", "CutAnswer", "Twice"].iter().any(|name| fault.starts_with(name))
        };
        let unheard = faulty()
            .filter(|call| call.path.contains("acquirejob") && call.fault.as_deref().is_some_and(is_unheard))
            .count();
        Told { struck: faulty().count(), unheard, lost }
    })
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
