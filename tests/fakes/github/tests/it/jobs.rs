//! A job from the queue to its end.

use std::time::Duration;

use fake_github::model::{Conclusion, JobState, Moment, Settings};
use reqwest::StatusCode;
use serde_json::json;

use super::runner::{Bench, ONE_STEP, json_of, quick};

#[tokio::test]
async fn a_job_is_offered_acknowledged_acquired_renewed_and_completed() {
    let bench = Bench::new(quick()).await;
    let run = bench.push(ONE_STEP)[0];
    let work = bench.take().await;
    assert_eq!(work.message["messageType"], "RunnerJobRequest");
    assert_eq!(work.message["steps"][0]["inputs"]["map"][0]["Value"]["lit"], "echo hello");
    assert_eq!(work.message["variables"]["system.github.job"]["value"], "build");
    assert_eq!(work.message["jobName"], "__default");
    let renewed = json_of(bench.renew(&work).await).await;
    let until = renewed["lockedUntil"].as_str().unwrap();
    assert_eq!(until.len(), "2026-07-28T18:46:25.497441667Z".len(), "{until}");
    assert_eq!(bench.complete(&work, "succeeded").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(bench.github.read(|github| github.run_conclusion(run)), Some(Conclusion::Success));
    bench.assert_settled(run);
    let seen: Vec<Moment> = bench
        .github
        .read(|github| github.jobs[&work.job].history.iter().map(|(_, moment)| *moment).collect());
    assert_eq!(
        seen,
        [
            Moment::Queued,
            Moment::Delivered,
            Moment::Acknowledged,
            Moment::Acquired,
            Moment::Renewed,
            Moment::CompletionReceived,
            Moment::Completed,
        ]
    );
    assert_eq!(bench.github.read(|github| github.violations.clone()), Vec::<String>::new());
}

#[tokio::test]
async fn an_idle_poll_is_held_and_answered_with_nothing() {
    let bench = Bench::new(Settings { poll_hold: Duration::from_millis(300), ..Settings::default() }).await;
    let began = std::time::Instant::now();
    let answer = bench.poll_as("Online", "2.336.0").await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert!(answer.headers().get("content-type").is_none());
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_held_poll_gets_a_job_at_once() {
    let bench = Bench::new(Settings::default()).await;
    let (polled, ()) = tokio::join!(bench.poll(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        bench.push(ONE_STEP);
    });
    assert_eq!(polled.unwrap().0, "RunnerJobRequest");
}

/// Polls as if the time for sending again had come.
async fn poll_late(bench: &Bench) -> serde_json::Value {
    bench.github.change(|github| github.settings.redelivery = Duration::ZERO);
    let (_, request) = bench.poll().await.unwrap();
    bench.github.change(|github| github.settings.redelivery = Duration::from_secs(61));
    request
}

#[tokio::test]
async fn a_request_that_nobody_acknowledged_comes_again() {
    let bench = Bench::new(quick()).await;
    bench.push(ONE_STEP);
    let (_, first) = bench.poll().await.unwrap();
    assert!(bench.poll().await.is_none());
    let second = poll_late(&bench).await;
    assert_eq!(first, second);
    assert_eq!(bench.acknowledge(&second).await.status(), StatusCode::OK);
    assert_eq!(bench.acquire_raw(&second).await.status(), StatusCode::OK);
    assert_eq!(bench.acquire_raw(&second).await.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_stale_request_cannot_be_had() {
    let bench = Bench::new(Settings { stale_redelivery: true, ..quick() }).await;
    bench.push(ONE_STEP);
    bench.poll().await.unwrap();
    let request = poll_late(&bench).await;
    let answer = bench.acknowledge(&request).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(json_of(answer).await["errorKind"], "AcknowledgeJobNotFound");
    let answer = bench.acquire_raw(&request).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert!(json_of(answer).await["errorMessage"].as_str().unwrap().contains("MissingKey"));
}

#[tokio::test]
async fn a_job_that_nobody_takes_is_given_up() {
    let settings = Settings { redelivery: Duration::from_millis(60), deliveries: 2, ..quick() };
    let bench = Bench::new(settings).await;
    let run = bench.push(ONE_STEP)[0];
    for _ in 0..20 {
        bench.poll().await;
    }
    assert_eq!(bench.github.read(|github| github.run_conclusion(run)), Some(Conclusion::Cancelled));
    bench.assert_settled(run);
}

#[tokio::test]
async fn a_cancelled_job_is_told_so_on_every_poll_until_it_ends() {
    let bench = Bench::new(quick()).await;
    let run = bench.push(ONE_STEP)[0];
    let work = bench.take().await;
    bench.github.change(|github| github.cancel_run(run));
    for _ in 0..3 {
        let (kind, body) = bench.poll().await.unwrap();
        assert_eq!(kind, "JobCancellation");
        assert_eq!(body, json!({"jobId": work.job, "timeout": "0.00:05:00.0000"}));
    }
    assert_eq!(bench.complete(&work, "canceled").await.status(), StatusCode::NO_CONTENT);
    assert!(bench.poll().await.is_none());
    assert_eq!(bench.github.read(|github| github.run_conclusion(run)), Some(Conclusion::Cancelled));
    bench.assert_settled(run);
}

#[tokio::test]
async fn a_job_can_be_cancelled_at_every_moment_and_ends_once() {
    let moments = [
        Moment::Queued,
        Moment::Delivered,
        Moment::Acknowledged,
        Moment::Acquired,
        Moment::Renewed,
        Moment::CompletionReceived,
    ];
    for moment in moments {
        let bench = Bench::new(Settings { cancel_at: Some(moment), ..quick() }).await;
        let run = bench.push(ONE_STEP)[0];
        if let Some((_, request)) = bench.poll().await {
            bench.acknowledge(&request).await;
            let answer = bench.acquire_raw(&request).await;
            if answer.status() == StatusCode::OK {
                let work = super::runner::Work::new(json_of(answer).await);
                bench.renew(&work).await;
                assert_eq!(bench.complete(&work, "canceled").await.status(), StatusCode::NO_CONTENT);
            } else {
                assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{moment:?}");
            }
        }
        assert_eq!(
            bench.github.read(|github| github.run_conclusion(run)),
            Some(Conclusion::Cancelled),
            "{moment:?}"
        );
        bench.assert_settled(run);
    }
}

#[tokio::test]
async fn a_lock_that_is_not_renewed_ends_the_job() {
    let bench = Bench::new(Settings { lock: Duration::from_millis(200), ..quick() }).await;
    let run = bench.push(ONE_STEP)[0];
    let work = bench.take().await;
    let found = bench.github.wait_for(Duration::from_secs(5), |github| github.run_conclusion(run)).await;
    assert_eq!(found, Some(Conclusion::Failure));
    assert_eq!(bench.renew(&work).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(bench.complete(&work, "succeeded").await.status(), StatusCode::NOT_FOUND);
    bench.assert_settled(run);
    let told = bench.github.read(|github| github.jobs[&work.job].completions.len());
    assert_eq!(told, 2, "the late end is remembered, and not accepted");
}

#[tokio::test]
async fn a_job_that_runs_too_long_is_cancelled() {
    let bench = Bench::new(quick()).await;
    bench.push(&ONE_STEP.replace("    steps:", "    timeout-minutes: 0.002\n    steps:"));
    bench.take().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.poll().await.unwrap().0, "JobCancellation");
}

#[tokio::test]
async fn an_ephemeral_runner_has_one_job() {
    let mut bench = Bench::unregistered(quick()).await;
    let mut agent = Bench::agent("once", &["self-hosted"]);
    agent["ephemeral"] = json!(true);
    bench.runner = bench.register_agent(agent).await.unwrap();
    bench.runner.token = bench.access_token(&bench.runner).await.unwrap();
    bench.runner.session = bench.open_session().await.unwrap();
    bench.push(ONE_STEP);
    let work = bench.take().await;
    let (tenant, token) = bench.tenant().await;
    let url = format!("{tenant}_apis/distributedtask/pools/0/agents/{}", bench.runner.id);
    let busy = bench.call(reqwest::Method::DELETE, &url, &token, None).await;
    assert_eq!(busy.status(), StatusCode::BAD_REQUEST);
    assert!(json_of(busy).await["message"].as_str().unwrap().contains("currently running a job"));
    bench.complete(&work, "succeeded").await;
    assert!(bench.github.read(|github| github.runners.is_empty()));
}

#[tokio::test]
async fn only_the_job_token_reports_and_only_on_its_own_job() {
    let bench = Bench::new(quick()).await;
    bench.push(ONE_STEP);
    let mut work = bench.take().await;
    let own = std::mem::replace(&mut work.token, bench.runner.token.clone());
    assert_eq!(bench.renew(&work).await.status(), StatusCode::FORBIDDEN);
    work.token = own;
    let plan = std::mem::replace(&mut work.plan, "11111111-1111-1111-1111-111111111111".to_owned());
    assert_eq!(bench.renew(&work).await.status(), StatusCode::FORBIDDEN);
    work.plan = plan;
    assert_eq!(bench.renew(&work).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_end_that_is_malformed_is_refused() {
    let bench = Bench::new(quick()).await;
    let run = bench.push(ONE_STEP)[0];
    let work = bench.take().await;
    let annotation = json!({"level": "warning", "message": "m", "stepNumber": 2});
    for bad in [
        json!({"outputs": {"a": "plain"}}),
        json!({"annotations": [annotation]}),
        json!({"stepResults": [{"external_id": work.job, "number": 1, "annotations": [annotation]}]}),
        json!({"stepResults": [{"number": 1}]}),
        json!({"conclusion": "success"}),
    ] {
        let answer = bench.complete_with(&work, "succeeded", bad.clone()).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
    let running =
        bench.github.read(|github| matches!(github.jobs[&work.job].state, JobState::Running { .. }));
    assert!(running);
    let good = json!({"outputs": {"a": {"value": "1"}}, "environmentUrl": "https://x"});
    assert_eq!(bench.complete_with(&work, "failed", good).await.status(), StatusCode::NO_CONTENT);
    bench.assert_settled(run);
    bench.github.read(|github| {
        assert_eq!(github.jobs[&work.job].outputs["a"].value, "1");
        assert_eq!(github.jobs[&work.job].environment_url.as_deref(), Some("https://x"));
    });
}
