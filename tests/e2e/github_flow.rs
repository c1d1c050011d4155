//! What goes well.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use fake_github::model::{Conclusion, Push, StepConclusion};
use rustix::process::Signal;

use crate::github_bench::{Bench, quick, workflow};

const MATRIX: &str = "
on: push
env:
  TOP: from the workflow
jobs:
  build:
    runs-on: [self-hosted, linux]
    strategy:
      fail-fast: false
      matrix:
        os: [debian, alpine]
    env:
      KEY: ${{ secrets.KEY }}
    outputs:
      os: on ${{ matrix.os }}
    steps:
      - run: echo \"hello ${{ matrix.os }} $TOP in $GITHUB_REPOSITORY\"
      - name: Second
        run: |
          echo \"the key is $KEY\"
          echo ghp_0123456789abcdefghij0123456789abcdef
      - run: test ${{ matrix.os }} = debian
      - run: echo after
";

#[tokio::test(flavor = "multi_thread")]
async fn a_matrix_runs_and_everything_is_reported() {
    let bench = Bench::registered(quick()).await;
    bench.github.change(|github| {
        let secrets = &mut github.repositories.get_mut("octo/hello").unwrap().secrets;
        secrets.insert("KEY".into(), "hush-hush-4711".into());
    });
    let _serving = bench.serve();
    let run = bench.push(MATRIX);
    assert_eq!(bench.conclusion(run).await, Conclusion::Failure, "{}", bench.said());
    let jobs = bench.jobs(run);
    let [debian, alpine] = jobs.as_slice() else { panic!("{jobs:?}") };
    assert_eq!(
        (debian.conclusion(), alpine.conclusion()),
        (Some(Conclusion::Success), Some(Conclusion::Failure))
    );
    assert_eq!(debian.outputs["os"].value, "on debian");
    let told = |job: &fake_github::model::Job| {
        let steps = job.steps_in_order();
        steps.iter().map(|step| (step.number, step.name.clone(), step.conclusion)).collect::<Vec<_>>()
    };
    use StepConclusion::{Failure, Skipped, Success};
    let hello = |os: &str| format!("Run echo \"hello {os} $TOP in $GITHUB_REPOSITORY\"");
    assert_eq!(
        told(alpine),
        [
            (1, "Set up job".to_owned(), Success),
            (2, hello("alpine"), Success),
            (3, "Second".to_owned(), Success),
            (4, "Run test alpine = debian".to_owned(), Failure),
            (5, "Run echo after".to_owned(), Skipped),
            (6, "Complete job".to_owned(), Success),
        ]
    );
    assert_eq!(alpine.annotations.len(), 1);
    assert_eq!(alpine.annotations[0].message, "Process completed with exit code 1.");
    let log = bench.log(debian);
    for text in [
        "hello debian from the workflow in octo/hello",
        "the key is ***",
        " ***\n",
        "##[group]Run echo after",
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
    let everything = format!("{log}{}{}", bench.log(alpine), bench.said());
    assert!(!everything.contains("hush-hush") && !everything.contains("ghp_0123456789"), "{everything}");
    // Of a step's own log each line has its time, and it is that step's alone.
    let second = debian.steps_in_order()[2].id;
    let live: Vec<&str> =
        debian.live.iter().filter(|line| line.step == Some(second)).map(|line| line.text.as_str()).collect();
    assert!(live.contains(&"the key is ***"), "{live:?}");
    let own = bench.github.read(|github| github.step_log(debian.id, second)).unwrap();
    assert!(own.lines().all(|line| line.contains("Z ")), "{own}");
    assert!(!own.contains("hello") && own.contains("the key is"), "{own}");
    assert_eq!(bench.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_comes_and_goes() {
    let bench = Bench::new(quick()).await;
    bench.register(&["--name", "one", "--labels", "gpu,fast"]);
    let file = bench.state().join("github/one/registration.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let listed = bench.runspan(&["list", "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((listed[0]["name"].as_str(), listed[0]["labels"][3].as_str()), (Some("one"), Some("gpu")));

    let url = format!("{}/octo/hello", bench.github.url());
    let again = bench.runspan(&["register", "github", "--url", &url, "--pat", "ghp_test", "--name", "one"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--replace"));
    bench.register(&["--name", "one", "--replace"]);
    assert_eq!(bench.github.read(|github| github.runners.len()), 1);

    let wrong = bench.runspan(&["register", "github", "--url", &url, "--pat", "ghp_wrong", "--name", "two"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
    assert!(!String::from_utf8_lossy(&wrong.stderr).contains("ghp_wrong"));

    let gone = bench.runspan(&["unregister", "github", "one", "--pat", "ghp_test"]);
    assert!(gone.status.success(), "{}", String::from_utf8_lossy(&gone.stderr));
    assert_eq!(bench.github.read(|github| github.runners.len()), 0);
    assert!(!file.exists());
    let none = bench.runspan(&["serve"]);
    assert_eq!(none.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ephemeral_runner_takes_one_job_and_is_gone() {
    let bench = Bench::new(quick()).await;
    bench.register(&["--name", "one", "--ephemeral"]);
    let first = bench.push(&workflow("- run: echo one"));
    let second = bench.push(&workflow("- run: echo two"));
    let mut serving = bench.serve();
    assert_eq!(bench.conclusion(first).await, Conclusion::Success);
    assert_eq!(serving.ended(), 0);
    assert_eq!(bench.github.read(|github| github.run_conclusion(second)), None);
    assert!(!bench.state().join("github/one").exists());
    assert_eq!(bench.github.read(|github| github.runners.len()), 0);
}

/// What `generate-jitconfig` answers.
fn jit_config(bench: &Bench, label: &str) -> String {
    let host = bench.github.url();
    let host = host.strip_prefix("http://").unwrap();
    let body = format!(r#"{{"name":"{label}","labels":["{label}"],"runner_group_id":1}}"#);
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(
        stream,
        "POST /api/v3/repos/octo/hello/actions/runners/generate-jitconfig HTTP/1.1\r\nhost: {host}\r\n\
         authorization: Bearer ghp_test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer[answer.find('{').unwrap()..]).unwrap();
    answer["encoded_jit_config"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_for_one_job_is_a_runner_of_that_job_alone() {
    let bench = Bench::new(quick()).await;
    let other = bench.push(&workflow("- run: echo anybody's"));
    let text = workflow("- run: echo mine").replace("self-hosted", "build-4711");
    let run = bench.push(&text);
    let config = jit_config(&bench, "build-4711");
    let mut serving = bench.serve_with(&["--jit-config", &config]);
    assert_eq!(bench.conclusion(run).await, Conclusion::Success, "{}", bench.said());
    assert_eq!(serving.ended(), 0, "{}", bench.said());
    assert_eq!(bench.github.read(|github| github.run_conclusion(other)), None);
    assert!(!bench.state().join("github/build-4711").exists());
    assert!(!bench.said().contains(&config));
    let broken = bench.runspan(&["serve", "--jit-config", "bm90IGl0"]);
    assert_eq!(broken.status.code(), Some(2), "{}", String::from_utf8_lossy(&broken.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_ends_soon_and_as_cancelled() {
    let bench = Bench::registered(quick()).await;
    let serving = bench.serve();
    let run = bench.push(&workflow("- run: echo begun; sleep 60\n- run: echo never"));
    serving.wait_for("runs job");
    bench.until_shown(run, "begun").await;
    let asked = Instant::now();
    bench.github.change(|github| github.cancel_run(run));
    assert_eq!(bench.conclusion(run).await, Conclusion::Cancelled);
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    let job = bench.job(run);
    assert!(
        job.completions.iter().all(|end| end.by == fake_github::model::By::Runner),
        "{:?}",
        job.completions
    );
    let steps = job.steps_in_order();
    assert_eq!(steps[1].conclusion, StepConclusion::Cancelled);
    assert_eq!(steps[2].conclusion, StepConclusion::Skipped);
    // It is asked again and again while the job ends, and must not be answered as fast as it can be.
    let polls = bench.github.read(|github| {
        github.calls.iter().filter(|call| call.path.contains("/message") && call.status == Some(200)).count()
    });
    assert!(polls < 15, "{polls} polls");
    // The runner lives on.
    let next = bench.push(&workflow("- run: echo next"));
    assert_eq!(bench.conclusion(next).await, Conclusion::Success);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_lets_the_job_end_and_takes_no_more() {
    let bench = Bench::registered(quick()).await;
    let mut serving = bench.serve();
    let run = bench.push(&workflow("- run: sleep 2; echo done"));
    serving.wait_for("runs job");
    let next = bench.push(&workflow("- run: echo next"));
    serving.signal(Signal::TERM);
    assert_eq!(bench.conclusion(run).await, Conclusion::Success);
    assert_eq!(serving.ended(), 0);
    assert_eq!(bench.github.read(|github| github.run_conclusion(next)), None);
    let _serving = bench.serve();
    assert_eq!(bench.conclusion(next).await, Conclusion::Success);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_go_through_few_slots() {
    let bench = Bench::new(quick()).await;
    bench.register(&["--name", "slot", "--slots", "3"]);
    let _serving = bench.serve();
    let runs: Vec<u64> = (0..12).map(|n| bench.push(&workflow(&format!("- run: echo job {n}")))).collect();
    for run in runs {
        assert_eq!(bench.conclusion(run).await, Conclusion::Success, "{}", bench.said());
    }
    assert_eq!(bench.violations(), Vec::<String>::new());
}

/// What steps tell each other and the job, and how a job goes on after a failure.
const STEPS: &str = "
on: push
env:
  WHO: ${{ github.repository_owner }}
jobs:
  first:
    runs-on: self-hosted
    outputs:
      answer: ${{ steps.sum.outputs.answer }}
      hidden: ${{ secrets.KEY }}
    steps:
      - id: sum
        run: |
          echo answer=$((6*7)) >> $GITHUB_OUTPUT
          echo CARRIED=yes >> $GITHUB_ENV
          echo '# Summary of the first' >> $GITHUB_STEP_SUMMARY
      - name: Says ${{ steps.sum.outputs.answer }} to ${{ env.WHO }}
        run: |
          echo \"carried $CARRIED for $WHO\"
          echo '::warning file=src/a.c,line=3::look here'
          echo '::add-mask::open-sesame'
          echo 'then open-sesame'
      - id: fails
        continue-on-error: true
        run: exit 3
      - if: steps.fails.outcome == 'failure'
        run: echo \"outcome was ${{ steps.fails.outcome }}, conclusion ${{ steps.fails.conclusion }}\"
      - if: failure()
        run: echo never
  second:
    needs: first
    runs-on: self-hosted
    steps:
      - uses: octo/greet@v1
        with:
          who: ${{ needs.first.outputs.answer }}
      - run: test '${{ needs.first.result }}' = success
";

const GREET: &str = "
name: Greet
inputs:
  who: {required: true}
runs:
  using: composite
  steps:
    - run: echo \"greetings ${{ inputs.who }}\"
      shell: bash
";

#[tokio::test(flavor = "multi_thread")]
async fn steps_have_githubs_semantics() {
    let bench = Bench::registered(quick()).await;
    bench.github.change(|github| {
        let secrets = &mut github.repositories.get_mut("octo/hello").unwrap().secrets;
        secrets.insert("KEY".into(), "hush-hush-4711".into());
        let push = Push::new("octo/greet", [("action.yml", GREET)]).to("refs/tags/v1");
        github.push(&push).unwrap();
    });
    let _serving = bench.serve();
    let run = bench.push(STEPS);
    assert_eq!(bench.conclusion(run).await, Conclusion::Success, "{}", bench.said());
    let jobs = bench.jobs(run);
    let [first, second] = jobs.as_slice() else { panic!("{jobs:?}") };
    let log = bench.log(first);
    assert_eq!(first.outputs.get("answer").map(|output| output.value.as_str()), Some("42"), "{log}");
    assert!(!first.outputs.contains_key("hidden"));
    for text in ["carried yes for octo", "then ***", "outcome was failure, conclusion success"] {
        assert!(log.contains(text), "{text}: {log}");
    }
    let steps = first.steps_in_order();
    assert_eq!(steps[2].name, "Says 42 to octo");
    let conclusions: Vec<_> = steps[1..6].iter().map(|step| step.conclusion).collect();
    use StepConclusion::{Skipped, Success};
    assert_eq!(conclusions, [Success, Success, Success, Success, Skipped]);
    let summary = bench.github.read(|github| github.summary(first.id, steps[1].id));
    assert_eq!(summary.as_deref().map(str::trim), Some("# Summary of the first"));
    let warning = first.annotations.iter().find(|annotation| annotation.level == "warning").unwrap();
    assert_eq!((warning.path.as_deref(), warning.start_line), (Some("src/a.c"), 3));
    let log = bench.log(second);
    assert!(log.contains("greetings 42"), "{log}");
    assert_eq!(bench.violations(), Vec::<String>::new());
}
