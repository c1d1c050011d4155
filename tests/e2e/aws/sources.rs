//! Sources in a bucket.

use std::fs;
use std::io::Read;
use std::process::Command;

use fake_chaos::{Chaos, Fate};
use serde_json::json;

use super::bucket;
use crate::harness::{Aws, BUSYBOX, aws, home};

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
        aws.serve(home.run_on(BUSYBOX).args(["--source", &url]), "source").finish()
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
fn a_source_is_a_folder_of_a_bucket_or_one_version_of_a_file() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "many-sources");
    let put = |key: &str, body: &str| {
        aws.boto3("s3", "put_object", json!({ "Bucket": "many-sources", "Key": key, "Body": body }))
    };
    put(
        "tree/buildspec.yml",
        "version: 0.2\nphases: { build: { commands: [find . -type f | sort, cat deep/er/text] } }\n",
    );
    put("tree/deep/er/text", "from the folder\n");
    put("tree/deep/", "");
    put("tree2/other", "of another folder");
    let run = |project: &serde_json::Value| {
        fs::write(home.path("project.json"), project.to_string()).unwrap();
        let run = home.run_on(BUSYBOX).arg("--project").arg(home.path("project.json"));
        aws.serve(run, "folders").finish()
    };
    let folder = json!({ "name": "tree", "source": { "type": "S3", "location": "many-sources/tree/" } });
    let files = "./buildspec.yml\n./deep/er/text\n";
    run(&folder).exited(0).printed(&[files, "from the folder\n"]);

    // Files with versions, beside each other, and a buildspec that is an object.
    let enabled = json!({ "Status": "Enabled" });
    aws.boto3(
        "s3",
        "put_bucket_versioning",
        json!({ "Bucket": "many-sources", "VersioningConfiguration": enabled }),
    );
    let zip = |text: &str| {
        let body = json!({ "zip": { "text": text } });
        let put = json!({ "Bucket": "many-sources", "Key": "app.zip", "Body": body });
        aws.boto3("s3", "put_object", put)["VersionId"].clone()
    };
    let old = zip("old text\n");
    zip("new text\n");
    put(
        "spec.yml",
        "version: 0.2\nphases: { build: { commands: ['cat text $CODEBUILD_SRC_DIR_beside/text', 'echo v=$CODEBUILD_SOURCE_VERSION', 'echo u=$CODEBUILD_SOURCE_REPO_URL'] } }\n",
    );
    let object = |more: serde_json::Value| {
        let mut source = json!({ "type": "S3", "location": "many-sources/app.zip" });
        source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        source
    };
    let project = json!({
        "name": "versions",
        "source": object(json!({ "buildspec": "arn:aws:s3:::many-sources/spec.yml" })),
        "sourceVersion": old,
        "secondarySources": [object(json!({ "sourceIdentifier": "beside" }))],
    });
    let shown = ["old text\nnew text\n", "v=UUID\n", "u=s3://many-sources/app.zip\n"];
    run(&project).exited(0).printed(&shown);
    let record = home.record(&home.build()).0;
    assert_eq!(record["sourceVersion"], old);
    assert!(record["resolvedSourceVersion"].is_null(), "{record}");

    for (location, version, said) in [
        ("many-sources/none/", json!(null), "NoSuchKey: "),
        ("many-sources/tree/", old, "only a zip file has versions"),
    ] {
        let source = json!({ "type": "S3", "location": location });
        run(&json!({ "name": "tree", "source": source, "sourceVersion": version })).exited(1);
        let (code, message) = home.record(&home.build()).context("DOWNLOAD_SOURCE");
        assert!(code == "CLIENT_ERROR" && message.starts_with(said), "{code} {message}");
        assert!(
            message.ends_with(&format!("for primary source and source version arn:aws:s3:::{location}")),
            "{message}"
        );
    }
}

#[test]
fn a_source_that_is_cut_on_its_way_is_gone_on_with() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "cut-sources");
    let buildspec = "version: 0.2\nphases: { build: { commands: [sha256sum big] } }\n";
    let made = home.source("made", [("buildspec.yml", buildspec)]);
    // Noise, which no zip file makes smaller.
    let mut noise = vec![0; 12 << 20];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut noise).unwrap();
    fs::write(made.join("big"), &noise).unwrap();
    let sum = Command::new("sha256sum").arg(made.join("big")).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap().split(' ').next().unwrap().to_owned();
    let zip = home.path("app.zip");
    let zipped = "import shutil, sys; shutil.make_archive(sys.argv[1][:-4], 'zip', sys.argv[2])";
    let made = Command::new("/usr/bin/python3").args(["-c", zipped]).args([&zip, &made]).status().unwrap();
    assert!(made.success());
    aws.shell(&format!("aws s3 cp {} s3://cut-sources/app.zip", zip.display()));

    let chaos = Chaos::before(aws.address(), 0).unwrap();
    let fetch = || {
        let run = home.run_on(BUSYBOX).args(["--source", "s3://cut-sources/app.zip"]);
        Aws::serve_behind(&chaos, run, "cut-source").finish()
    };
    // Each brings four of twelve mebibytes.
    chaos.cuts(2, Fate::AnswerCut(4 << 20));
    fetch().exited(0).printed(&[&sum]);
    assert_eq!(chaos.broken(), 2);
    // One that never comes whole says so.
    chaos.cuts(1000, Fate::AnswerCut(800));
    fetch().exited(1);
    let (code, message) = home.record(&home.build()).context("DOWNLOAD_SOURCE");
    assert_eq!(code, "CLIENT_ERROR");
    assert!(message.contains("arn:aws:s3:::cut-sources/app.zip did not arrive whole: "), "{message}");
}
