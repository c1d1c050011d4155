//! Every workflow of `tests/workflows`: its first lines say what must come of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fake_github::model::Conclusion;

use crate::github_bench::{Bench, quick};

/// What a workflow's first lines ask for.
struct Expected {
    conclusion: String,
    rest: Vec<(String, String)>,
}

fn expected(text: &str) -> Expected {
    let said = text.lines().map_while(|line| line.strip_prefix("# ")?.split_once(": "));
    let mut all: Vec<(String, String)> = said.map(|(key, value)| (key.into(), value.into())).collect();
    assert_eq!(all[0].0, "conclusion");
    Expected { conclusion: all.remove(0).1, rest: all }
}

/// What is not as it must be.
fn faults(bench: &Bench, run: u64, conclusion: Conclusion, expected: &Expected) -> Vec<String> {
    let jobs = bench.jobs(run);
    let log: String = jobs.iter().map(|job| bench.log(job)).collect();
    let mut faults = Vec::new();
    if conclusion.as_str() != expected.conclusion {
        faults.push(format!("it is {}", conclusion.as_str()));
    }
    for (key, value) in &expected.rest {
        let holds = match key.as_str() {
            "log" => log.contains(value),
            "no-log" => !log.contains(value),
            "output" => jobs.iter().any(|job| {
                let outputs = job.outputs.iter();
                outputs
                    .into_iter()
                    .any(|(name, output)| format!("{} {name}={}", job.key, output.value) == *value)
            }),
            "annotation" => jobs.iter().flat_map(|job| &job.annotations).any(|annotation| {
                let (level, text) = value.split_once(' ').unwrap();
                annotation.level == level && annotation.message.contains(text)
            }),
            "step" => jobs.iter().flat_map(|job| job.steps.values()).any(|step| step.name == *value),
            "environment" => jobs.iter().any(|job| job.environment_url.as_deref() == Some(value)),
            other => panic!("`{other}` is nothing to expect"),
        };
        if !holds {
            faults.push(format!("{key}: {value}"));
        }
    }
    if !faults.is_empty() {
        let annotations: Vec<_> = jobs.iter().flat_map(|job| &job.annotations).collect();
        faults.push(format!("annotations {annotations:?}\n{log}"));
    }
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_workflow_does_what_it_says() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workflows");
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        all.insert(name, fs::read_to_string(path).unwrap());
    }
    assert!(all.len() >= 50, "{}", all.len());
    let bench = Bench::new(quick()).await;
    bench.register(&["--name", "slot", "--slots", "4"]);
    let _serving = bench.serve();
    let runs: Vec<(String, u64)> = all.iter().map(|(name, text)| (name.clone(), bench.push(text))).collect();
    let mut wrong = Vec::new();
    for (name, run) in runs {
        let conclusion = bench.conclusion(run).await;
        for fault in faults(&bench, run, conclusion, &expected(&all[&name])) {
            wrong.push(format!("{name}: {fault}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), bench.said());
    assert_eq!(bench.violations(), Vec::<String>::new());
}
