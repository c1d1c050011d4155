//! Sources in a bucket.

use std::fs;

use serde_json::json;

use super::bucket;
use crate::harness::{BUSYBOX, aws, home};

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
