//! What docs/github.md has a newcomer do without GitHub: the results are those that the example's workflow promises.

use std::collections::BTreeMap;
use std::path::Path;

use fake_github::model::{Conclusion, Job, Push, StepConclusion};

use crate::github_bench::{Bench, quick};

fn push(bench: &Bench, repository: &str, reference: &str, folder: &str) -> Vec<u64> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/github").join(folder);
    let push = Push {
        repository: repository.into(),
        reference: reference.into(),
        files: fake_github::files_of(&folder).unwrap(),
        message: "Push by hand".into(),
        actor: "octocat".into(),
    };
    bench.github.change(|github| github.push(&push)).unwrap().1
}

fn steps(job: &Job) -> Vec<(String, StepConclusion)> {
    job.steps_in_order().iter().map(|step| (step.name.clone(), step.conclusion)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_does_what_it_promises() {
    let bench = Bench::new(quick()).await;
    // Stands for the one that a registry has.
    if let Err(missing) = bench.pull_busybox() {
        assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{missing}");
        return eprintln!("SKIPPED: {missing}");
    }
    bench.register(&["--name", "one", "--slots", "2"]);
    let docs = include_str!("../../docs/github.md");
    for action in ["greet", "count", "keep"] {
        let named = format!("--repository octo/{action}@refs/tags/v1=examples/github/{action}");
        assert!(docs.contains(&named), "docs/github.md has no longer: {named}");
        push(&bench, &format!("octo/{action}"), "refs/tags/v1", action);
    }
    assert!(docs.contains("--repository octo/hello=examples/github/hello"));
    assert!(docs.contains("runspan serve --executor sandbox --image host --artifacts local"));
    let _serving = bench.serve_as(&["--executor", "sandbox", "--image", "host", "--artifacts", "local"]);
    let run = push(&bench, "octo/hello", "refs/heads/main", "hello")[0];
    let conclusion = bench.conclusion(run).await;
    let jobs = bench.jobs(run);
    let all: String = jobs.iter().map(|job| bench.log(job)).collect();
    assert_eq!(conclusion, Conclusion::Failure, "{all}{}", bench.said());
    let [two, three, ask, test] = jobs.as_slice() else { panic!("{jobs:?}") };
    use StepConclusion::{Failure, Success};
    let ends: Vec<_> = jobs.iter().map(|job| (job.name.as_str(), job.conclusion())).collect();
    assert_eq!(
        ends,
        [
            ("build (2)", Some(Conclusion::Success)),
            ("build (3)", Some(Conclusion::Success)),
            ("ask", Some(Conclusion::Success)),
            ("test", Some(Conclusion::Failure)),
        ],
        "{all}"
    );
    let outputs = |job: &Job| -> BTreeMap<String, String> {
        let some = job.outputs.iter().filter(|(_, output)| !output.value.is_empty());
        some.map(|(name, output)| (name.clone(), output.value.clone())).collect()
    };
    assert_eq!(outputs(two), BTreeMap::from([("sum-2".into(), "42".into())]));
    assert_eq!(outputs(three), BTreeMap::from([("sum-3".into(), "43".into())]));
    for (job, number) in [(two, 2), (three, 3)] {
        let log = bench.log(job);
        for text in [
            format!("hello matrix {number}"),
            format!("the sum is {}", 40 + number),
            format!("the sum was {}", 40 + number),
            format!("kept 8 bytes as result-{number}"),
        ] {
            assert!(log.contains(&text), "{text}: {log}");
        }
        assert!(steps(job).iter().all(|(_, conclusion)| *conclusion == Success), "{:?}", steps(job));
        assert!(steps(job).iter().any(|(name, _)| name == "Post Run octo/count@v1"), "{:?}", steps(job));
        let notice = &job.annotations[0];
        assert_eq!(
            (notice.level.as_str(), notice.path.as_deref(), notice.message.as_str()),
            ("notice", Some("out/result.txt"), format!("built {number}").as_str())
        );
        let summaries = job.steps_in_order().into_iter();
        let mut summaries =
            summaries.filter_map(|step| bench.github.read(|github| github.summary(job.id, step.id)));
        assert_eq!(summaries.next().as_deref().map(str::trim), Some(format!("## Built {number}").as_str()));
    }
    let tests = steps(test);
    let end = |name: &str| tests.iter().find(|(other, _)| other == name).map(|(_, end)| *end);
    assert_eq!(end("Tests"), Some(Failure), "{tests:?}");
    assert_eq!(end("Run echo \"after the failure\""), Some(Success), "{tests:?}");
    let errors: Vec<_> =
        test.annotations.iter().map(|one| (one.path.as_deref(), one.message.as_str())).collect();
    assert!(errors.contains(&(Some("tests/sum.txt"), "expected 43, got 42")), "{errors:?}");
    assert!(bench.log(test).contains("result-2 came back"));
    let asked = bench.log(ask);
    for text in ["Service `web` is healthy.", "hello from the service", "also at port 8080"] {
        assert!(asked.contains(text), "{text}: {asked}");
    }
    assert_eq!(bench.violations(), Vec::<String>::new());
}
