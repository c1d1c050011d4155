//! Faults strike where they are put, and nowhere else.

use std::time::{Duration, Instant};

use fake_github::{Effect, Fault};
use reqwest::StatusCode;
use serde_json::json;

use super::runner::{Bench, ONE_STEP, quick};

#[tokio::test]
async fn a_storm_of_errors_passes() {
    let bench = Bench::new(quick()).await;
    bench.github.inject(Fault::once("/broker/message", Effect::Status(503)).times(3));
    for status in [503, 503, 503, 202] {
        assert_eq!(bench.poll_as("Online", "2.336.0").await.status().as_u16(), status);
    }
}

#[tokio::test]
async fn a_lost_answer_was_carried_out_and_a_closed_connection_was_not() {
    let bench = Bench::new(quick()).await;
    let run = bench.push(ONE_STEP)[0];
    let work = bench.take().await;
    let url = format!("{}completejob", work.url);
    let body = json!({"planId": work.plan, "jobId": work.job, "conclusion": "succeeded"});
    let send = async || bench.http.post(&url).bearer_auth(&work.token).json(&body).send().await;
    for effect in [Effect::Close, Effect::CutRequest(4)] {
        bench.github.inject(Fault::once("completejob", effect));
        assert!(send().await.is_err());
        assert!(bench.github.read(|github| github.run_conclusion(run)).is_none());
    }
    bench.github.inject(Fault::once("completejob", Effect::LoseAnswer));
    assert!(send().await.is_err());
    assert!(bench.github.read(|github| github.run_conclusion(run)).is_some());
    assert_eq!(send().await.unwrap().status(), StatusCode::NOT_FOUND);
    bench.assert_settled(run);
}

#[tokio::test]
async fn an_answer_is_cut_after_the_byte() {
    let bench = Bench::new(quick()).await;
    bench.push(ONE_STEP);
    let (_, request) = bench.poll().await.unwrap();
    bench.github.inject(Fault::once("acquirejob", Effect::CutAnswer(100)));
    let mut answer = bench.acquire_raw(&request).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let mut read = 0;
    let end = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert_eq!(read, 100);
    assert!(end.is_err());
}

#[tokio::test]
async fn a_stall_takes_its_time_and_a_request_can_arrive_twice() {
    let bench = Bench::new(quick()).await;
    bench.github.inject(Fault::once("/broker/message", Effect::Stall(Duration::from_millis(400))));
    let began = Instant::now();
    bench.poll().await;
    assert!(began.elapsed() >= Duration::from_millis(400));
    let run = bench.push(ONE_STEP)[0];
    let work = bench.take().await;
    bench.github.inject(Fault::once("completejob", Effect::Twice));
    assert_eq!(bench.complete(&work, "succeeded").await.status(), StatusCode::NOT_FOUND);
    bench.assert_settled(run);
    let faults = bench.github.read(|github| github.calls.iter().filter(|call| call.fault.is_some()).count());
    assert_eq!(faults, 2);
}

#[tokio::test]
async fn faults_can_be_put_by_hand() {
    let bench = Bench::new(quick()).await;
    let fault = json!({"path": "/broker/message", "effect": {"answer": [403, {"x": 1}]}});
    let answer = bench.http.post(bench.url("/_fake/faults")).json(&fault).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(bench.poll_as("Online", "2.336.0").await.status(), StatusCode::FORBIDDEN);
    bench.github.inject(Fault::once("/broker/message", Effect::Status(500)));
    bench.github.heal();
    assert_eq!(bench.poll_as("Online", "2.336.0").await.status(), StatusCode::ACCEPTED);
}
