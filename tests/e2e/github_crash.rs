//! The program dies at any moment of a job; another one takes its place.

use std::time::Duration;

use fake_github::model::{By, Conclusion, Moment, Settings};

use crate::github_bench::{Bench, quick, workflow};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_outlives_the_process_that_began_it() {
    let bench = Bench::registered(quick()).await;
    let serving = bench.serve();
    let run = bench.push(&workflow(
        "- run: for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.5; done\n- run: echo second",
    ));
    bench.until(run, Moment::StepsUpdated).await;
    serving.kill();
    let _serving = bench.serve();
    assert_eq!(bench.conclusion(run).await, Conclusion::Success, "{}", bench.said());
    let job = bench.job(run);
    let log = bench.log(&job);
    for line in 1..=8 {
        let found = log.lines().filter(|text| text.ends_with(&format!("Z line {line}"))).count();
        assert_eq!(found, 1, "line {line}: {log}");
    }
    assert_eq!(bench.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_dies_the_job_ends_once() {
    let settings = Settings { lock: Duration::from_secs(5), session: Duration::from_secs(240), ..quick() };
    let bench = Bench::registered(settings).await;
    let moments = [
        Moment::Delivered,
        Moment::Acknowledged,
        Moment::Acquired,
        Moment::Renewed,
        Moment::StepsUpdated,
        Moment::LogStored,
        Moment::CompletionReceived,
    ];
    let mut survived = 0;
    for moment in moments {
        let serving = bench.serve();
        let run = bench.push(&workflow("- run: echo one; sleep 0.7\n- run: echo two"));
        bench.until(run, moment).await;
        serving.kill();
        let serving = bench.serve();
        let conclusion = bench.conclusion(run).await;
        let job = bench.job(run);
        let by = job.completions.iter().find(|end| end.accepted).map(|end| end.by);
        println!("killed when {moment:?}: {conclusion:?} by {by:?}");
        survived += u32::from(conclusion == Conclusion::Success);
        // Only a job of which the program does not know that it has it may be left to GitHub.
        if moment > Moment::Acquired {
            assert_eq!(by, Some(By::Runner), "{moment:?}: {}", bench.said());
        }
        serving.kill();
    }
    assert!(survived >= 3, "{survived}: {}", bench.said());
}
