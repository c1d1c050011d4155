//! `@actions/cache`.

use std::fs;

use serde_json::Value;

use crate::bench::{Bench, branch, grant, pull_request, toolkit};

/// Whether a cache came back, and whole.
async fn restored(bench: &Bench, token: &str, keys: &[&str], expected: &[u8]) -> Option<String> {
    let _gone = fs::remove_dir_all(bench.path("deps"));
    let arguments = [&["restore", "deps"], keys].concat();
    let result = bench.call(token, &arguments).await;
    assert!(result.get("error").is_none(), "{result}");
    let key = result["ok"].as_str()?;
    assert_eq!(fs::read(bench.path("deps/lib.bin")).unwrap(), expected);
    Some(key.to_owned())
}

fn is_saved(result: &Value) -> bool {
    result["ok"].as_i64().unwrap_or_else(|| panic!("{result}")) >= 0
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_are_found_by_key_prefix_and_scope_and_written_into_the_own_scope_only() {
    if toolkit().is_none() {
        return;
    }
    let bench = Bench::new().await;
    let main = bench.admit(branch("main", "main"));
    let pull = bench.admit(pull_request("pull"));
    let bytes = bench.file("deps/lib.bin", 5 << 20);
    assert_eq!(restored(&bench, &main, &["cargo-1", "cargo-"], &bytes).await, None);
    bench.file("deps/lib.bin", 5 << 20);
    assert!(is_saved(&bench.call(&main, &["save", "cargo-1", "deps"]).await));
    assert!(!is_saved(&bench.call(&main, &["save", "cargo-1", "deps"]).await), "it does not change");
    assert_eq!(restored(&bench, &main, &["cargo-1"], &bytes).await.as_deref(), Some("cargo-1"));
    assert_eq!(
        restored(&bench, &main, &["cargo-2", "npm-", "cargo-"], &bytes).await.as_deref(),
        Some("cargo-1")
    );
    assert_eq!(restored(&bench, &main, &["npm-1"], &bytes).await, None);

    // A pull request takes from its base, and what it keeps is its own.
    assert_eq!(restored(&bench, &pull, &["cargo-9", "cargo-"], &bytes).await.as_deref(), Some("cargo-1"));
    assert!(is_saved(&bench.call(&pull, &["save", "cargo-9", "deps"]).await));
    assert_eq!(restored(&bench, &pull, &["cargo-9"], &bytes).await.as_deref(), Some("cargo-9"));
    assert_eq!(restored(&bench, &main, &["cargo-9", "cargo-"], &bytes).await.as_deref(), Some("cargo-1"));

    // Another repository, and a job that may write nothing.
    let mut foreign = branch("foreign", "main");
    foreign.repository = "octo/other".into();
    let foreign = bench.admit(foreign);
    assert_eq!(restored(&bench, &foreign, &["cargo-1"], &bytes).await, None);
    bench.file("deps/lib.bin", 5 << 20);
    let mut scopes = branch("x", "main").scopes;
    scopes[0].can_write = false;
    let reader = bench.admit(grant("reader", scopes));
    let denied = bench.call(&reader, &["save", "cargo-3", "deps"]).await;
    assert!(
        !is_saved(&denied) && denied["said"].as_str().unwrap().contains("cache write denied"),
        "{denied}"
    );
    assert_eq!(restored(&bench, &reader, &["cargo-3", "cargo-"], &bytes).await.as_deref(), Some("cargo-1"));

    // When the job is over its token is nothing.
    bench.storage.dismiss("main");
    assert_eq!(restored(&bench, &main, &["cargo-1"], &bytes).await, None);
    bench.file("deps/lib.bin", 100);
    assert!(!is_saved(&bench.call(&main, &["save", "cargo-4", "deps"]).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_calls_of_other_servers_are_answered_too() {
    if toolkit().is_none() {
        return;
    }
    let bench = Bench::new().await;
    let server = "https://github.example.com";
    let token = bench.admit(branch("job", "main"));
    // More than one piece of 32 MiB.
    let bytes = bench.file("deps/lib.bin", 40 << 20);
    let saved = bench.call_at(server, &token, &["save", "key-1", "deps"]).await;
    assert!(is_saved(&saved), "{saved}");
    fs::remove_dir_all(bench.path("deps")).unwrap();
    let result = bench.call_at(server, &token, &["restore", "deps", "key-2", "key-"]).await;
    assert_eq!(result["ok"], "key-1", "{result}");
    assert_eq!(fs::read(bench.path("deps/lib.bin")).unwrap(), bytes);
}
