//! Artifacts of builds of a batch, and of the batch.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{bucket, keys, run};
use crate::harness::{BUILD_LIMIT, aws, home, wait_until};

/// Two builds with an artifact each.
const TWO: &str = r#"
version: 0.2
batch: { build-list: [{ identifier: one }, { identifier: two }] }
phases: { build: { commands: ["echo $CODEBUILD_BATCH_BUILD_IDENTIFIER > $CODEBUILD_BATCH_BUILD_IDENTIFIER"] } }
artifacts: { files: [one, two] }
"#;

/// A project of this name that combines them in a bucket of its own.
fn combining(name: &str) -> Value {
    json!({
        "name": name,
        "artifacts": {
            "type": "S3", "location": format!("{name}-artifacts"), "packaging": "ZIP", "namespaceType": "BUILD_ID",
            "name": "all.zip",
        },
        "buildBatchConfig": { "combineArtifacts": true },
    })
}

#[test]
fn builds_of_a_batch_hand_on_what_goes_into_a_bucket() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "batch-artifacts");
    let buildspec = r#"
version: 0.2
batch:
  build-graph:
    - identifier: first
    - { identifier: second, depend-on: [first] }
phases:
  build:
    commands:
      - if [ -n "$CODEBUILD_SRC_DIR_first" ]; then echo "handed on $(cat $CODEBUILD_SRC_DIR_first/first.txt)"; fi
      - echo "by $CODEBUILD_BATCH_BUILD_IDENTIFIER" > $CODEBUILD_BATCH_BUILD_IDENTIFIER.txt
artifacts: { files: ["*.txt"] }
"#;
    let project = json!({
        "name": "graph",
        "artifacts": { "type": "S3", "location": "batch-artifacts", "namespaceType": "BUILD_ID", "name": "out" },
        "buildBatchConfig": { "combineArtifacts": true },
    });
    run(&home, aws, "graph", buildspec, &project).finish().exited(0).printed(&["handed on by first\n"]);
    let builds = home.builds();
    let mut expected: Vec<_> = builds
        .iter()
        .zip(["first", "second"])
        .map(|(build, name)| format!("{build}/out/{name}.txt"))
        .collect();
    let found = keys(aws, "batch-artifacts");
    let of_batch: Vec<_> = found.iter().filter(|key| !expected.contains(key)).cloned().collect();
    let ends: Vec<_> = of_batch.iter().filter_map(|key| key.split_once('/')).map(|(_, end)| end).collect();
    assert_eq!(ends, ["out/first.txt", "out/second.txt"], "{found:?}");
    expected.extend(of_batch);
    expected.sort();
    assert_eq!(found, expected);
    for build in builds {
        let copy = home.state().join("builds").join(&build).join("outgoing/primary").join(&build).join("out");
        assert!(!copy.exists(), "{} is not needed any more", copy.display());
    }
    home.assert_nothing_left();
}

#[test]
fn a_combined_artifact_waits_for_its_bucket() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "late-artifacts");
    let project = combining("late");
    aws.faults("late", json!([{ "action": "*", "answer": 503 }]));
    let ran = run(&home, aws, "late", TWO, &project).finish().exited(0);
    let said = ran.errors();
    let batch = said.split("late:").find_map(|text| {
        text.split(['\u{1b}', ' ', ':', '\n'])
            .next()
            .filter(|id| home.runspan(["builds", "show", id]).finish().text().starts_with("batch"))
    });
    let batch = batch.unwrap_or_else(|| panic!("no batch in {said}")).to_owned();
    let shown = home.runspan(["builds", "show", &batch]).finish().exited(0);
    shown.printed(&["SUCCEEDED", "UNDELIVERED", "s3-artifact arn:aws:s3:::late-artifacts/"]);
    aws.faults("late", json!([]));
    aws.serve(home.runspan(["builds", "deliver", &batch]), "late").finish().exited(0);
    assert_eq!(keys(aws, "late-artifacts"), [format!("{batch}/all.zip")]);
    let stored = aws.boto3(
        "s3",
        "get_object",
        json!({ "Bucket": "late-artifacts", "Key": format!("{batch}/all.zip") }),
    );
    assert_eq!(stored["Body"], json!({ "zip": { "one": "one\n", "two": "two\n" } }));
    aws.serve(home.runspan(["builds", "deliver"]), "late").finish().exited(0);
    assert_eq!(keys(aws, "late-artifacts").len(), 3);
}

#[test]
fn a_batch_that_is_stopped_while_it_combines_leaves_no_artifact() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "stopped-artifacts");
    let project = combining("stopped");
    // The builds' own artifacts arrive; that of the batch is on its way for ever.
    aws.faults("stopped", json!([{ "action": "s3:PutObject", "answer": "hold", "after": 2 }]));
    let running = run(&home, aws, "stopped", TWO, &project).start();
    wait_until("the batch combines", BUILD_LIMIT, || (aws.requests("stopped") == 3).then_some(()));
    running.signal(Signal::INT);
    running.finish().exited(130);
    aws.faults("stopped", json!([]));
    let builds = home.builds();
    let expected: Vec<_> = builds.iter().map(|build| format!("{build}/all.zip")).collect();
    let mut found = keys(aws, "stopped-artifacts");
    found.sort_by_key(|key| expected.iter().position(|other| other == key));
    assert_eq!(found, expected);
    let batches: Vec<_> = fs::read_dir(home.state().join("batches")).unwrap().flatten().collect();
    let batch = batches[0].file_name().into_string().unwrap();
    home.runspan(["builds", "show", &batch]).finish().exited(0).printed(&["STOPPED"]);
    // Nor is there anything left to be delivered.
    aws.serve(home.runspan(["builds", "deliver"]), "stopped").finish().exited(0);
    assert_eq!(keys(aws, "stopped-artifacts").len(), 2);
    assert!(!batches[0].path().join("artifacts").exists(), "what was combined is gone");
    home.assert_nothing_left();
}
