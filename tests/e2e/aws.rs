//! What a build takes from AWS and leaves there, seen through boto3.

mod artifacts;
mod batches;
mod caches;
mod delivery;
mod parts;
mod refusals;
mod sinks;
mod sources;
mod variables;

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
    aws.shell(&format!("sh {}", example("aws/prepare.sh").display()));
    let build = || {
        let ran = home.run(example("aws"), BUSYBOX).arg("--project").arg(example("aws/project.json"));
        aws.serve(ran, "example").finish().exited(0)
    };
    build().printed(&["fetching the till\n", "The password has 13 characters and is ***.\n"]);
    build().did_not_print("fetching the till\n");
    let found = aws.shell("aws s3 ls --recursive s3://shop-artifacts");
    let log = "aws logs filter-log-events --log-group-name /aws/codebuild/shop --query 'events[].[message]' --output text";
    assert_eq!(aws.shell(log).matches("The password has 13 characters and is ***.").count(), 2);
    for build in home.builds() {
        for key in [format!("releases/{build}/shop.zip"), format!("logs/{build}.gz")] {
            assert!(found.contains(&format!(" {key}\n")), "{key} in {found}");
        }
        assert_eq!(aws.all_messages("/aws/codebuild/shop", &build), home.log(&build));
    }
    assert!(found.contains(" caches/shop/"), "{found}");
    home.assert_nothing_left();
}
