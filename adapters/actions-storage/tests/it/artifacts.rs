//! `@actions/artifact`.

use std::fs;

use crate::bench::{Bench, branch, token_of, toolkit};

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_go_in_are_listed_come_out_and_go() {
    if toolkit().is_none() {
        return;
    }
    let bench = Bench::new().await;
    let token = bench.admit(branch("job-1", "main"));
    let large = bench.file("in/large.bin", 20 << 20);
    let small = bench.file("in/sub/small.txt", 100);
    let root = bench.path("in");
    let root = root.to_str().unwrap();
    let arguments = ["upload", "build output", root, "large.bin", "sub/small.txt"];
    let made = bench.call(&token, &arguments).await;
    let id = made["ok"]["id"].as_u64().unwrap_or_else(|| panic!("{made}"));
    assert!(made["said"].as_str().unwrap().matches("Uploaded bytes").count() > 2, "{made}");

    // Another job of the same run has it.
    let other = bench.admit(branch("job-2", "main"));
    let listed = bench.call(&other, &["list"]).await;
    let artifact = &listed["ok"]["artifacts"][0];
    assert_eq!(
        (artifact["name"].as_str(), artifact["id"].as_u64()),
        (Some("build output"), Some(id)),
        "{listed}"
    );
    let digest = made["ok"]["digest"].as_str().unwrap();
    assert_eq!(artifact["digest"].as_str(), Some(format!("sha256:{digest}").as_str()));
    assert_eq!(artifact["size"], made["ok"]["size"]);
    let out = bench.path("out");
    let downloaded = bench.call(&other, &["download", &id.to_string(), out.to_str().unwrap()]).await;
    assert!(downloaded["ok"].is_object(), "{downloaded}");
    assert_eq!(fs::read(out.join("large.bin")).unwrap(), large);
    assert_eq!(fs::read(out.join("sub/small.txt")).unwrap(), small);

    let again = bench.call(&other, &arguments).await;
    assert!(again["error"].as_str().unwrap().contains("409"), "{again}");
    let raw = bench.call(&token, &["uploadRaw", root, "large.bin"]).await;
    let raw_id = raw["ok"]["id"].as_u64().unwrap_or_else(|| panic!("{raw}")).to_string();
    let raw_out = bench.path("raw");
    bench.call(&other, &["download", &raw_id, raw_out.to_str().unwrap()]).await;
    assert_eq!(fs::read(raw_out.join("large.bin")).unwrap(), large);

    // Another run does not.
    let mut elsewhere = branch("job-3", "main");
    elsewhere.run = "22222222-2222-2222-2222-222222222222".into();
    elsewhere.token = token_of(&elsewhere.run, "job-3");
    let elsewhere = bench.admit(elsewhere);
    let none = bench.call(&elsewhere, &["list"]).await;
    assert_eq!(none["ok"]["artifacts"].as_array().unwrap().len(), 0, "{none}");

    assert_eq!(bench.call(&other, &["remove", "build output"]).await["ok"]["id"].as_u64(), Some(id));
    let missing = bench.call(&token, &["get", "build output"]).await;
    assert!(missing["error"].as_str().unwrap().contains("not found"), "{missing}");
    // What goes takes its bytes with it.
    bench.call(&token, &["remove", "large.bin"]).await;
    assert_eq!(fs::read_dir(bench.path("storage/blobs")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(bench.path("storage/uploads")).unwrap().count(), 0);
}
