//! Containers beside a job, when something happens to the job or to whoever runs it.

use std::time::{Duration, Instant};

use fake_github::model::{Conclusion, StepConclusion};

use crate::github_bench::{Bench, quick};

const WORKFLOW: &str = "
on: push
jobs:
  build:
    runs-on: self-hosted
    services:
      web:
        image: runspan-test/busybox
        entrypoint: /bin/sh
        command: -c 'mkdir /w; echo still there > /w/x; exec httpd -f -p 8000 -h /w'
    steps:
      - uses: docker://runspan-test/busybox
        with:
          entrypoint: /bin/sh
          args: -c \"for i in 1 2 3 4 5 6; do echo line $i; sleep 0.5; done\"
      - uses: docker://runspan-test/busybox
        with:
          args: wget -q -O - http://web:8000/x
";

async fn bench() -> Option<Bench> {
    let bench = Bench::registered(quick()).await;
    match bench.pull_busybox() {
        Ok(()) => Some(bench),
        Err(missing) => {
            assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{missing}");
            eprintln!("SKIPPED: {missing}");
            None
        }
    }
}

fn left(bench: &Bench) -> Vec<String> {
    let entries = std::fs::read_dir(bench.state().join("sandbox")).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_outlive_the_process_that_began_them() {
    let Some(bench) = bench().await else { return };
    let serving = bench.serve();
    let run = bench.push(WORKFLOW);
    bench.until_shown(run, "line 2").await;
    serving.kill();
    let _serving = bench.serve();
    assert_eq!(bench.conclusion(run).await, Conclusion::Success, "{}", bench.said());
    let log = bench.log(&bench.job(run));
    for line in 1..=6 {
        let found = log.lines().filter(|text| text.ends_with(&format!("Z line {line}"))).count();
        assert_eq!(found, 1, "line {line}: {log}");
    }
    assert!(log.contains("still there"), "{log}");
    assert_eq!(left(&bench), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_end_with_the_job_that_is_cancelled() {
    let Some(bench) = bench().await else { return };
    let _serving = bench.serve();
    let run = bench.push(&WORKFLOW.replace("sleep 0.5", "sleep 50"));
    bench.until_shown(run, "line 1").await;
    let asked = Instant::now();
    bench.github.change(|github| github.cancel_run(run));
    assert_eq!(bench.conclusion(run).await, Conclusion::Cancelled, "{}", bench.said());
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    let steps = bench
        .job(run)
        .steps_in_order()
        .iter()
        .map(|step| (step.name.clone(), step.conclusion))
        .collect::<Vec<_>>();
    assert_eq!(steps[1].1, StepConclusion::Cancelled, "{steps:?}");
    assert_eq!(left(&bench), Vec::<String>::new());
}
