//! What a build takes from AWS and leaves there, seen through boto3.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Aws, BUSYBOX, Home, Run, aws, example, home};

/// A source directory and a project beside it, to be run with moto for AWS.
fn run(home: &Home, aws: &Aws, key: &str, buildspec: &str, project: &Value) -> Run {
    let source = home.source("app", [("buildspec.yml", buildspec)]);
    let file = home.path("project.json");
    fs::write(&file, project.to_string()).unwrap();
    aws.serve(home.run(source, BUSYBOX).arg("--project").arg(file), key)
}

fn bucket(aws: &Aws, name: &str) {
    aws.boto3("s3", "create_bucket", json!({ "Bucket": name }));
}

/// Keys of a bucket.
fn keys(aws: &Aws, bucket: &str) -> Vec<String> {
    let listed = aws.boto3("s3", "list_objects_v2", json!({ "Bucket": bucket }));
    let objects = listed["Contents"].as_array().cloned().unwrap_or_default();
    objects.iter().filter_map(|object| object["Key"].as_str()).map(str::to_owned).collect()
}

#[test]
fn parameters_and_secrets_are_variables_and_are_masked() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let parameter = |name: &str, kind: &str, value: &str| {
        let new = json!({ "Name": name, "Type": kind, "Value": value, "Overwrite": true });
        aws.boto3("ssm", "put_parameter", new);
    };
    parameter("/first/password", "SecureString", "correct horse");
    parameter("/first/version", "String", "old-value");
    parameter("/first/version", "String", "new-value");
    let secret = |value: &str| json!({ "Name": "first/api", "SecretString": value });
    let made =
        aws.boto3("secretsmanager", "create_secret", secret(r#"{"token":"before-token","port":8080}"#));
    let arn = made["ARN"].as_str().unwrap();
    let old = made["VersionId"].as_str().unwrap();
    let next = json!({ "SecretId": arn, "SecretString": r#"{"token":"after-token","port":9090}"# });
    let next = aws.boto3("secretsmanager", "put_secret_value", next);
    let new = next["VersionId"].as_str().unwrap();
    let buildspec = format!(
        r#"
version: 0.2
env:
  parameter-store: {{ PASSWORD: /first/password, OLD: "/first/version:1" }}
  secrets-manager:
    WHOLE: first/api
    KEY: first/api:token
    STAGE: first/api:token:AWSPREVIOUS
    ID: "first/api:token::{old}"
    ARN: "{arn}:port"
    ARN_ID: "{arn}:::{new}"
  exported-variables: [KEY, PLAIN]
phases:
  build:
    commands:
      - test "$PASSWORD" = "correct horse" && test "$OLD" = old-value && test "$VERSION" = new-value
      - test "$KEY" = after-token && test "$STAGE" = before-token && test "$ID" = before-token
      - test "$ARN" = 9090 && test "$ARN_ID" = "$WHOLE" && test "$PROJECT" = after-token
      - echo "$PASSWORD" and "$KEY" and $(echo -n "$STAGE" | base64)
      - PLAIN=seen
"#
    );
    let project = json!({ "environment": { "environmentVariables": [
        { "name": "VERSION", "value": "/first/version", "type": "PARAMETER_STORE" },
        { "name": "PROJECT", "value": "first/api:token", "type": "SECRETS_MANAGER" },
    ] } });
    let ran = run(&home, aws, "secrets", &buildspec, &project).finish().exited(0);
    ran.printed(&["Decrypting parameter store environment variables", "*** and *** and ***"])
        .did_not_print("correct horse")
        .did_not_print("after-token");
    let record = home.record(&home.build()).0;
    let exported = json!([{ "name": "PLAIN", "value": "seen" }]);
    assert_eq!(record["exportedEnvironmentVariables"], exported, "secrets are not exported");
    assert!(!record.to_string().contains("after-token"));
    home.assert_nothing_left();
}

#[test]
fn a_value_that_cannot_be_had_fails_as_codebuild_does() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    let env = |env: &str| {
        format!("version: 0.2\nenv: {{ {env} }}\nphases: {{ build: {{ commands: [echo ran] }} }}\n")
    };
    let fails = |key: &str, buildspec: &str| {
        run(&home, aws, key, buildspec, &json!({})).finish().exited(1).did_not_print("ran\n");
        home.record(&home.build()).context("DOWNLOAD_SOURCE")
    };
    let (code, message) = fails("secrets", &env("parameter-store: { A: /no/such }"));
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("Decrypted Variables Error", "parameter does not exist: /no/such")
    );
    let (code, message) = fails("secrets", &env("secrets-manager: { A: no/such }"));
    assert_eq!(code, "Secrets Manager Error");
    assert!(
        message.starts_with("ResourceNotFoundException: Secrets Manager can't find the specified secret."),
        "{message}"
    );
    aws.faults("denied", json!([{ "action": "ssm:GetParameters", "answer": "deny" }]));
    let (code, message) = fails("denied", &env("parameter-store: { A: /first/password }"));
    assert_eq!(code, "Decrypted Variables Error");
    assert!(message.contains("AccessDeniedException") && message.contains("ssm:GetParameters"), "{message}");
}

#[test]
fn artifacts_go_where_the_project_says() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "first-artifacts");
    let buildspec = r#"
version: 0.2
phases:
  build:
    commands:
      - mkdir -p out/sub && echo one > out/a.txt && echo two > out/sub/b.txt
      - dd if=/dev/urandom of=big bs=1048576 count=20 2>/dev/null && sha256sum big
artifacts:
  files: ["**/*"]
  base-directory: out
  name: app-$(echo 7).zip
  secondary-artifacts:
    loose: { files: ["**/*"], base-directory: out }
    big: { files: [big] }
"#;
    let place = |more: Value| {
        let mut settings = json!({ "type": "S3", "location": "first-artifacts" });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    };
    let project = json!({
        "name": "shop",
        "encryptionKey": "alias/shop",
        "artifacts": place(json!({
            "path": "releases", "namespaceType": "BUILD_ID", "packaging": "ZIP", "overrideArtifactName": true
        })),
        "secondaryArtifacts": [
            place(json!({ "artifactIdentifier": "loose", "encryptionDisabled": true, "bucketOwnerAccess": "FULL" })),
            place(json!({ "artifactIdentifier": "big", "name": "/", "path": "raw" })),
        ],
    });
    let ran = run(&home, aws, "artifacts", buildspec, &project).finish().exited(0);
    let build = home.build();
    let zip = format!("releases/{build}/app-7.zip");
    assert_eq!(keys(aws, "first-artifacts"), ["raw/big", &zip, "shop/a.txt", "shop/sub/b.txt"]);

    let head = |key: &str| aws.boto3("s3", "head_object", json!({ "Bucket": "first-artifacts", "Key": key }));
    let record = home.record(&build).0;
    let kept = head(&zip);
    assert_eq!(
        (&kept["ServerSideEncryption"], &kept["SSEKMSKeyId"]),
        (&"aws:kms".into(), &"alias/shop".into())
    );
    assert_eq!(kept["Metadata"]["codebuild-buildarn"], record["arn"]);
    assert_eq!(kept["Metadata"]["codebuild-content-sha256"], record["artifacts"]["sha256sum"]);
    assert_eq!(kept["Metadata"]["codebuild-content-md5"], record["artifacts"]["md5sum"]);
    assert_eq!(record["artifacts"]["location"], format!("arn:aws:s3:::first-artifacts/{zip}"));
    assert!(record["artifacts"]["link"].as_str().is_some_and(|link| link.contains(&zip)), "{record}");
    assert!(head("shop/a.txt")["SSEKMSKeyId"].is_null(), "encryption is off there");

    // In three parts, and whole.
    let big = head("raw/big");
    assert!(big["ETag"].as_str().is_some_and(|tag| tag.ends_with("-3\"")), "{big}");
    assert_eq!(big["ContentLength"], 20 << 20);
    let log = ran.text();
    let sum = log.lines().find_map(|line| line.strip_suffix("  big")).unwrap();
    let stored = aws.boto3("s3", "get_object", json!({ "Bucket": "first-artifacts", "Key": "raw/big" }));
    assert_eq!(stored["Body"]["sha256"], sum);
    assert!(!home.state().join("builds").join(&build).join("outgoing/primary").exists());

    // A directory on the command line beats the project's bucket.
    let local = home.path("local");
    run(&home, aws, "artifacts", buildspec, &project).arg("--artifacts").arg(&local).finish().exited(0);
    assert_eq!(keys(aws, "first-artifacts").len(), 4);
    assert!(local.join("shop/a.txt").exists());

    // What S3 refuses for good fails the build as CodeBuild does, with the right that is missing.
    aws.faults("denied-put", json!([{ "action": "s3:PutObject", "answer": "deny" }]));
    run(&home, aws, "denied-put", buildspec, &project).finish().exited(1);
    let (code, message) = home.record(&home.build()).context("UPLOAD_ARTIFACTS");
    assert_eq!(code, "CLIENT_ERROR");
    assert!(message.starts_with("Failed to upload artifacts: AccessDenied"), "{message}");
    assert!(
        message.contains("s3:PutObject") && message.contains("arn:aws:s3:::first-artifacts/"),
        "{message}"
    );
    home.assert_nothing_left();
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
fn raw_files_of_reports_go_where_their_group_says() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "raw-reports");
    let buildspec = r#"
version: 0.2
phases:
  build:
    commands:
      - mkdir -p out/deep
      - echo '<testsuite name="s" tests="1"><testcase name="t" classname="c"/></testsuite>' | tee out/a.xml > out/deep/b.xml
reports:
  loose: { files: ["**/*.xml"], base-directory: out }
  packed: { files: ["**/*.xml"], base-directory: out, discard-paths: yes }
  here: { files: ["**/*.xml"], base-directory: out }
  denied: { files: ["**/*.xml"], base-directory: out }
"#;
    let group = |name: &str, bucket: &str, packaging: &str| {
        let place =
            json!({ "bucket": bucket, "path": "raw", "packaging": packaging, "encryptionKey": "alias/r" });
        json!({ "name": name, "exportConfig": { "exportConfigType": "S3", "s3Destination": place } })
    };
    let project = json!({ "name": "tested", "reportGroups": [
        group("loose", "raw-reports", "NONE"), group("tested-packed", "raw-reports", "ZIP"),
        group("denied", "no-such-bucket-4711", "NONE"),
    ] });
    let ran = run(&home, aws, "reports", buildspec, &project).finish().exited(0);
    assert!(ran.errors().contains("the raw files of report tested-denied are not exported"), "{ran}");
    let reports = home.record(&home.build()).0["reports"].clone();
    let id = |index: usize| reports[index]["arn"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let packed = format!("raw/tested-packed/{}.zip", id(1));
    let expected = [
        format!("raw/tested-loose/{}/a.xml", id(0)),
        format!("raw/tested-loose/{}/deep/b.xml", id(0)),
        packed.clone(),
    ];
    assert_eq!(keys(aws, "raw-reports"), expected);
    let stored = aws.boto3("s3", "get_object", json!({ "Bucket": "raw-reports", "Key": packed }));
    let names: Vec<_> = stored["Body"]["zip"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["a.xml", "b.xml"]);
    assert_eq!(stored["SSEKMSKeyId"], "alias/r");
    assert_eq!(reports[0]["exportConfig"]["s3Destination"]["bucket"], "raw-reports");
    assert_eq!(reports[2]["exportConfig"]["exportConfigType"], "NO_EXPORT");
    assert!(reports.as_array().unwrap().iter().all(|report| report["status"] == "SUCCEEDED"), "{reports}");
}

#[test]
fn a_combined_artifact_waits_for_its_bucket() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "late-artifacts");
    let buildspec = r#"
version: 0.2
batch: { build-list: [{ identifier: one }, { identifier: two }] }
phases: { build: { commands: ["echo $CODEBUILD_BATCH_BUILD_IDENTIFIER > $CODEBUILD_BATCH_BUILD_IDENTIFIER"] } }
artifacts: { files: [one, two] }
"#;
    let project = json!({
        "name": "late",
        "artifacts": { "type": "S3", "location": "late-artifacts", "packaging": "ZIP", "namespaceType": "BUILD_ID", "name": "all.zip" },
        "buildBatchConfig": { "combineArtifacts": true },
    });
    aws.faults("late", json!([{ "action": "*", "answer": 503 }]));
    let ran = run(&home, aws, "late", buildspec, &project).finish().exited(0);
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
fn an_upload_in_parts_goes_on_where_it_was_cut() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "cut-artifacts");
    let buildspec = "
version: 0.2
phases: { build: { commands: ['head -c 167772160 /dev/urandom > big && sha256sum big'] } }
artifacts: { files: [big] }
";
    let project =
        json!({ "name": "cut", "artifacts": { "type": "S3", "location": "cut-artifacts", "name": "/" } });
    let uploads = || {
        let listed = aws.boto3("s3", "list_multipart_uploads", json!({ "Bucket": "cut-artifacts" }));
        listed["Uploads"].as_array().map_or(0, Vec::len)
    };
    // 20 parts: the upload is begun, and 8 parts arrive.
    let cut = |after: u64| json!([{ "action": "s3:PutObject", "answer": 503, "after": after }]);
    aws.faults("cut", cut(9));
    let ran = run(&home, aws, "cut", buildspec, &project).finish().exited(0);
    assert!(ran.errors().contains("is not delivered"), "{ran}");
    assert_eq!((keys(aws, "cut-artifacts"), uploads()), (Vec::new(), 1));
    // Another process sends some more, and a third the rest, and nothing twice.
    aws.faults("cut", cut(6));
    aws.serve(home.runspan(["builds", "deliver"]), "cut").finish().exited(3);
    aws.faults("cut", json!([]));
    let before = aws.requests("cut");
    aws.serve(home.runspan(["builds", "deliver"]), "cut").finish().exited(0);
    assert_eq!(aws.requests("cut") - before, 20 - 8 - 6 + 1, "the parts that lacked, and the end");
    assert_eq!((keys(aws, "cut-artifacts"), uploads()), (vec!["big".to_owned()], 0));
    let stored = aws.boto3("s3", "get_object", json!({ "Bucket": "cut-artifacts", "Key": "big" }));
    let sum = stored["Body"]["sha256"].as_str().unwrap().to_owned();
    ran.printed(&[&sum]);

    // What waits for a file that is gone is taken back.
    aws.faults("cut", cut(9));
    run(&home, aws, "cut", buildspec, &project).finish().exited(0);
    assert_eq!(uploads(), 1);
    fs::remove_dir_all(home.state().join("builds").join(home.build()).join("outgoing")).unwrap();
    aws.faults("cut", json!([]));
    aws.serve(home.runspan(["builds", "deliver"]), "cut").finish().exited(3);
    assert_eq!(uploads(), 0);
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
fn a_cache_in_a_bucket_is_found_by_the_next_build() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "all-caches");
    let buildspec = |cache: &str, command: &str| {
        format!(
            "version: 0.2\nphases: {{ build: {{ commands: ['{command}'] }} }}\ncache: {{ paths: ['kept/**/*']{cache} }}\n"
        )
    };
    let project = json!({ "name": "cached", "cache": { "type": "S3", "location": "all-caches/prefix" } });
    let build = |buildspec: &str| run(&home, aws, "cache", buildspec, &project).finish().exited(0);
    let make = "mkdir -p kept && touch -d 2020-01-01 kept && echo 1 > kept/a && touch -d 2020-01-01 kept/a";
    build(&buildspec("", make)).printed(&["Cache miss", "Cache saved: 1 file(s)"]);
    build(&buildspec("", "cat kept/a")).printed(&[
        "Cache hit",
        "1\n",
        "Cache is unchanged; nothing is uploaded",
    ]);
    build(&buildspec(", key: a/b-1", make)).printed(&["Cache miss", "Cache saved for key a/b-1"]);
    build(&buildspec(", key: a/b-1", "cat kept/a"))
        .printed(&["Cache hit for key a/b-1:", "1\n"])
        .did_not_print("Cache saved");
    let more = buildspec(", key: a/b-2, fallback-keys: [no, a/b]", "cat kept/a");
    build(&more).printed(&["Cache hit for key a/b-1 (fallback)", "1\n", "Cache saved for key a/b-2"]);
    let found = keys(aws, "all-caches");
    let ends: Vec<_> = found.iter().filter_map(|key| key.rsplit('/').next()).collect();
    assert_eq!(ends, ["a%2Fb-1", "a%2Fb-2", "latest"]);
    assert!(found.iter().all(|key| key.starts_with("prefix/cached/")), "{found:?}");
    // A cache never fails a build.
    aws.faults("no-cache", json!([{ "action": "*", "answer": "deny" }]));
    run(&home, aws, "no-cache", &buildspec("", "echo ran"), &project).finish().exited(0).printed(&[
        "Unable to download cache: AccessDenied",
        "ran\n",
        "Unable to upload cache",
    ]);
}

#[test]
fn a_source_is_a_zip_file_in_a_bucket() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "all-sources");
    let buildspec = "version: 0.2\nphases: { build: { commands: [cat text] } }\n";
    let made = home.source("made", [("buildspec.yml", buildspec), ("text", "from the bucket\n")]);
    let project = json!({ "name": "made", "artifacts": { "type": "S3", "location": "all-sources", "packaging": "ZIP", "name": "app.zip" } });
    // A build puts it there.
    let packs = "version: 0.2\nphases: { build: { commands: [true] } }\nartifacts: { files: ['**/*'], base-directory: . }\n";
    fs::write(home.path("packs.yml"), packs).unwrap();
    fs::write(home.path("made.json"), project.to_string()).unwrap();
    let pack = home.run(&made, BUSYBOX).arg("--buildspec").arg(home.path("packs.yml"));
    aws.serve(pack.arg("--project").arg(home.path("made.json")), "source").finish().exited(0);

    let fetch = |key: &str| {
        let url = format!("s3://all-sources/{key}");
        aws.serve(home.runspan(["run", "--image", BUSYBOX, "--source", &url]), "source").finish()
    };
    fetch("app.zip").exited(0).printed(&["from the bucket\n"]);
    let record = home.record(&home.build()).0;
    assert_eq!(
        (&record["source"]["type"], &record["source"]["location"]),
        (&"S3".into(), &"all-sources/app.zip".into())
    );
    fetch("no.zip").exited(1);
    let (code, message) = home.record(&home.build()).context("DOWNLOAD_SOURCE");
    assert_eq!(code, "CLIENT_ERROR");
    let expected = "NoSuchKey: The specified key does not exist. status code: 404 \
                    for primary source and source version arn:aws:s3:::all-sources/no.zip";
    assert_eq!(message, expected);
}

#[test]
fn a_build_without_aws_asks_nobody() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    aws.faults("nobody", json!([{ "action": "*", "answer": 503 }]));
    let buildspec =
        "version: 0.2\nphases: { build: { commands: [echo ran > a] } }\nartifacts: { files: [a] }\n";
    // Not even a credential is looked for: this profile does not exist.
    run(&home, aws, "nobody", buildspec, &json!({})).env("AWS_PROFILE", "no-such").finish().exited(0);
    assert_eq!(aws.requests("nobody"), 0);
}

#[test]
fn the_example_runs_as_documented() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    // As `prepare.sh` does.
    bucket(aws, "shop-artifacts");
    let password = json!({ "Name": "/shop/password", "Type": "SecureString", "Value": "correct horse", "Overwrite": true });
    aws.boto3("ssm", "put_parameter", password);
    let build = || {
        let ran = home.run(example("aws"), BUSYBOX).arg("--project").arg(example("aws/project.json"));
        aws.serve(ran, "example").finish().exited(0)
    };
    build().printed(&["fetching the till\n", "The password has 13 characters and is ***.\n"]);
    build().did_not_print("fetching the till\n");
    let found = keys(aws, "shop-artifacts");
    for build in home.builds() {
        for key in [format!("releases/{build}/shop.zip"), format!("logs/{build}.gz")] {
            assert!(found.contains(&key), "{key} in {found:?}");
        }
        assert_eq!(aws.all_messages("/aws/codebuild/shop", &build), home.log(&build));
    }
    assert!(found.iter().any(|key| key.starts_with("caches/shop/")), "{found:?}");
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
