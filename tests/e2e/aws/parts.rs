//! Uploads in parts that are cut.

use std::fs;

use fake_chaos::{Chaos, Fate};
use serde_json::{Value, json};

use super::{bucket, keys, run};
use crate::harness::{Aws, BUILD_LIMIT, BUSYBOX, Finished, aws, home, wait_until};

/// Eight parts and a half.
const BIG: &str = "
version: 0.2
phases: { build: { commands: ['head -c 71303168 /dev/urandom > big && sha256sum big'] } }
artifacts: { files: [big] }
";
const PARTS: [u64; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];

fn project(bucket: &str) -> Value {
    json!({ "name": bucket, "artifacts": { "type": "S3", "location": bucket, "name": "/" } })
}

/// Uploads in parts that are open.
fn open_uploads(aws: &Aws, bucket: &str) -> usize {
    let listed = aws.boto3("s3", "list_multipart_uploads", json!({ "Bucket": bucket }));
    listed["Uploads"].as_array().map_or(0, Vec::len)
}

/// The one object is what the build wrote, each of its parts came whole once, and nothing else is there.
fn arrived_once(aws: &Aws, bucket: &str, ran: Finished) {
    assert_eq!((keys(aws, bucket), open_uploads(aws, bucket)), (vec!["big".to_owned()], 0), "{ran}");
    assert_eq!(aws.parts(&format!("/{bucket}/big")), PARTS);
    let stored = aws.boto3("s3", "get_object", json!({ "Bucket": bucket, "Key": "big" }));
    ran.printed(&[stored["Body"]["sha256"].as_str().unwrap()]);
}

#[test]
fn connections_that_break_within_parts_cost_no_part_that_arrived() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "torn-artifacts");
    let chaos = Chaos::before(aws.address(), 0).unwrap();
    // All that are first open, and some of those that come in their place.
    chaos.cuts(10, Fate::AskingCut(5 << 20));
    let source = home.source("app", [("buildspec.yml", BIG)]);
    let file = home.path("project.json");
    fs::write(&file, project("torn-artifacts").to_string()).unwrap();
    let run = home.run(source, BUSYBOX).arg("--project").arg(file);
    let ran = Aws::serve_behind(&chaos, run, "torn").finish().exited(0);
    assert!(chaos.broken() >= 8, "{} connections broke", chaos.broken());
    // On a machine that is slow as well it may still wait.
    Aws::serve_behind(&chaos, home.runspan(["builds", "deliver"]), "torn").finish().exited(0);
    arrived_once(aws, "torn-artifacts", ran);
    home.assert_nothing_left();
}

#[test]
fn a_supervisor_killed_within_parts_is_followed_by_one_that_sends_the_others() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "killed-artifacts");
    // The upload is begun, a part arrives, and all that are on their way then stay there.
    aws.faults("killed", json!([{ "action": "s3:PutObject", "answer": "hold", "after": 2 }]));
    let running = run(&home, aws, "killed", BIG, &project("killed-artifacts")).start();
    wait_until("every other part is held", BUILD_LIMIT, || (aws.requests("killed") == 10).then_some(()));
    running.kill();
    assert_eq!((aws.parts("/killed-artifacts/big").len(), open_uploads(aws, "killed-artifacts")), (1, 1));
    aws.faults("killed", json!([]));
    let before = aws.requests("killed");
    let attached = aws.serve(home.runspan(["builds", "attach", &home.build()]), "killed").finish().exited(0);
    assert_eq!(aws.requests("killed") - before, 8 + 1, "the parts that lacked, and the end");
    arrived_once(aws, "killed-artifacts", attached);
    home.assert_nothing_left();
}

#[test]
fn an_upload_in_parts_goes_on_where_it_was_cut() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "cut-artifacts");
    let project = project("cut-artifacts");
    // The upload is begun, and 2 parts arrive.
    let cut = |after: u64| json!([{ "action": "s3:PutObject", "answer": 503, "after": after }]);
    aws.faults("cut", cut(3));
    let ran = run(&home, aws, "cut", BIG, &project).finish().exited(0);
    assert!(ran.errors().contains("is not delivered"), "{ran}");
    assert_eq!((keys(aws, "cut-artifacts"), open_uploads(aws, "cut-artifacts")), (Vec::new(), 1));
    // Another process sends some more, and a third the rest, and nothing twice.
    aws.faults("cut", cut(3));
    aws.serve(home.runspan(["builds", "deliver"]), "cut").finish().exited(3);
    aws.faults("cut", json!([]));
    let before = aws.requests("cut");
    aws.serve(home.runspan(["builds", "deliver"]), "cut").finish().exited(0);
    assert_eq!(aws.requests("cut") - before, 9 - 2 - 3 + 1, "the parts that lacked, and the end");
    arrived_once(aws, "cut-artifacts", ran);

    // What waits for a file that is gone is taken back.
    aws.faults("cut", cut(3));
    run(&home, aws, "cut", BIG, &project).finish().exited(0);
    assert_eq!(open_uploads(aws, "cut-artifacts"), 1);
    fs::remove_dir_all(home.state().join("builds").join(home.build()).join("outgoing")).unwrap();
    aws.faults("cut", json!([]));
    aws.serve(home.runspan(["builds", "deliver"]), "cut").finish().exited(3);
    assert_eq!(open_uploads(aws, "cut-artifacts"), 0);
}
