//! What could not be delivered, and what is said of it.

use std::fs;

use serde_json::{Value, json};

use super::{bucket, keys, run};
use crate::harness::{Run, aws, home};

#[test]
fn what_cannot_be_delivered_waits_and_is_delivered_once() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "down-artifacts");
    let buildspec =
        "version: 0.2\nphases: { build: { commands: [echo hello > a] } }\nartifacts: { files: [a] }\n";
    let project = json!({
        "name": "down",
        "artifacts": { "type": "S3", "location": "down-artifacts", "packaging": "ZIP", "name": "a.zip" },
        "logsConfig": { "cloudWatchLogs": { "status": "ENABLED", "groupName": "down", "streamName": "all" } },
    });
    aws.faults("down", json!([{ "action": "*", "answer": 503 }]));
    let ran = run(&home, aws, "down", buildspec, &project).finish().exited(0);
    assert!(ran.errors().contains("is not delivered"), "{ran}");
    let build = home.build();
    home.runspan(["builds", "show", &build]).finish().exited(0).printed(&[
        "SUCCEEDED",
        "UNDELIVERED",
        "cloudwatch-logs",
        "s3-artifact arn:aws:s3:::down-artifacts/a.zip",
    ]);
    assert_eq!(keys(aws, "down-artifacts"), Vec::<String>::new());

    aws.faults("down", json!([]));
    for _ in 0..2 {
        aws.serve(home.runspan(["builds", "deliver"]), "down").finish().exited(0);
    }
    assert_eq!(keys(aws, "down-artifacts"), ["a.zip"]);
    assert_eq!(aws.all_messages("down", &format!("all/{build}")), home.log(&build));
    home.runspan(["builds", "show", &build]).finish().exited(0).did_not_print("UNDELIVERED");
}

#[test]
fn what_got_through_before_a_failure_is_not_sent_again() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let url = aws.boto3("sqs", "create_queue", json!({ "QueueName": "parts" }))["QueueUrl"].clone();
    let queue = "arn:aws:sqs:us-east-1:123456789012:parts";
    let topic = aws.boto3("sns", "create_topic", json!({ "Name": "parts" }))["TopicArn"].clone();
    let raw = json!({ "RawMessageDelivery": "true" });
    let subscription = json!({ "TopicArn": topic, "Protocol": "sqs", "Endpoint": queue, "Attributes": raw });
    aws.boto3("sns", "subscribe", subscription);
    let pattern = json!({ "detail": { "project-name": ["parts"] } }).to_string();
    aws.boto3("events", "put_rule", json!({ "Name": "parts", "EventPattern": pattern }));
    aws.boto3("events", "put_targets", json!({ "Rule": "parts", "Targets": [{ "Id": "1", "Arn": queue }] }));
    let told = |run: Run| {
        run.env("RUNSPAN_EVENT_BUS", "default")
            .env("RUNSPAN_SNS_TOPIC", topic.as_str().unwrap())
            .env("RUNSPAN_SNS_EVENTS", "in-progress,phase-success,state-succeeded")
    };
    aws.faults("parts", json!([{ "action": "*", "answer": 503 }]));
    let buildspec = "version: 0.2\nphases: {}\n";
    told(run(&home, aws, "parts", buildspec, &json!({ "name": "parts" }))).finish().exited(0);
    // Twelve changes are two requests to the bus and twelve to the topic. The bus takes all but one of the first request
    // and nothing of the second; the topic stops in the middle.
    let faults = json!([
        { "action": "events:PutEvents", "answer": "some", "times": 1 },
        { "action": "events:PutEvents", "answer": 503 },
        { "action": "sns:Publish", "answer": 503, "after": 5 },
    ]);
    let deliver = |code: i32| {
        told(aws.serve(home.runspan(["builds", "deliver"]), "parts")).finish().exited(code);
    };
    aws.faults("parts", faults);
    deliver(3);
    aws.faults("parts", json!([{ "action": "events:PutEvents", "answer": 503 }]));
    deliver(3);
    aws.faults("parts", json!([]));
    deliver(0);
    let mut heard: Vec<String> = aws
        .queued("us-east-1", url.as_str().unwrap())
        .iter()
        .map(|event| event["detail"].to_string())
        .collect();
    heard.sort();
    assert_eq!(heard.len(), 24, "{heard:#?}");
    heard.dedup();
    assert_eq!(heard.len(), 12, "each came by the bus and by the topic");
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "wrong-artifacts");
    let buildspec =
        "version: 0.2\nphases: { build: { commands: [echo hello > a] } }\nartifacts: { files: [a] }\n";
    let project =
        json!({ "name": "wrong", "artifacts": { "type": "S3", "location": "wrong-artifacts", "name": "a" } });
    let warns = |faults: Value| {
        aws.faults("wrong", faults);
        let ran = run(&home, aws, "wrong", buildspec, &project);
        // No other credentials are found, whoever runs the tests.
        ran.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    };
    let refuses =
        |code: &str| json!([{ "action": "s3:PutObject", "answer": 403, "code": code, "message": "No." }]);
    for (code, remedy) in [
        ("ExpiredToken", "the credentials have expired; sign in again or renew AWS_SESSION_TOKEN"),
        ("InvalidAccessKeyId", "AWS does not take these credentials"),
        ("RequestTimeTooSkewed", "AWS's clock and this machine's differ by minutes"),
    ] {
        let ran = warns(refuses(code)).finish().exited(0);
        let said = ran.errors();
        assert!(said.contains("waits to be uploaded") && said.contains(remedy), "{code}: {said}");
    }
    let without = |run: Run| run.env("AWS_ACCESS_KEY_ID", "").env("AWS_SECRET_ACCESS_KEY", "");
    let said = without(warns(json!([]))).finish().exited(0).errors();
    assert!(
        said.contains("no AWS credentials for s3:PutObject") && said.contains("set AWS_PROFILE"),
        "{said}"
    );
    // What nobody but the project's owner can change fails the build, as with CodeBuild.
    warns(
        json!([{ "action": "s3:PutObject", "answer": 301, "code": "PermanentRedirect", "message": "No." }]),
    )
    .finish()
    .exited(1);
    let message = home.record(&home.build()).context("UPLOAD_ARTIFACTS").1;
    assert!(message.contains("the bucket is in another region; set AWS_REGION to it"), "{message}");

    // Later, with everything in order, each of the builds that succeeded delivers.
    assert_eq!(keys(aws, "wrong-artifacts"), Vec::<String>::new());
    aws.faults("wrong", json!([]));
    aws.serve(home.runspan(["builds", "deliver"]), "wrong").finish().exited(0);
    assert_eq!(keys(aws, "wrong-artifacts"), ["a/a"]);
}

#[test]
fn files_of_a_folder_that_have_arrived_are_not_sent_again() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "half-artifacts");
    let enabled = json!({ "Status": "Enabled" });
    let versions = json!({ "Bucket": "half-artifacts", "VersioningConfiguration": enabled });
    aws.boto3("s3", "put_bucket_versioning", versions);
    let buildspec = "
version: 0.2
phases: { build: { commands: ['for n in $(seq 100 159); do echo file $n > $n; done'] } }
artifacts: { files: ['1*'] }
";
    let project =
        json!({ "name": "half", "artifacts": { "type": "S3", "location": "half-artifacts", "name": "/" } });
    // S3 goes after 20 files, and again after 10 more.
    let goes = |after: u64| json!([{ "action": "s3:PutObject", "answer": 503, "after": after }]);
    aws.faults("half", goes(20));
    let ran = run(&home, aws, "half", buildspec, &project).finish().exited(0);
    assert!(ran.errors().contains("waits to be uploaded"), "{ran}");
    let waiting = || fs::read_dir(home.state().join("builds").join(home.build()).join("outgoing/primary"));
    assert_eq!((keys(aws, "half-artifacts").len(), waiting().unwrap().count()), (20, 40));
    aws.faults("half", goes(10));
    aws.serve(home.runspan(["builds", "deliver"]), "half").finish().exited(3);
    assert_eq!((keys(aws, "half-artifacts").len(), waiting().unwrap().count()), (30, 30));
    aws.faults("half", json!([]));
    aws.serve(home.runspan(["builds", "deliver"]), "half").finish().exited(0);
    let there = aws.boto3("s3", "list_object_versions", json!({ "Bucket": "half-artifacts" }));
    assert_eq!(there["Versions"].as_array().unwrap().len(), 60, "each once");
    assert_eq!(waiting().unwrap().count(), 0);
    home.runspan(["builds", "show", &home.build()]).finish().exited(0).did_not_print("UNDELIVERED");
}
