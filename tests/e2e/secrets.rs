//! Secrets of AWS in every form, torn into pieces, on their way to everything that a build is told to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::harness::{BUSYBOX, aws, home};

const SHOW: &str = include_str!("secrets/show.py");
const BUILDSPEC: &str = r#"
version: 0.2
env:
  parameter-store: { S0: /hidden/S0, S1: /hidden/S1, S2: /hidden/S2 }
  exported-variables: [S0, ALSO]
phases:
  build:
    commands:
      - for size in 1 2 3 5 8 13; do dd if=shown bs=$size 2>/dev/null; done
      - cat shown >&2; printf '%s\n%s\n' "$S0" "$S1"
      - export ALSO=$S2; sh -c 'echo "$S0$S1" >&2; exit 3' "$S0"
"#;

/// Every file below a directory.
fn files(directory: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else if path.is_file() {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn secrets_show_nowhere_in_no_form() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let secret = || "[ -~]{3}[!-~äßλ]{5,30}(\n[!-~]{6,20})?";
    let mut chance = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let secrets = prop::array::uniform3(secret()).new_tree(&mut chance).unwrap().current();
    let seed = any::<u32>().new_tree(&mut chance).unwrap().current().to_string();
    let secrets: BTreeMap<&str, String> = ["S0", "S1", "S2"].into_iter().zip(secrets).collect();
    let forms = |mode: &str| {
        let mut show = Command::new("/usr/bin/python3");
        show.args(["-c", SHOW, mode, &seed, "S0", "S1", "S2"]).envs(&secrets);
        let output = show.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        [output.stdout, output.stderr].concat()
    };
    for (name, value) in &secrets {
        let new = json!({ "Name": format!("/hidden/{name}"), "Type": "SecureString", "Value": value, "Overwrite": true });
        aws.boto3("ssm", "put_parameter", new);
    }
    aws.boto3("s3", "create_bucket", json!({ "Bucket": "hidden-logs" }));
    let queue = aws.boto3("sqs", "create_queue", json!({ "QueueName": "hidden" }));
    let pattern = json!({ "source": ["runspan.codebuild"], "detail": { "project-name": ["hidden"] } });
    aws.boto3("events", "put_rule", json!({ "Name": "hidden", "EventPattern": pattern.to_string() }));
    let target = json!({ "Id": "1", "Arn": "arn:aws:sqs:us-east-1:123456789012:hidden" });
    aws.boto3("events", "put_targets", json!({ "Rule": "hidden", "Targets": [target] }));

    let source = home.source("app", [("buildspec.yml", BUILDSPEC)]);
    fs::write(source.join("shown"), forms("write")).unwrap();
    let project = home.path("project.json");
    fs::write(&project, json!({ "name": "hidden", "logsConfig": {
        "cloudWatchLogs": { "status": "ENABLED" }, "s3Logs": { "status": "ENABLED", "location": "hidden-logs" },
    } }).to_string()).unwrap();
    let run = home.run(source, BUSYBOX).arg("--project").arg(project).env("RUNSPAN_EVENT_BUS", "default");
    let ran = aws.serve(run, "hidden").finish().exited(1);

    let build = home.build();
    let mut seen = vec![
        ("what the program printed".to_owned(), ran.text().into_bytes()),
        ("what it said".to_owned(), ran.errors().into_bytes()),
        ("CloudWatch".to_owned(), aws.all_messages("/aws/codebuild/hidden", &build).into_bytes()),
        ("the record".to_owned(), home.record(&build).0.to_string().into_bytes()),
    ];
    let log = json!({ "Bucket": "hidden-logs", "Key": format!("{build}.gz") });
    let log = aws.boto3("s3", "get_object", log)["Body"].as_str().unwrap().to_owned();
    seen.push(("the log in S3".to_owned(), log.into_bytes()));
    let pull = json!({ "QueueUrl": queue["QueueUrl"], "MaxNumberOfMessages": 10 });
    let events = aws.boto3("sqs", "receive_message", pull);
    seen.push(("events".to_owned(), events.to_string().into_bytes()));
    files(home.state(), &mut seen);

    let hidden: Vec<String> = serde_json::from_slice(&forms("list")).unwrap();
    for (place, bytes) in &seen {
        for form in &hidden {
            assert!(
                memchr::memmem::find(bytes, form.as_bytes()).is_none(),
                "{form:?} shows in {place}; secrets {secrets:?}, seed {seed}"
            );
        }
    }
    // Each place did get its text.
    for (place, bytes) in
        seen.iter().take(5).filter(|(place, _)| place != "what it said" && place != "the record")
    {
        assert!(memchr::memmem::find_iter(bytes, b"***").count() > hidden.len(), "{place}");
    }
    assert!(events["Messages"].as_array().is_some_and(|events| !events.is_empty()), "{events}");
    home.assert_nothing_left();
}
