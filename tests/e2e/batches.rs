//! Batches whose process is killed: whoever comes after it goes on with them.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Api, BUILD_LIMIT, BUSYBOX, Home, SANDBOX, aws, home, root, wait_until};

/// One build is quick, one is slow, and one needs what both made. Each reports a test of its own.
const CHAIN: &str = r#"
version: 0.2
batch:
  build-graph:
    - identifier: quick
    - identifier: slow
      env: { variables: { LINES: 12 } }
    - identifier: last
      depend-on: [quick, slow]
phases:
  build:
    commands:
      - name=$CODEBUILD_BATCH_BUILD_IDENTIFIER
      - for number in $(seq ${LINES:-1}); do echo "$name says $number"; sleep 0.5; done
      - if [ $name = last ]; then cat $CODEBUILD_SRC_DIR_quick/quick.txt $CODEBUILD_SRC_DIR_slow/slow.txt; fi
      - echo "made by $name" > $name.txt
      - echo "<testsuite><testcase name='$name' time='1'/></testsuite>" > report.xml
artifacts: { files: ['*.txt'] }
reports: { unit: { files: [report.xml], file-format: JUNITXML } }
"#;

/// The image of these tests, as the executor under test names it.
fn image() -> String {
    if SANDBOX { root(BUSYBOX).display().to_string() } else { BUSYBOX.to_owned() }
}

/// Waits until the quick build is over and the slow one has said something; those two.
fn in_the_middle(home: &Home) -> Vec<String> {
    wait_until("the batch is in its middle", BUILD_LIMIT, || {
        let builds = home.builds();
        let stands =
            |build: &&String, identifier: &str| home.record(build).0["batchIdentifier"] == identifier;
        let quick = builds.iter().find(|build| stands(build, "quick"))?;
        let slow = builds.iter().find(|build| stands(build, "slow"))?;
        let is_middle =
            home.record(quick).0["buildComplete"] == true && home.log(slow).contains("slow says 2");
        is_middle.then(|| vec![quick.clone(), slow.clone()])
    })
}

/// Nothing was built twice, and nobody was interrupted.
fn assert_whole(home: &Home, before: &[String]) {
    let builds = home.builds();
    assert_eq!(builds.len(), 3, "{builds:?}");
    assert!(before.iter().all(|build| builds.contains(build)), "{before:?} {builds:?}");
    let log = home.log(&before[1]);
    let said: Vec<&str> = log.lines().filter(|line| line.starts_with("slow says")).collect();
    let all: Vec<String> = (1..=12).map(|number| format!("slow says {number}")).collect();
    assert_eq!(said, all, "{log}");
    let last = builds.iter().find(|build| !before.contains(build)).unwrap();
    let log = home.log(last);
    assert!(log.contains("made by quick\nmade by slow\n"), "{log}");
}

#[test]
fn a_batch_outlives_the_service_that_began_it() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    aws.boto3("s3", "create_bucket", json!({ "Bucket": "of-a-batch" }));
    let api = Api::of(&home, aws);
    let image = image();
    let serving = api.serve("batches", &["--image", &image]);
    let settings = json!({
        "artifacts": { "type": "S3", "location": "of-a-batch", "name": "all.zip", "packaging": "ZIP" },
        "buildBatchConfig": { "serviceRole": "none", "combineArtifacts": true },
    });
    api.project("chain", CHAIN, json!({ "image": image }), settings);
    let started = api.call("start_build_batch", json!({ "projectName": "chain" }))["buildBatch"].clone();
    let id = started["id"].as_str().unwrap();
    let before = in_the_middle(&home);
    let summary = api.batch(id)["buildGroups"][1]["currentBuildSummary"].clone();
    assert_eq!(summary["buildStatus"], "IN_PROGRESS", "{summary}");
    assert!(summary["arn"].as_str().unwrap().ends_with(&before[1]), "{summary}");
    serving.kill();
    let serving = api.serve("batches", &["--image", &image]);
    let batch = api.ended_batch(id);
    assert_eq!(batch["buildBatchStatus"], "SUCCEEDED", "{batch}");
    assert_whole(&home, &before);
    let phases: Vec<&str> =
        batch["phases"].as_array().unwrap().iter().filter_map(|phase| phase["phaseType"].as_str()).collect();
    assert_eq!(phases, ["SUBMITTED", "DOWNLOAD_BATCHSPEC", "IN_PROGRESS", "COMBINE_ARTIFACTS", "SUCCEEDED"]);
    let summaries: Vec<(&Value, &Value)> = batch["buildGroups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (&group["identifier"], &group["currentBuildSummary"]["buildStatus"]))
        .collect();
    let succeeded = json!("SUCCEEDED");
    let names = [json!("quick"), json!("slow"), json!("last")];
    assert_eq!(summaries, names.iter().map(|name| (name, &succeeded)).collect::<Vec<_>>());
    // What was made and reported before the end of the first process is in what was made of it after.
    let made = aws.boto3("s3", "get_object", json!({ "Bucket": "of-a-batch", "Key": "all.zip" }));
    let files =
        json!({ "last.txt": "made by last\n", "quick.txt": "made by quick\n", "slow.txt": "made by slow\n" });
    assert_eq!(made["Body"]["zip"], files, "{batch}");
    let reports = api.call("list_reports", json!({}))["reports"].clone();
    let merged = api.call("batch_get_reports", json!({ "reportArns": reports }))["reports"].clone();
    let of_batch = merged.as_array().unwrap().iter().find(|report| report["executionId"] == started["arn"]);
    assert_eq!(of_batch.unwrap()["testSummary"]["total"], 3, "{merged}");
    serving.signal(Signal::TERM);
    serving.finish().exited(0);
    home.assert_nothing_left();
}

/// The batch of a build.
fn batch_of(home: &Home, build: &str) -> String {
    let arn = home.record(build).0["buildBatchArn"].as_str().unwrap().to_owned();
    arn.split_once("build-batch/").unwrap().1.to_owned()
}

#[test]
fn a_batch_is_stopped_by_name_whether_its_process_lives_or_not() {
    let Some(home) = home() else { return };
    let source = home.source("app", [("buildspec.yml", CHAIN)]);
    for lives in [true, false] {
        let old = home.builds();
        let running = home.run(&source, BUSYBOX).start();
        let slow = wait_until("the slow build says something", BUILD_LIMIT, || {
            let new = home.builds().into_iter().filter(|build| !old.contains(build));
            new.into_iter().find(|build| home.log(build).contains("slow says 1"))
        });
        let batch = batch_of(&home, &slow);
        let supervised = if lives {
            Some(running)
        } else {
            running.kill();
            None
        };
        home.runspan(["builds", "stop", &batch]).finish().exited(0).printed(&["STOPPED"]);
        if let Some(running) = supervised {
            running.finish().exited(130);
        }
        assert_eq!(home.record(&slow).status(), "STOPPED");
        let begun = home.builds().len() - old.len();
        assert_eq!(begun, 2, "what waited for it is not begun");
        home.runspan(["builds", "stop", &batch]).finish().exited(0).printed(&["STOPPED"]);
        let listed = home.runspan(["builds", "list", "--batches", "--format", "json"]).finish().exited(0);
        let listed: Value = serde_json::from_str(&listed.text()).unwrap();
        assert_eq!(listed[0]["id"], batch, "the newest first: {listed}");
    }
    let listed = home.runspan(["builds", "list", "--batches", "--project", "app"]).finish().exited(0);
    assert_eq!(listed.text().matches("STOPPED").count(), 2, "{listed}");
    let other = home.runspan(["builds", "list", "--batches", "--project", "none"]).finish().exited(0);
    other.did_not_print("STOPPED");
    home.assert_nothing_left();
}

#[test]
fn a_batch_of_a_killed_run_is_gone_on_with_by_hand() {
    let Some(home) = home() else { return };
    let source = home.source("app", [("buildspec.yml", CHAIN)]);
    let running = home.run(&source, BUSYBOX).start();
    let before = in_the_middle(&home);
    let batch = batch_of(&home, &before[0]);
    home.runspan(["builds", "attach", &batch]).finish().exited(2);
    running.kill();
    let shown = home.runspan(["builds", "show", &batch]).finish().exited(0).text();
    assert!(shown.contains("builds attach"), "{shown}");
    let attached = home.runspan(["builds", "attach", &batch]).finish().exited(0);
    attached.printed(&["slow | slow says 1\n", "slow | slow says 12\n", "last | made by slow\n"]);
    assert_whole(&home, &before);
    home.runspan(["builds", "attach", &batch]).finish().exited(2);
    home.assert_nothing_left();
}

#[test]
fn a_batch_of_a_killed_run_is_closed_by_the_next() {
    let Some(home) = home() else { return };
    let source = home.source("app", [("buildspec.yml", CHAIN)]);
    let old = home.builds();
    let running = home.run(&source, BUSYBOX).start();
    let new = wait_until("another one begins", BUILD_LIMIT, || {
        home.builds().into_iter().find(|build| !old.contains(build))
    });
    let batch = batch_of(&home, &new);
    running.kill();
    let quick = home.source("quick", [("buildspec.yml", "version: 0.2\nphases: {}\n")]);
    home.run(quick, BUSYBOX).finish().exited(0);
    let shown = home.runspan(["builds", "show", &batch, "--format", "json"]).finish().exited(0).text();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["buildBatchStatus"], "FAILED", "{shown}");
    assert_eq!(shown["phases"][2]["contexts"][0]["statusCode"], "SUPERVISOR_LOST", "{shown}");
    home.assert_nothing_left();
}
