//! Every workflow of `tests/workflows`: its first lines say what must come of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use fake_github::model::{Conclusion, Push};

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
            "needs" => true,
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

/// Where a workflow runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a sandbox on this machine's own root.
    Host,
    /// In a sandbox that has a test image.
    Image,
    /// In a container engine that has one.
    Docker,
}

impl Place {
    fn runs(self, expected: &Expected) -> bool {
        match expected.rest.iter().find(|(key, _)| key == "needs").map(|(_, value)| value.as_str()) {
            None => self == Self::Host,
            Some("image") => self != Self::Host,
            Some("docker") => self == Self::Docker,
            Some("sandbox") => self == Self::Image,
            Some(other) => panic!("`{other}` is nothing to need"),
        }
    }
}

fn workflows() -> BTreeMap<String, String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workflows");
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        all.insert(name, fs::read_to_string(path).unwrap());
    }
    all
}

const OUTER: &str = "
outputs:
  said: {value: '${{ steps.inner.outputs.said }}'}
runs:
  using: composite
  steps:
    - id: inner
      uses: octo/inner/deep@v2
      with: {who: nested}
";

const INNER: &str = "
inputs:
  who: {required: true}
outputs:
  said: {value: '${{ steps.say.outputs.said }}'}
runs:
  using: composite
  steps:
    - id: say
      shell: sh
      run: |
        echo \"greetings ${{ inputs.who }}\"
        echo said=yes >> \"$GITHUB_OUTPUT\"
";

/// Runs every workflow that runs there, all at once.
async fn all_do_what_they_say(place: Place, bench: &Bench, serve: &[&str]) {
    bench.github.change(|github| {
        let outer = Push::new("octo/outer", [("action.yml", OUTER)]).to("refs/tags/v1");
        let inner = Push::new("octo/inner", [("deep/action.yml", INNER)]).to("refs/tags/v2");
        github.push(&outer).unwrap();
        github.push(&inner).unwrap();
        let secrets = &mut github.repositories.get_mut("octo/hello").unwrap().secrets;
        secrets.insert("KEY".into(), "hush-hush-4711".into());
    });
    bench.register(&["--name", "slot", "--slots", "4"]);
    let _serving = bench.serve_as(serve);
    let all = workflows();
    let here = all.iter().filter(|(_, text)| place.runs(&expected(text)));
    let runs: Vec<(String, u64)> = here.map(|(name, text)| (name.clone(), bench.push(text))).collect();
    assert!(!runs.is_empty());
    let mut wrong = Vec::new();
    for (name, run) in runs {
        let conclusion = bench.conclusion(run).await;
        for fault in faults(bench, run, conclusion, &expected(&all[&name])) {
            wrong.push(format!("{name}: {fault}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), bench.said());
    assert_eq!(bench.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_workflow_does_what_it_says() {
    assert!(workflows().len() >= 70, "{}", workflows().len());
    let bench = Bench::new(quick()).await;
    let serve = ["--executor", "sandbox", "--image", "host", "--host-network"];
    all_do_what_they_say(Place::Host, &bench, &serve).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_workflow_with_containers_does_what_it_says_in_sandboxes() {
    let bench = Bench::new(quick()).await;
    match bench.pull_busybox() {
        Err(missing) => skip(&missing),
        Ok(()) => {
            let serve = ["--executor", "sandbox", "--image", "host"];
            all_do_what_they_say(Place::Image, &bench, &serve).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_workflow_with_containers_does_what_it_says_in_docker() {
    let answered = |arguments: &[&str]| {
        Command::new("docker").args(arguments).output().is_ok_and(|output| output.status.success())
    };
    for image in ["runspan-test/busybox", "runspan-test/debian"] {
        if !answered(&["image", "inspect", image]) {
            return skip(&format!("no container engine has {image}; make it with tests/images/make"));
        }
    }
    let bench = Bench::new(quick()).await;
    let serve = ["--executor", "docker", "--image", "runspan-test/debian"];
    all_do_what_they_say(Place::Docker, &bench, &serve).await;
    let label = format!("label={}", "dev.runspan.attempt");
    for what in [["ps", "-aq"].as_slice(), &["volume", "ls", "-q"], &["image", "ls", "-q"]] {
        let arguments = [what, &["--filter", &label]].concat();
        let left = Command::new("docker").args(&arguments).output().unwrap();
        // Other tests may run beside this one; what is left is of no build of ours.
        let left = String::from_utf8_lossy(&left.stdout).into_owned();
        let ours = fs::read_dir(bench.state().join("builds")).unwrap();
        for build in ours.flatten() {
            let uuid = build.file_name().to_string_lossy().into_owned();
            assert!(!left.contains(&uuid), "{arguments:?}: {left}");
            let kept = fs::read_dir(build.path()).unwrap().flatten().map(|entry| entry.file_name());
            let context = kept
                .map(|name| name.to_string_lossy().into_owned())
                .find(|name| name.starts_with("context-"));
            assert_eq!(context, None, "what an image was made of is not kept");
        }
    }
}

/// Says loudly that nothing was tested.
fn skip(why: &str) {
    assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
}
