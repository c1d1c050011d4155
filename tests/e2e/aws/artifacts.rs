//! Artifacts and raw files of reports in a bucket.

use serde_json::{Value, json};

use super::{bucket, keys, run};
use crate::harness::{aws, home};

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
    let logs = |bucket: &str| json!({ "s3Logs": { "status": "ENABLED", "location": bucket, "encryptionDisabled": true } });
    bucket(aws, "first-plain-logs");
    let project = json!({
        "name": "shop",
        "encryptionKey": "alias/shop",
        "logsConfig": logs("arn:aws:s3:::first-plain-logs/below/"),
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
    assert_ne!(head("shop/a.txt")["ServerSideEncryption"], "aws:kms", "encryption is off there");
    assert_eq!(head("raw/big")["SSEKMSKeyId"], "alias/shop");
    assert_eq!(aws.acl("/first-artifacts/shop/a.txt"), "bucket-owner-full-control");
    assert!(aws.acl(&format!("/first-artifacts/{zip}")).is_null());
    let log = json!({ "Bucket": "first-plain-logs", "Key": format!("below/{build}.gz") });
    assert_ne!(aws.boto3("s3", "head_object", log)["ServerSideEncryption"], "aws:kms", "nor for the log");

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
