//! Many builds, a network between them and AWS that breaks, and an AWS that is not always there: what a build came to
//! stands, and in the end everything has arrived, once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use fake_chaos::Chaos;
use serde_json::{Value, json};

use crate::harness::{Aws, BUSYBOX, Home, Run, SANDBOX, aws, home};

const SEED: u64 = 6;
/// Containers of an engine take their time.
const BUILDS: usize = if SANDBOX { 200 } else { 12 };
const PROJECT: &str = if SANDBOX { "chaos-sandbox" } else { "chaos" };

#[test]
fn everything_arrives_once_whatever_broke() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let chaos = Chaos::before(aws.address(), SEED).unwrap();
    prepare(aws);
    let (source, project) = batch(&home);

    let sometimes =
        |action: &str, answer: Value| json!({ "action": action, "answer": answer, "chance": 0.05 });
    let faults = [
        sometimes("*", "throttle".into()),
        sometimes("*", 500.into()),
        sometimes("*", "expired".into()),
        sometimes("*", "lose".into()),
        sometimes("logs:PutLogEvents", "deny".into()),
        sometimes("events:PutEvents", "deny".into()),
    ];
    let (topic, queue) = aws.ordered_topic("us-east-1", PROJECT);
    let telling = |run: Run| {
        run.env("RUNSPAN_EVENT_BUS", "default")
            .env("RUNSPAN_METRICS_NAMESPACE", PROJECT)
            .env("RUNSPAN_SNS_TOPIC", &topic)
            .env("RUNSPAN_SNS_EVENTS", "state-succeeded")
    };
    aws.faults(PROJECT, json!(faults));
    chaos.breaks(15);
    // The second batch also takes along what the first could not deliver.
    for _ in 0..2 {
        let run = home.run(&source, BUSYBOX).args(["--quiet", "--project"]).arg(&project);
        Aws::serve_behind(&chaos, telling(run), PROJECT).finish().exited(0);
    }
    assert!(chaos.broken() > BUILDS as u64 / 10, "{} connections broke", chaos.broken());
    let listed = home.runspan(["builds", "list", "--limit", "1000", "--format", "json"]).finish().exited(0);
    let builds: Vec<Value> = serde_json::from_str(&listed.text()).unwrap();
    assert_eq!(builds.len(), BUILDS);
    assert!(builds.iter().all(|build| build["buildStatus"] == "SUCCEEDED"), "{builds:#?}");

    // The network heals, and so does AWS.
    chaos.breaks(0);
    aws.faults(PROJECT, json!([]));
    let deliver = || {
        let deliver = home.runspan(["builds", "deliver"]);
        Aws::serve_behind(&chaos, telling(deliver), PROJECT).finish().exited(0)
    };
    deliver();
    let asked = aws.requests(PROJECT);
    deliver();
    assert_eq!(aws.requests(PROJECT), asked, "there was nothing left to deliver");
    everything_is_there(&home, aws, &builds);
    every_event_came(aws, &builds);
    let told = aws.queued("us-east-1", &queue);
    let mut told: Vec<&Value> = told.iter().map(|event| &event["detail"]["build-id"]).collect();
    let mut ids: Vec<&Value> = builds.iter().map(|build| &build["arn"]).collect();
    for ids in [&mut told, &mut ids] {
        ids.sort_by_key(ToString::to_string);
    }
    assert_eq!(told, ids, "messages");
    every_figure_came(aws);
}

/// No count lacks a build. Where an answer was lost it has one twice, as CloudWatch cannot be asked for a figure.
fn every_figure_came(aws: &Aws) {
    let count = |metric: &str, dimensions: Value| {
        let found = aws.boto3("cloudwatch", "get_metric_statistics", json!({
            "Namespace": PROJECT, "MetricName": metric, "Period": 86400, "Statistics": ["SampleCount"],
            "StartTime": "2020-01-01T00:00:00Z", "EndTime": "2120-01-01T00:00:00Z", "Dimensions": dimensions,
        }));
        let found = found["Datapoints"].as_array().cloned().unwrap_or_default();
        found.iter().filter_map(|point| point["SampleCount"].as_f64()).sum::<f64>() as usize
    };
    let of_project = json!([{ "Name": "ProjectName", "Value": PROJECT }]);
    for metric in ["Builds", "SucceededBuilds", "Duration", "FinalizingDuration"] {
        let of_project = count(metric, of_project.clone());
        // moto does not tell figures without dimensions from all figures.
        let of_account = count(metric, json!([])) - of_project;
        for counted in [of_project, of_account] {
            assert!((BUILDS..BUILDS + BUILDS / 2).contains(&counted), "{metric}: {counted}");
        }
    }
}

/// Buckets, and a log group that gets every event.
fn prepare(aws: &Aws) {
    for kind in ["artifacts", "logs"] {
        aws.boto3("s3", "create_bucket", json!({ "Bucket": format!("{PROJECT}-{kind}") }));
    }
    let group = format!("{PROJECT}-events");
    aws.boto3("logs", "create_log_group", json!({ "logGroupName": group }));
    let pattern = json!({ "detail": { "project-name": [PROJECT] } });
    aws.boto3("events", "put_rule", json!({ "Name": PROJECT, "EventPattern": pattern.to_string() }));
    let target =
        json!({ "Id": "1", "Arn": format!("arn:aws:logs:us-east-1:123456789012:log-group:{group}") });
    aws.boto3("events", "put_targets", json!({ "Rule": PROJECT, "Targets": [target] }));
}

/// A source with a batch of builds that leave something everywhere, and its project.
fn batch(home: &Home) -> (std::path::PathBuf, std::path::PathBuf) {
    let mut buildspec = String::from("version: 0.2\nbatch:\n  fast-fail: false\n  build-list:\n");
    for number in 0..BUILDS / 2 {
        let _ = writeln!(
            buildspec,
            "    - {{ identifier: b{number}, env: {{ variables: {{ N: \"{number}\" }} }} }}"
        );
    }
    buildspec += "phases: { build: { commands: ['i=0; while [ $i -lt 40 ]; do echo \"build $N line $i\"; i=$((i+1)); done', \
                  'echo $N > a'] } }\nartifacts: { files: [a], name: a.zip }\n";
    let source = home.source("app", [("buildspec.yml", buildspec.as_str())]);
    let project = json!({
        "name": PROJECT,
        "concurrentBuildLimit": 16,
        "buildBatchConfig": { "restrictions": { "maximumBuildsAllowed": BUILDS } },
        "artifacts": {
            "type": "S3", "location": format!("{PROJECT}-artifacts"), "namespaceType": "BUILD_ID",
            "packaging": "ZIP", "overrideArtifactName": true,
        },
        "logsConfig": {
            "cloudWatchLogs": { "status": "ENABLED", "groupName": PROJECT },
            "s3Logs": { "status": "ENABLED", "location": format!("{PROJECT}-logs/all") },
        },
    });
    let file = home.path("project.json");
    fs::write(&file, project.to_string()).unwrap();
    (source, file)
}

fn everything_is_there(home: &Home, aws: &Aws, builds: &[Value]) {
    let artifacts = etags(aws, &format!("{PROJECT}-artifacts"));
    let logs = etags(aws, &format!("{PROJECT}-logs"));
    assert_eq!((artifacts.len(), logs.len()), (builds.len(), builds.len()), "objects");
    for build in builds {
        let id = build["id"].as_str().unwrap();
        let uuid = id.rsplit(':').next().unwrap();
        let md5 = build["artifacts"]["md5sum"].as_str().unwrap();
        assert_eq!(artifacts[&format!("{uuid}/a.zip")], md5, "the artifact of {id}");
        let log = fs::read_to_string(home.state().join("builds").join(uuid).join("log")).unwrap();
        assert_eq!(aws.all_messages(PROJECT, uuid), log, "the log of {id} in CloudWatch");
        let object = json!({ "Bucket": format!("{PROJECT}-logs"), "Key": format!("all/{uuid}.gz") });
        assert_eq!(aws.boto3("s3", "get_object", object)["Body"], log, "the log of {id} in S3");
        let outgoing = home.state().join("builds").join(uuid).join("outgoing");
        let waiting: Vec<_> = walk(&outgoing);
        assert!(waiting.is_empty(), "{waiting:?} still waits");
    }
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
        .collect()
}

/// Keys of a bucket with their MD5.
fn etags(aws: &Aws, bucket: &str) -> BTreeMap<String, String> {
    let listed = aws.boto3("s3", "list_objects_v2", json!({ "Bucket": bucket }));
    let text = |value: &Value| value.as_str().unwrap_or_default().trim_matches('"').to_owned();
    let objects = listed["Contents"].as_array().cloned().unwrap_or_default();
    objects.iter().map(|object| (text(&object["Key"]), text(&object["ETag"]))).collect()
}

/// Each change of state and phase came. Where an answer was lost it came again, the same to the letter.
fn every_event_came(aws: &Aws, builds: &[Value]) {
    let (mut distinct, mut count) = (BTreeSet::new(), 0);
    let mut changes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut page = json!({ "logGroupName": format!("{PROJECT}-events") });
    loop {
        let more = aws.boto3("logs", "filter_log_events", page.clone());
        for event in more["events"].as_array().unwrap() {
            let event: Value = serde_json::from_str(event["message"].as_str().unwrap()).unwrap();
            let detail = &event["detail"];
            count += 1;
            distinct.insert(detail.to_string());
            let change = [&detail["build-status"], &detail["completed-phase"]].map(Value::as_str);
            let change = change.into_iter().flatten().collect::<String>();
            changes.entry(detail["build-id"].as_str().unwrap().to_owned()).or_default().insert(change);
        }
        if more["nextToken"].is_null() {
            break;
        }
        page["nextToken"] = more["nextToken"].clone();
    }
    for build in builds {
        let found = changes.get(build["arn"].as_str().unwrap()).map_or(0, BTreeSet::len);
        assert_eq!(found, 12, "changes of {}: {changes:#?}", build["id"]);
    }
    assert_eq!(distinct.len(), 12 * builds.len(), "an event that came twice is the same event");
    assert!(count < 16 * builds.len(), "{count} events of {} builds", builds.len());
}
