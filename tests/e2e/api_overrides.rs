//! What `StartBuild` overrides has its effect on AWS, which moto stands for.

use serde_json::{Value, json};

use super::api_bench::{Bench, bench};

/// boto3's client of a service that stands for AWS itself.
fn boto3(bench: &Bench, moto: &Value, service: &str, operation: &str, parameters: Value) -> Value {
    let ask =
        json!({ "endpoint": moto, "service": service, "operation": operation, "parameters": parameters });
    let answer = bench.ask("call", ask);
    assert!(answer["error"].is_null(), "{service} {operation}: {answer}");
    answer
}

#[test]
fn overrides_say_where_everything_comes_from_and_goes() {
    let Some(bench) = bench() else { return };
    let moto = bench.ask("moto", json!({}))["endpoint"].clone();
    let aws = |service: &str, operation: &str, parameters: Value| {
        boto3(&bench, &moto, service, operation, parameters)
    };
    for bucket in ["over-made", "over-kept", "over-logs"] {
        aws("s3", "create_bucket", json!({ "Bucket": bucket }));
    }
    aws("ssm", "put_parameter", json!({ "Name": "/over/value", "Type": "String", "Value": "of-the-store" }));
    let endpoint = moto.as_str().unwrap();
    let variables =
        [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_ENDPOINT_URL", endpoint)];
    let _serving = bench.serve_with(&[], &variables);
    bench.project("over", "version: 0.2\nphases: { build: { commands: [exit 1] } }\n");
    let buildspec = "
version: 0.2
phases:
  build:
    commands: ['test $A = of-the-store', 'mkdir -p kept && echo kept > kept/a', 'echo $CODEBUILD_KMS_KEY_ID > made']
artifacts:
  files: [made]
  name: named-$(echo 1).zip
  secondary-artifacts: { second: { files: [made] } }
cache: { paths: ['kept/**/*'], key: one }
";
    let s3 = |more: Value| {
        let mut settings = json!({ "type": "S3", "location": "over-made" });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    };
    let started = bench.call("start_build", json!({
        "projectName": "over",
        "buildspecOverride": buildspec,
        "artifactsOverride": s3(json!({ "packaging": "ZIP", "path": "out", "overrideArtifactName": true })),
        "secondaryArtifactsOverride": [s3(json!({ "artifactIdentifier": "second", "encryptionDisabled": true }))],
        "cacheOverride": { "type": "S3", "location": "over-kept", "cacheNamespace": "ours" },
        "encryptionKeyOverride": "alias/over",
        "logsConfigOverride": {
            "cloudWatchLogs": { "status": "ENABLED", "groupName": "over-group", "streamName": "all" },
            "s3Logs": { "status": "ENABLED", "location": "over-logs/below" },
        },
        "environmentVariablesOverride": [{ "name": "A", "value": "/over/value", "type": "PARAMETER_STORE" }],
    }));
    let build = bench.ended(started["build"]["id"].as_str().unwrap());
    let log = bench.log(&build);
    assert_eq!(build["buildStatus"], "SUCCEEDED", "{build}\n{log}");
    assert_eq!(build["encryptionKey"], "alias/over");
    let made = &build["artifacts"];
    assert_eq!(made["location"], "arn:aws:s3:::over-made/out/named-1.zip");
    assert_eq!((&made["overrideArtifactName"], &made["encryptionDisabled"]), (&json!(true), &json!(false)));
    assert_eq!(build["secondaryArtifacts"][0]["encryptionDisabled"], true);
    assert_eq!(build["logs"]["s3Logs"]["location"], "over-logs/below");

    let keys = |bucket: &str| -> Vec<String> {
        let found = aws("s3", "list_objects_v2", json!({ "Bucket": bucket }));
        let keys = found["Contents"].as_array().into_iter().flatten();
        keys.filter_map(|object| object["Key"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(keys("over-made"), ["out/named-1.zip", "over/made"]);
    let head = |key: &str| aws("s3", "head_object", json!({ "Bucket": "over-made", "Key": key }));
    assert_eq!(head("out/named-1.zip")["SSEKMSKeyId"], "alias/over");
    assert_eq!(head("out/named-1.zip")["Metadata"]["codebuild-buildarn"], build["arn"]);
    assert!(head("over/made")["SSEKMSKeyId"].is_null());
    let kept = keys("over-kept");
    assert!(kept.len() == 1 && kept[0].starts_with("ours/") && kept[0].ends_with("/one"), "{kept:?}");
    let uuid = build["id"].as_str().unwrap().split(':').nth(1).unwrap();
    // The log is delivered after the build's end.
    bench.until("the log is in its bucket", || {
        Some(()).filter(|()| keys("over-logs") == [format!("below/{uuid}.gz")])
    });
    let stream = json!({ "logGroupName": "over-group", "logStreamName": format!("all/{uuid}"), "startFromHead": true });
    let events = aws("logs", "get_log_events", stream);
    let events = events["events"].as_array().unwrap();
    let text: String = events.iter().filter_map(|event| event["message"].as_str()).collect();
    assert_eq!(text, log);
}
