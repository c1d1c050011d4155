//! Who is told of a build.

use serde_json::{Value, json};

use super::{bucket, keys, run};
use crate::harness::{Run, aws, home};

#[test]
fn the_log_is_in_cloudwatch_once_and_in_order() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let buildspec = r#"
version: 0.2
phases:
  build:
    commands:
      - i=0; while [ $i -lt 12000 ]; do echo "line $i"; i=$((i+1)); done
      - printf 'no line break'
"#;
    let logs = json!({ "name": "shop", "logsConfig": { "cloudWatchLogs": { "status": "ENABLED" } } });
    // The second answer of PutLogEvents is lost: what was sent arrived, and nobody knows.
    aws.faults("logs", json!([{ "action": "logs:PutLogEvents", "answer": "lose", "times": 1 }]));
    run(&home, aws, "logs", buildspec, &logs).finish().exited(0);
    let build = home.build();
    let record = home.record(&build).0;
    assert_eq!(record["logs"]["groupName"], "/aws/codebuild/shop");
    let events = aws.all_messages("/aws/codebuild/shop", &build);
    assert_eq!(events, home.log(&build));
    home.assert_nothing_left();
}

#[test]
fn whoever_wants_to_know_of_a_build_is_told() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "told-logs");
    let queue = aws.boto3("sqs", "create_queue", json!({ "QueueName": "told" }));
    let url = queue["QueueUrl"].as_str().unwrap();
    let topic = aws.boto3("sns", "create_topic", json!({ "Name": "told" }));
    let topic = topic["TopicArn"].as_str().unwrap();
    let queue = "arn:aws:sqs:us-east-1:123456789012:told";
    aws.boto3("sns", "subscribe", json!({
        "TopicArn": topic, "Protocol": "sqs", "Endpoint": queue, "Attributes": { "RawMessageDelivery": "true" }
    }));
    let pattern = json!({ "source": ["runspan.codebuild"], "detail": { "project-name": ["told"] } });
    aws.boto3("events", "put_rule", json!({ "Name": "told", "EventPattern": pattern.to_string() }));
    let targets = json!({ "Rule": "told", "Targets": [{ "Id": "1", "Arn": queue }] });
    aws.boto3("events", "put_targets", targets);

    let project = json!({ "name": "told", "logsConfig": { "s3Logs": { "status": "ENABLED", "location": "told-logs/all" } } });
    let buildspec = "version: 0.2\nphases: { build: { commands: [echo in the log, exit 3] } }\n";
    let told = |run: Run| {
        run.env("RUNSPAN_METRICS_NAMESPACE", "Builds")
            .env("RUNSPAN_EVENT_BUS", "default")
            .env("RUNSPAN_SNS_TOPIC", topic)
            .env("RUNSPAN_SNS_EVENTS", "state-failed")
    };
    told(run(&home, aws, "told", buildspec, &project)).finish().exited(1);
    let build = home.build();
    let record = home.record(&build).0;
    home.runspan(["builds", "show", &build]).finish().exited(0).did_not_print("UNDELIVERED");

    // The log, compressed.
    assert_eq!(keys(aws, "told-logs"), [format!("all/{build}.gz")]);
    assert_eq!(record["logs"]["s3LogsArn"], format!("arn:aws:s3:::told-logs/all/{build}.gz"));
    let object = json!({ "Bucket": "told-logs", "Key": format!("all/{build}.gz") });
    let object = aws.boto3("s3", "get_object", object);
    assert_eq!((&object["ContentEncoding"], &object["Body"]), (&"gzip".into(), &home.log(&build).into()));

    // Every metric, for the account and for the project.
    let listed = aws.boto3("cloudwatch", "list_metrics", json!({ "Namespace": "Builds" }));
    let mut names: Vec<_> = listed["Metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|metric| format!("{} {}", metric["MetricName"].as_str().unwrap(), metric["Dimensions"]))
        .collect();
    names.sort();
    let of_project = r#"[{"Name":"ProjectName","Value":"told"}]"#;
    let phases = [
        "Submitted",
        "Queued",
        "Provisioning",
        "DownloadSource",
        "Install",
        "PreBuild",
        "Build",
        "PostBuild",
        "UploadArtifacts",
        "Finalizing",
        "",
    ]
    .map(|phase| format!("{phase}Duration"));
    let mut expected: Vec<_> = ["Builds", "FailedBuilds"]
        .map(str::to_owned)
        .into_iter()
        .chain(phases)
        .flat_map(|name| ["[]", of_project].map(|dimensions| format!("{name} {dimensions}")))
        .collect();
    expected.sort();
    assert_eq!(names, expected);
    let failed = aws.boto3("cloudwatch", "get_metric_statistics", json!({
        "Namespace": "Builds", "MetricName": "FailedBuilds", "Period": 86400, "Statistics": ["Sum"], "Unit": "Count",
        "StartTime": "2020-01-01T00:00:00Z", "EndTime": "2120-01-01T00:00:00Z",
        "Dimensions": [{ "Name": "ProjectName", "Value": "told" }],
    }));
    assert_eq!(failed["Datapoints"][0]["Sum"], 1.0, "{failed}");

    // Twelve events on the bus, in CodeBuild's schema, and the one message that was asked for.
    let mut events: Vec<Value> = Vec::new();
    loop {
        let more = aws.boto3("sqs", "receive_message", json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 }));
        let Some(messages) = more["Messages"].as_array().filter(|messages| !messages.is_empty()) else {
            break;
        };
        events.extend(
            messages.iter().map(|message| serde_json::from_str(message["Body"].as_str().unwrap()).unwrap()),
        );
    }
    let states = |events: &[Value]| {
        let found =
            events.iter().filter_map(|event| event["detail"]["build-status"].as_str().map(str::to_owned));
        let mut found: Vec<_> = found.collect();
        found.sort();
        found
    };
    // FAILED came both ways.
    assert_eq!(states(&events), ["FAILED", "FAILED", "IN_PROGRESS"], "{events:#?}");
    let ended: Vec<_> =
        events.iter().filter(|event| event["detail-type"] == "CodeBuild Build Phase Change").collect();
    assert_eq!(ended.len(), 10, "{events:#?}");
    let of_build = ended.iter().find(|event| event["detail"]["completed-phase"] == "BUILD").unwrap();
    let detail = &of_build["detail"];
    assert_eq!(detail["completed-phase-status"], "FAILED");
    assert_eq!(
        detail["completed-phase-context"],
        "[COMMAND_EXECUTION_ERROR: Error while executing command: exit 3. Reason: exit status 3]"
    );
    assert_eq!(detail["build-id"], record["arn"]);
    let phases = detail["additional-information"]["phases"].as_array().unwrap();
    assert_eq!(phases.last().unwrap()["phase-type"], "POST_BUILD");
    assert!(phases.last().unwrap()["end-time"].is_null(), "{phases:?}");
    home.assert_nothing_left();
}

#[test]
fn alarms_are_printed_and_applied() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let refused = home.runspan(["alarms"]).finish().exited(2);
    assert!(refused.errors().contains("RUNSPAN_METRICS_NAMESPACE"), "{refused}");
    let alarms = |args: &[&str]| {
        let run = home.runspan(["alarms", "till", "--duration", "30"]).args(args);
        aws.serve(run.env("RUNSPAN_METRICS_NAMESPACE", "Builds"), "alarms").finish().exited(0)
    };
    let printed: Value = serde_json::from_str(&alarms(&[]).text()).unwrap();
    assert_eq!(aws.requests("alarms"), 0, "printing asks nobody");
    let names = ["till-builds-failed", "till-builds-slow", "till-builds-queued"];
    let of = |alarms: &Value, member: &str| -> Vec<Value> {
        alarms.as_array().unwrap().iter().map(|alarm| alarm[member].clone()).collect()
    };
    assert_eq!(of(&printed["alarms"], "AlarmName"), names);
    assert_eq!(of(&printed["alarms"], "Threshold"), [0, 1800, 300]);

    let topic = "arn:aws:sns:us-east-1:123456789012:till";
    for _ in 0..2 {
        assert_eq!(alarms(&["--topic", topic, "--apply"]).text().lines().count(), 4);
    }
    let prefix = json!({ "AlarmNamePrefix": "till-builds" });
    let there = aws.boto3("cloudwatch", "describe_alarms", prefix)["MetricAlarms"].clone();
    let mut found = of(&there, "AlarmName");
    found.sort_by_key(ToString::to_string);
    assert_eq!(found, ["till-builds-failed", "till-builds-queued", "till-builds-slow"]);
    assert!(of(&there, "AlarmActions").iter().all(|actions| *actions == json!([topic])), "{there}");
    let dashboard = aws.boto3("cloudwatch", "get_dashboard", json!({ "DashboardName": "till-builds" }));
    let body: Value = serde_json::from_str(dashboard["DashboardBody"].as_str().unwrap()).unwrap();
    assert_eq!(body, printed["dashboard"]);
}
