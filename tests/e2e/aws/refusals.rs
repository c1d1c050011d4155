//! What AWS says no to, and what is said of it: the right that is missing, the key, the clock, the bucket.

use serde_json::{Value, json};

use super::{bucket, keys, run};
use crate::harness::{Aws, BUSYBOX, Home, Run, aws, home};

const ONE_FILE: &str =
    "version: 0.2\nphases: { build: { commands: [echo hello > a] } }\nartifacts: { files: [a] }\n";

fn one_file(name: &str, bucket: &str) -> Value {
    json!({ "name": name, "artifacts": { "type": "S3", "location": bucket, "name": "/" } })
}

/// A run that tells everybody there is.
fn telling(run: Run) -> Run {
    run.env("RUNSPAN_METRICS_NAMESPACE", "Refused")
        .env("RUNSPAN_EVENT_BUS", "default")
        .env("RUNSPAN_SNS_TOPIC", "arn:aws:sns:us-east-1:123456789012:refused")
}

/// How a phase of a build on these variables ended, when this was answered.
fn fails(home: &Home, aws: &Aws, key: &str, env: &str, faults: Value) -> (String, String) {
    aws.faults(key, faults);
    let buildspec =
        format!("version: 0.2\nenv: {{ {env} }}\nphases: {{ build: {{ commands: [echo ran] }} }}\n");
    run(home, aws, key, &buildspec, &json!({})).finish().exited(1).did_not_print("ran\n");
    home.record(&home.build()).context("DOWNLOAD_SOURCE")
}

#[test]
fn every_denied_call_names_the_right_that_is_missing() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    aws.boto3("sns", "create_topic", json!({ "Name": "refused" }));
    bucket(aws, "refused-logs");
    let denied = |actions: &[&str]| -> Value {
        actions.iter().map(|action| json!({ "action": action, "answer": "deny" })).collect()
    };
    // Nobody is told, and the build's result stands.
    let sinks =
        ["logs:PutLogEvents", "s3:PutObject", "monitoring:PutMetricData", "events:PutEvents", "sns:Publish"];
    aws.faults("refused", denied(&sinks));
    let project = json!({ "name": "refused", "logsConfig": {
        "cloudWatchLogs": { "status": "ENABLED" }, "s3Logs": { "status": "ENABLED", "location": "refused-logs/all" },
    } });
    let buildspec = "version: 0.2\nphases: { build: { commands: [echo ran] } }\n";
    telling(run(&home, aws, "refused", buildspec, &project)).finish().exited(0);
    let build = home.build();
    let shown = home
        .runspan(["builds", "show", &build])
        .finish()
        .exited(0)
        .printed(&["SUCCEEDED", "UNDELIVERED"])
        .text();
    for action in sinks {
        let action = action.replace("monitoring:", "cloudwatch:");
        assert!(shown.contains(&format!("the credentials need {action}")), "{action} in {shown}");
    }
    // With the rights there, everybody hears of it, of each thing once.
    aws.faults("refused", json!([]));
    for _ in 0..2 {
        aws.serve(telling(home.runspan(["builds", "deliver"])), "refused").finish().exited(0);
    }
    assert_eq!(aws.all_messages("/aws/codebuild/refused", &build), home.log(&build));
    assert_eq!(keys(aws, "refused-logs"), [format!("all/{build}.gz")]);

    let (code, message) = fails(
        &home,
        aws,
        "refused",
        "secrets-manager: { A: no/right }",
        denied(&["secretsmanager:GetSecretValue"]),
    );
    assert_eq!(code, "Secrets Manager Error");
    assert!(message.contains("the credentials need secretsmanager:GetSecretValue"), "{message}");
    aws.faults("refused", denied(&["s3:GetObject"]));
    let source = home.run_on(BUSYBOX).args(["--source", "s3://refused-logs/source.zip"]);
    aws.serve(source, "refused").finish().exited(1);
    let (code, message) = home.record(&home.build()).context("DOWNLOAD_SOURCE");
    assert_eq!(code, "CLIENT_ERROR");
    assert!(
        message.starts_with("AccessDenied: Access Denied")
            && message.contains("status code: 403, request id: ")
            && message.contains("the credentials need s3:GetObject")
            && message
                .ends_with("for primary source and source version arn:aws:s3:::refused-logs/source.zip"),
        "{message}"
    );
}

#[test]
fn a_key_that_refuses_is_named_and_not_the_call() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "key-artifacts");
    let upload = |code: &str, message: &str| {
        let refuses = json!([{ "action": "s3:PutObject", "answer": 403, "code": code, "message": message }]);
        aws.faults("key", refuses);
        let mut project = one_file("key", "key-artifacts");
        project["encryptionKey"] = "arn:aws:kms:us-east-1:123456789012:key/other".into();
        run(&home, aws, "key", ONE_FILE, &project).finish().exited(1);
        let (code, message) = home.record(&home.build()).context("UPLOAD_ARTIFACTS");
        assert_eq!(code, "CLIENT_ERROR");
        message
    };
    let denied = "User: arn:aws:iam::123456789012:user/me is not authorized to perform: kms:GenerateDataKey on resource: \
                  arn:aws:kms:us-east-1:123456789012:key/other because no identity-based policy allows it";
    let message = upload("AccessDenied", denied);
    assert!(message.contains(denied) && !message.contains("need s3:PutObject"), "{message}");
    let message =
        upload("KMS.DisabledException", "arn:aws:kms:us-east-1:123456789012:key/other is disabled.");
    assert!(message.contains("see that this key is there") && message.contains("and enabled"), "{message}");
    // Nor does it wait for what will not come.
    assert!(!home.runspan(["builds", "show", &home.build()]).finish().text().contains("UNDELIVERED"));

    let refuses = |action: &str, message: &str| json!([{ "action": action, "answer": 400, "code": "AccessDeniedException", "message": message }]);
    let of_ssm = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you \
                  are not allowed to access.";
    let (code, message) =
        fails(&home, aws, "key", "parameter-store: { A: /of/key }", refuses("ssm:GetParameters", of_ssm));
    assert_eq!(code, "Decrypted Variables Error");
    assert!(message.contains("the credentials need kms:Decrypt on the key"), "{message}");
    let of_secrets = refuses("secretsmanager:GetSecretValue", "Access to KMS is not allowed");
    let (code, message) = fails(&home, aws, "key", "secrets-manager: { A: of/key }", of_secrets);
    assert_eq!(code, "Secrets Manager Error");
    assert!(message.contains("the credentials need kms:Decrypt on the key"), "{message}");
}

#[test]
fn a_clock_that_is_off_costs_nothing_but_time() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "late-clock");
    let mut project = one_file("clock", "late-clock");
    project["logsConfig"] = json!({ "cloudWatchLogs": { "status": "ENABLED" } });
    let ahead =
        |seconds: i64| aws.faults("clock", json!([{ "action": "*", "answer": "clock", "seconds": seconds }]));
    let remedy = "AWS's clock and this machine's differ by minutes; set this one";
    // Ten minutes are too many for all but S3, which bears fifteen.
    ahead(600);
    let ran = run(&home, aws, "clock", ONE_FILE, &project).finish().exited(0);
    assert!(ran.errors().contains(remedy) && !ran.errors().contains("waits to be uploaded"), "{ran}");
    let first = home.build();
    assert_eq!(keys(aws, "late-clock"), ["a"]);
    let (code, message) = fails(
        &home,
        aws,
        "clock",
        "parameter-store: { A: /first/password }",
        json!([{ "action": "*", "answer": "clock", "seconds": 600 }]),
    );
    assert_eq!(code, "Decrypted Variables Error");
    assert!(message.contains(remedy), "{message}");
    ahead(-1200);
    let ran = run(&home, aws, "clock", ONE_FILE, &project).finish().exited(0);
    assert!(ran.errors().contains("waits to be uploaded: RequestTimeTooSkewed"), "{ran}");
    let second = home.build();
    // Set right, it brings everything.
    ahead(0);
    aws.serve(home.runspan(["builds", "deliver"]), "clock").finish().exited(0);
    for build in [first, second] {
        assert_eq!(aws.all_messages("/aws/codebuild/clock", &build), home.log(&build));
        home.runspan(["builds", "show", &build]).finish().exited(0).did_not_print("UNDELIVERED");
    }
}

#[test]
fn a_bucket_that_is_not_there_fails_the_build_and_keeps_the_log() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let mut project = one_file("nowhere", "no-such-bucket-4712");
    project["logsConfig"] = json!({ "s3Logs": { "status": "ENABLED", "location": "no-such-bucket-4712" } });
    let ran = run(&home, aws, "nowhere", ONE_FILE, &project).finish().exited(1);
    let (code, message) = home.record(&home.build()).context("UPLOAD_ARTIFACTS");
    assert_eq!(code, "CLIENT_ERROR");
    assert!(message.starts_with("Failed to upload artifacts: NoSuchBucket: "), "{message}");
    assert!(message.contains("arn:aws:s3:::no-such-bucket-4712/a"), "{message}");
    assert!(ran.errors().contains("s3-logs"), "{ran}");
    // Somebody makes it.
    bucket(aws, "no-such-bucket-4712");
    aws.serve(home.runspan(["builds", "deliver"]), "nowhere").finish().exited(0);
    assert_eq!(keys(aws, "no-such-bucket-4712"), [format!("{}.gz", home.build())]);
    home.assert_nothing_left();
}

#[test]
fn values_are_asked_for_again_and_else_it_is_said_why_there_are_none() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let parameter =
        json!({ "Name": "/again/value", "Type": "String", "Value": "here-at-last", "Overwrite": true });
    aws.boto3("ssm", "put_parameter", parameter);
    aws.boto3(
        "secretsmanager",
        "create_secret",
        json!({ "Name": "again/value", "SecretString": "and-this" }),
    );
    let buildspec = "
version: 0.2
env: { parameter-store: { A: /again/value }, secrets-manager: { B: again/value } }
phases: { build: { commands: ['test $A$B = here-at-lastand-this'] } }
";
    for answer in [json!("throttle"), json!(500), json!("drop"), json!("lose")] {
        let once = |action: &str| json!({ "action": action, "answer": answer, "times": 1 });
        aws.faults("again", json!([once("ssm:GetParameters"), once("secretsmanager:GetSecretValue")]));
        run(&home, aws, "again", buildspec, &json!({})).finish().exited(0);
    }
    for (answer, said) in [
        (json!("expired"), "the credentials have expired; sign in again or renew AWS_SESSION_TOKEN"),
        (json!("throttle"), "ThrottlingException: Rate exceeded"),
        (json!("drop"), "ssm:GetParameters is not answered: "),
        (json!(503), "ServiceUnavailable: "),
    ] {
        let always = json!([{ "action": "ssm:GetParameters", "answer": answer }]);
        let (code, message) = fails(&home, aws, "again", "parameter-store: { A: /again/value }", always);
        assert_eq!(code, "Decrypted Variables Error");
        assert!(message.contains(said), "{said} in {message}");
    }
    let elsewhere = json!([]);
    let (_, message) = fails(&home, aws, "again", "secrets-manager: { A: of/another/region }", elsewhere);
    assert!(message.contains("it was looked for in us-east-1; AWS_REGION names another region"), "{message}");
    // Nobody to be.
    let nobody = run(&home, aws, "", buildspec, &json!({})).env("AWS_SECRET_ACCESS_KEY", "");
    let nobody = nobody.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    nobody.finish().exited(1);
    let (_, message) = home.record(&home.build()).context("DOWNLOAD_SOURCE");
    assert!(message.contains("no AWS credentials for ") && message.contains("set AWS_PROFILE"), "{message}");
    home.assert_nothing_left();
}
