//! Who is told of a build.

use std::process::Command;

use serde_json::{Value, json};

use super::{bucket, keys, run};
use crate::harness::{Home, Run, aws, home};

#[test]
fn the_log_is_in_cloudwatch_once_and_in_order() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let buildspec = r#"
version: 0.2
phases:
  build:
    commands:
      - i=0; while [ $i -lt 12000 ]; do echo "line $i"; i=$((i+1)); done
      - yes € | head -n 400000 | tr -d '\n'; echo
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

    let variable = |name: &str, value: &str| json!({ "name": name, "value": value });
    let project = json!({
        "name": "told",
        "cache": { "type": "NO_CACHE" },
        "environment": {
            "imagePullCredentialsType": "SERVICE_ROLE",
            "environmentVariables": [variable("FIRST", "1"), variable("SECOND", "2")],
        },
        "logsConfig": { "s3Logs": { "status": "ENABLED", "location": "told-logs/all" } },
    });
    let buildspec = "version: 0.2\nphases: { build: { commands: [echo in the log, exit 3] } }\n";
    let told = |run: Run| {
        run.args(["--env", "FIRST=over"])
            .env("RUNSPAN_METRICS_NAMESPACE", "Builds")
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
    for (metric, unit) in expected.iter().filter_map(|metric| {
        let name = metric.strip_suffix(of_project)?.trim_end();
        Some((name, if name.ends_with("Duration") { "Seconds" } else { "Count" }))
    }) {
        let found = aws.boto3(
            "cloudwatch",
            "get_metric_statistics",
            json!({
                "Namespace": "Builds", "MetricName": metric, "Period": 86400, "Unit": unit,
                "Statistics": ["Sum", "SampleCount"],
                "StartTime": "2020-01-01T00:00:00Z", "EndTime": "2120-01-01T00:00:00Z",
                "Dimensions": [{ "Name": "ProjectName", "Value": "told" }],
            }),
        );
        let found = &found["Datapoints"][0];
        assert_eq!(found["SampleCount"], 1.0, "{metric} in {unit}: {found}");
        assert!(unit == "Seconds" || found["Sum"] == 1.0, "{metric}: {found}");
    }

    // Twelve events on the bus, in CodeBuild's schema, and the one message that was asked for.
    let events = aws.queued("us-east-1", url);
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
    let last = events.iter().find(|event| event["detail"]["build-status"] == "FAILED").unwrap();
    assert_eq!(last["resources"], json!([record["arn"]]));
    has_codebuilds_detail(&last["detail"], &record);
    home.assert_nothing_left();
}

/// Member by member what CodeBuild says of a build that is over.
fn has_codebuilds_detail(detail: &Value, record: &Value) {
    let (detail, mut phases) = (detail.clone(), detail["additional-information"]["phases"].clone());
    let began = detail["additional-information"]["build-start-time"].clone();
    let is_date = |text: &Value| {
        let text = text.as_str().unwrap_or_default();
        let months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
        months.contains(&text[..3]) && (text.ends_with(" AM") || text.ends_with(" PM"))
    };
    assert!(is_date(&began), "{began}");
    let logs = &record["logs"];
    assert_eq!(
        detail,
        json!({
            "build-status": "FAILED",
            "project-name": "told",
            "build-id": record["arn"],
            "additional-information": {
                "artifact": { "location": "" },
                "build-complete": true,
                "build-number": 1,
                "build-start-time": began,
                "cache": { "type": "NO_CACHE" },
                "environment": {
                    "image": record["environment"]["image"],
                    "privileged-mode": false,
                    "image-pull-credentials-type": "SERVICE_ROLE",
                    "compute-type": "",
                    "type": "LINUX_CONTAINER",
                    "environment-variables": [
                        { "name": "FIRST", "value": "over", "type": "PLAINTEXT" },
                        { "name": "SECOND", "value": "2", "type": "PLAINTEXT" },
                    ],
                },
                "initiator": record["initiator"],
                "logs": { "group-name": logs["groupName"], "stream-name": logs["streamName"], "deep-link": logs["deepLink"] },
                "phases": phases,
                "project-file-system-locations": [],
                "queued-timeout-in-minutes": 480,
                "source": { "type": "DIRECTORY", "location": record["source"]["location"] },
                "timeout-in-minutes": 60,
            },
            "current-phase": "COMPLETED",
            "current-phase-context": "[]",
            "version": "1",
        })
    );
    let phases = phases.as_array_mut().unwrap();
    assert_eq!(phases.len(), 11);
    let completed = phases.pop().unwrap();
    assert_eq!(completed, json!({ "phase-type": "COMPLETED", "start-time": completed["start-time"] }));
    for phase in phases {
        assert!(is_date(&phase["start-time"]) && is_date(&phase["end-time"]), "{phase}");
        let is_build = phase["phase-type"] == "BUILD";
        let context = if is_build {
            json!(["COMMAND_EXECUTION_ERROR: Error while executing command: exit 3. Reason: exit status 3"])
        } else {
            json!([": "])
        };
        assert_eq!(phase["phase-context"], context);
        assert_eq!(phase["phase-status"], if is_build { "FAILED" } else { "SUCCEEDED" });
        assert!(phase["duration-in-seconds"].is_u64(), "{phase}");
    }
}

#[test]
fn a_topic_of_another_region_keeps_order_and_hears_each_thing_once() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let region = "eu-west-1";
    let (topic, queue) = aws.ordered_topic(region, "ordered");
    let told = |events: &str| {
        let buildspec = "version: 0.2\nphases: { build: { commands: [echo ran] } }\n";
        run(&home, aws, "ordered", buildspec, &json!({ "name": "ordered" }))
            .env("RUNSPAN_SNS_TOPIC", &topic)
            .env("RUNSPAN_SNS_EVENTS", events)
            .finish()
    };
    let refused = told("state-fail").exited(2);
    assert!(refused.errors().contains("\"state-fail\", which is no event"), "{refused}");
    // Answers are lost, so messages are sent again.
    aws.faults("ordered", json!([{ "action": "sns:Publish", "answer": "lose", "times": 3 }]));
    told("in-progress,phase-success,state-succeeded").exited(0);
    aws.serve(home.runspan(["builds", "deliver"]).env("RUNSPAN_SNS_TOPIC", &topic), "ordered")
        .finish()
        .exited(0);
    let heard: Vec<String> = aws
        .queued(region, &queue)
        .iter()
        .map(|event| {
            let detail = &event["detail"];
            [&detail["build-status"], &detail["completed-phase"]]
                .into_iter()
                .filter_map(Value::as_str)
                .collect()
        })
        .collect();
    let phases = [
        "SUBMITTED",
        "QUEUED",
        "PROVISIONING",
        "DOWNLOAD_SOURCE",
        "INSTALL",
        "PRE_BUILD",
        "BUILD",
        "POST_BUILD",
        "UPLOAD_ARTIFACTS",
        "FINALIZING",
    ];
    let expected: Vec<&str> = ["IN_PROGRESS"].into_iter().chain(phases).chain(["SUCCEEDED"]).collect();
    assert_eq!(heard, expected);
}

/// Makes a build of seconds one that began ten minutes earlier, with samples of some minutes more.
fn lengthen(home: &Home, minutes: u32) {
    let edit = "
import datetime, json, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
start = json.loads(database.execute('select record from builds').fetchone()[0])['startTime']
earlier = (datetime.datetime.fromisoformat(start[:19]) - datetime.timedelta(minutes=10)).isoformat() + 'Z'
for table, column in ('builds', 'record'), ('events', 'event'):
    database.execute(f'update {table} set {column} = replace({column}, ?, ?)', (start, earlier))
build, last, length, time = database.execute('select build, max(number), log_offset, time_us from events').fetchone()
sample, = database.execute(\"select event from events where event like '%\\\"sample\\\"%' limit 1\").fetchone()
minutes = int(sys.argv[2])
database.execute('update events set number = number + ? where number = ?', (minutes, last))
for minute in range(minutes):
    row = (build, last + minute, time + minute * 60_000_000, length, sample)
    database.execute('insert into events values (?, ?, ?, ?, ?)', row)
database.commit()";
    let database = home.state().join("runspan.db");
    let edited = Command::new("/usr/bin/python3")
        .args(["-c", edit])
        .arg(database)
        .arg(minutes.to_string())
        .output()
        .unwrap();
    assert!(edited.status.success(), "{}", String::from_utf8_lossy(&edited.stderr));
}

#[test]
fn figures_that_arrived_are_not_counted_again_when_others_did_not() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let buildspec = "version: 0.2\nphases: { build: { commands: [sleep 4] } }\n";
    let told = |run: Run| run.env("RUNSPAN_METRICS_NAMESPACE", "Longer");
    aws.faults("longer", json!([{ "action": "*", "answer": 503 }]));
    told(run(&home, aws, "longer", buildspec, &json!({ "name": "longer" }))).finish().exited(0);
    // More figures than one request takes.
    lengthen(&home, 120);
    let deliver = |code: i32| {
        told(aws.serve(home.runspan(["builds", "deliver"]), "longer")).finish().exited(code);
    };
    aws.faults("longer", json!([{ "action": "monitoring:PutMetricData", "answer": 503, "after": 1 }]));
    deliver(3);
    aws.faults("longer", json!([]));
    deliver(0);
    let project = json!([{ "Name": "ProjectName", "Value": "longer" }]);
    let count = |metric: &str| {
        let found = aws.boto3("cloudwatch", "get_metric_statistics", json!({
            "Namespace": "Longer", "MetricName": metric, "Period": 864_000, "Dimensions": project,
            "Statistics": ["SampleCount"], "StartTime": "2020-01-01T00:00:00Z", "EndTime": "2120-01-01T00:00:00Z",
        }));
        found["Datapoints"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|point| point["SampleCount"].as_f64())
            .sum::<f64>()
    };
    assert_eq!(["Builds", "SucceededBuilds", "Duration"].map(count), [1.0, 1.0, 1.0]);
    assert!(count("MemoryUtilized") > 119.0, "{}", count("MemoryUtilized"));
}

#[test]
fn what_a_long_build_used_is_told_minute_by_minute() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let buildspec =
        "version: 0.2\nphases: { build: { commands: ['head -c 20000000 /dev/zero | gzip > a', sleep 4] } }\n";
    let project = json!({ "name": "long", "environment": { "computeType": "BUILD_GENERAL1_SMALL" } });
    aws.faults("long", json!([{ "action": "*", "answer": 503 }]));
    let told = |run: Run| run.env("RUNSPAN_METRICS_NAMESPACE", "Long");
    told(run(&home, aws, "long", buildspec, &project)).finish().exited(0);
    // Nobody wants to wait a minute.
    lengthen(&home, 0);
    aws.faults("long", json!([]));
    aws.serve(told(home.runspan(["builds", "deliver"])), "long").finish().exited(0);

    let record = home.record(&home.build()).0;
    let dimension = |name: &str, value: &str| json!({ "Name": name, "Value": value });
    let project = dimension("ProjectName", "long");
    let of_build =
        json!(
            [dimension("BuildId", record["id"].as_str().unwrap()), dimension("BuildNumber", "1"), project,]
        );
    for (metric, unit) in [
        ("CPUUtilized", "None"),
        ("CPUUtilizedPercent", "Percent"),
        ("MemoryUtilized", "Megabytes"),
        ("MemoryUtilizedPercent", "Percent"),
        ("StorageReadBytes", "Bytes/Second"),
        ("StorageWriteBytes", "Bytes/Second"),
    ] {
        for dimensions in [&of_build, &json!([project])] {
            let found = aws.boto3("cloudwatch", "get_metric_statistics", json!({
                "Namespace": "Long", "MetricName": metric, "Period": 86400, "Unit": unit, "Dimensions": dimensions,
                "Statistics": ["SampleCount", "Average", "Maximum", "Minimum"],
                "StartTime": "2020-01-01T00:00:00Z", "EndTime": "2120-01-01T00:00:00Z",
            }));
            let found = &found["Datapoints"][0];
            let number = |statistic: &str| found[statistic].as_f64().unwrap_or(-1.0);
            assert!(number("SampleCount") >= 3.0, "{metric} {dimensions}: {found}");
            assert!(number("Minimum") >= 0.0 && number("Maximum") >= number("Average"), "{metric}: {found}");
            let is_used = number("Maximum") > 0.0;
            assert!(is_used || metric.starts_with("Storage"), "{metric}: {found}");
        }
    }
    // Of the account there are only counts and durations.
    let listed =
        aws.boto3("cloudwatch", "list_metrics", json!({ "Namespace": "Long", "MetricName": "CPUUtilized" }));
    assert_eq!(listed["Metrics"].as_array().unwrap().len(), 2, "{listed}");
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
