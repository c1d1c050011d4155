//! A public suite of workflows: those that nektos/act keeps for its own tests, with its table of what must come of each.
//! They stay outside of this repository: `RUNSPAN_ACT` names a checkout of it, and without one nothing is tested.
//!
//! Only rows that need neither a foreign image nor an action of a foreign repository are run. `actions/checkout` is an
//! empty action that wants a node nobody has, so that runspan checks out itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fake_github::files_of;
use fake_github::model::{Conclusion, Files, Push};

use crate::github_bench::{Bench, quick};

/// Some workflows look at whose they are, and act says so of whoever acts.
const REPOSITORY: &str = "nektos/act";
const LONGEST: Duration = Duration::from_secs(300);

/// Rows that cannot hold anywhere but in act itself, with the reason.
const OF_ACT: &[(&str, &str)] = &[
    ("if-env-act", "it wants the variable ACT, which act alone sets"),
    ("workflow_call_inputs", "act starts a reusable workflow by itself, GitHub does not"),
    ("uses-workflow", "the fake runs no reusable workflows"),
    ("uses-workflow-defaults", "the fake runs no reusable workflows"),
];

const CHECKOUT: &str = "
inputs:
  repository: {default: '${{ github.repository }}'}
  ref: {}
  token: {default: '${{ github.token }}'}
  path: {}
  submodules: {default: 'false'}
  fetch-depth: {default: '1'}
runs: {using: node24, main: none.js}
";

/// A row of act's table.
#[derive(Debug)]
struct Row {
    directory: PathBuf,
    name: String,
    event: String,
    fails: bool,
}

fn rows(act: &Path) -> Vec<Row> {
    let table = std::fs::read_to_string(act.join("pkg/runner/runner_test.go")).unwrap();
    let table = table.split("func TestRunEvent(").nth(1).unwrap();
    let table = table.split("for _, table := range tables").next().unwrap();
    let of_row = |line: &str| {
        let line = line.trim().strip_prefix('{')?;
        let (place, rest) = line.split_once(", ")?;
        let mut texts = rest.split('"').skip(1).step_by(2);
        let (name, event, error) = (texts.next()?, texts.next()?, texts.next()?);
        let directory = match place {
            "workdir" => act.join("pkg/runner/testdata"),
            place => act.join("pkg/runner").join(place.trim_matches('"')),
        };
        Some(Row { directory, name: name.into(), event: event.into(), fails: !error.is_empty() })
    };
    table.lines().filter(|line| !line.trim().starts_with("//")).filter_map(of_row).collect()
}

fn workflows(row: &Row) -> BTreeMap<String, String> {
    let directory = row.directory.join(&row.name);
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".yml") || name.ends_with(".yaml") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            // Actions lie beside some of them.
            if text.contains("jobs:") {
                found.insert(name, text);
            }
        }
    }
    found
}

/// What of the outside a workflow needs, or an action of its own.
fn needs(text: &str, directory: &Path, images: &[String]) -> Option<String> {
    let value = |line: &str, key: &str| {
        let line = line.trim().trim_start_matches("- ");
        let value = line.strip_prefix(key)?.split('#').next().unwrap_or_default();
        let value = value.trim().trim_matches(['"', '\'']).trim_start_matches("docker://");
        Some(value.to_owned()).filter(|value| !value.is_empty() && !value.starts_with(['{', '$']))
    };
    let foreign =
        |image: &String| !images.contains(image) && image != "Dockerfile" && !image.starts_with("./");
    text.lines().find_map(|line| {
        if line.trim().starts_with('#') {
            return None;
        }
        if let Some(own) = value(line, "uses:").filter(|uses| uses.starts_with("./") && uses.len() > 2) {
            return ["action.yml", "action.yaml", "Dockerfile"].iter().find_map(|file| {
                let text = std::fs::read_to_string(directory.join(&own).join(file)).ok()?;
                needs(&text, directory, images)
            });
        }
        let uses = value(line, "uses:").filter(|uses| !uses.starts_with("actions/checkout@"));
        let image = || ["image:", "container:", "FROM "].iter().find_map(|key| value(line, key));
        uses.or_else(image).filter(foreign)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acts_workflows_end_as_its_table_says() {
    let Some(act) = std::env::var_os("RUNSPAN_ACT").map(PathBuf::from) else {
        eprintln!("SKIPPED: RUNSPAN_ACT names no checkout of github.com/nektos/act");
        return;
    };
    let only = std::env::var("RUNSPAN_ACT_ONLY").unwrap_or_default();
    // Images that are here under the names that the suite uses.
    let images = std::env::var("RUNSPAN_ACT_IMAGES").unwrap_or_default();
    let images: Vec<String> = images.split(',').map(str::to_owned).collect();
    let executor = std::env::var("RUNSPAN_ACT_EXECUTOR").unwrap_or_else(|_| "sandbox".into());
    let bench = Bench::new(quick()).await;
    bench.github.change(|github| {
        for version in ["v2", "v2.0.0", "v3", "v4"] {
            let checkout = Push::new("actions/checkout", [("action.yml", CHECKOUT)]);
            github.push(&checkout.to(&format!("refs/tags/{version}"))).unwrap();
        }
        let secrets = &mut github.repository(REPOSITORY).unwrap().secrets;
        secrets.insert("secret".into(), "keep_it_private".into());
    });
    // act skips what is not for Linux; here it runs as if it were.
    let labels =
        "ubuntu-latest,ubuntu-20.04,ubuntu-22.04,ubuntu-18.04,ubuntu-16.04,macos-latest,windows-latest";
    bench.register_for(REPOSITORY, &["--name", "slot", "--slots", "4", "--labels", labels]);
    let image = if executor == "docker" { "runspan-test/debian" } else { "host" };
    let _serving = bench.serve_offline(&["--executor", &executor, "--image", image]);
    let (mut left_out, mut runs) = (Vec::new(), Vec::new());
    for row in rows(&act).into_iter().filter(|row| row.name.contains(&only)) {
        let workflows = workflows(&row);
        let outside = workflows.values().find_map(|text| needs(text, &row.directory, &images));
        let of_act = OF_ACT.iter().find(|(name, _)| *name == row.name).map(|(_, why)| (*why).to_owned());
        if let Some(why) = of_act.or(outside) {
            left_out.push(format!("{}: {why}", row.name));
            continue;
        }
        let files = files_of(&row.directory).unwrap();
        let started: Vec<u64> = workflows
            .iter()
            .flat_map(|(file, text)| start(&bench, &row, files.clone(), file, text))
            .collect();
        runs.push((row, started));
    }
    let (mut right, mut wrong) = (0, Vec::new());
    for (row, started) in &runs {
        let mut failed = Vec::new();
        for run in started {
            let ended = bench.github.wait_for(LONGEST, |github| github.run_conclusion(*run)).await;
            if ended != Some(Conclusion::Success) {
                failed.push(*run);
            }
        }
        if !started.is_empty() && failed.is_empty() != row.fails {
            right += 1;
            continue;
        }
        let log: String = failed
            .iter()
            .flat_map(|run| bench.jobs(*run))
            .map(|job| format!("{:?}\n{}", job.annotations, bench.log(&job)))
            .collect();
        wrong.push(format!("{}: {} of {} runs failed\n{log}", row.name, failed.len(), started.len()));
    }
    println!("{right} of {} rows are right\nleft out:\n  {}", runs.len(), left_out.join("\n  "));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn start(bench: &Bench, row: &Row, mut files: Files, file: &str, text: &str) -> Vec<u64> {
    files.retain(|path, _| !path.starts_with(".github/workflows/"));
    files.insert(format!(".github/workflows/{file}"), (text.as_bytes().to_vec(), false));
    let push = Push { files, actor: REPOSITORY.into(), ..Push::new(REPOSITORY, [("none", "")]) };
    let inputs = std::fs::read(row.directory.join(&row.name).join("event.json")).unwrap_or_default();
    let inputs: serde_json::Value = serde_json::from_slice(&inputs).unwrap_or_default();
    let inputs = inputs["inputs"].as_object().into_iter().flatten().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), fake_github::Value::from(text))
    });
    let inputs = fake_github::Object::from_iter(inputs);
    bench.github.change(|github| {
        let (_, runs) = github.push(&push).unwrap();
        match row.event.as_str() {
            "push" => runs,
            _ => github
                .dispatch(REPOSITORY, file, "refs/heads/main", &inputs, REPOSITORY)
                .into_iter()
                .collect(),
        }
    })
}
