//! Caches in a bucket.

use std::fs;

use serde_json::json;

use super::{bucket, keys, run};
use crate::harness::{aws, home};

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
    let make = "mkdir -p kept && touch -d @1577836800 kept && echo 1 > kept/a && touch -d @1577836800 kept/a";
    build(&buildspec("", make)).printed(&["Cache miss", "Cache saved: 1 file(s)"]);
    build(&buildspec("", "cat kept/a")).printed(&[
        "Cache hit",
        "1\n",
        "Cache is unchanged; nothing is uploaded",
    ]);
    // The copy on this machine will do, and what nobody touched is not packed: two looks at what the bucket has.
    let unchanged = "Cache is unchanged; nothing is uploaded";
    let requests = |command: &str, shown: &str| {
        let before = aws.requests("cache");
        build(&buildspec("", command)).printed(&["Cache hit", shown, unchanged]);
        aws.requests("cache") - before
    };
    assert_eq!(requests("cat kept/a", "1\n"), 2);
    assert_eq!(requests("touch -d @1577836800 kept/a && cat kept/a", "1\n"), 2, "touched, and the same");
    fs::remove_dir_all(home.state().join("cache")).unwrap();
    assert_eq!(requests("cat kept/a", "1\n"), 3, "without a copy it comes from the bucket");
    // Another machine's build puts another one there.
    let Some(other) = crate::harness::home() else { return };
    let change = buildspec("", "echo 2 >> kept/a");
    run(&other, aws, "cache", &change, &project).finish().exited(0).printed(&["Cache hit", "Cache saved"]);
    assert_eq!(requests("cat kept/a", "1\n2\n"), 3);
    assert_eq!(requests("cat kept/a", "1\n2\n"), 2);
    // Content of the same size, under the same time, in the same file.
    let sly = "sed -i s/1/3/ kept/a && touch -d @1577836800 kept/a";
    build(&buildspec("", sly)).printed(&["Cache saved"]);
    assert_eq!(requests("cat kept/a", "3\n2\n"), 2);
    build(&buildspec(", key: a/b-1", make)).printed(&["Cache miss", "Cache saved for key a/b-1"]);
    build(&buildspec(", key: a/b-1", "cat kept/a"))
        .printed(&["Cache hit for key a/b-1:", "1\n"])
        .did_not_print("Cache saved");
    let more = buildspec(", key: a/b-2, fallback-keys: [no, a/b]", "cat kept/a");
    build(&more).printed(&["Cache hit for key a/b-1 (fallback)", "1\n", "Cache saved for key a/b-2"]);
    // Another project sees it by a namespace that both name; what only restores leaves nothing.
    let of = |name: &str, namespace: &str, buildspec: &str| {
        let cache = json!({ "type": "S3", "location": "all-caches/shared", "cacheNamespace": namespace });
        let project = json!({ "name": name, "cache": cache });
        run(&home, aws, "cache", buildspec, &project).finish().exited(0)
    };
    let keyed =
        |action: &str| buildspec(&format!(", key: c-1{action}"), "ls kept || mkdir kept && echo 1 > kept/a");
    of("one", "ours", &keyed(", action: restore")).printed(&["Cache miss"]).did_not_print("Cache saved");
    of("one", "ours", &keyed(", action: save"))
        .printed(&["Cache saved for key c-1"])
        .did_not_print("Cache miss");
    of("other", "ours", &keyed("")).printed(&["Cache hit for key c-1"]);
    of("other", "theirs", &keyed("")).printed(&["Cache miss"]);
    let shared: Vec<_> =
        keys(aws, "all-caches").into_iter().filter(|key| key.starts_with("shared/")).collect();
    assert!(shared.len() == 2 && shared[0].starts_with("shared/ours/"), "{shared:?}");
    let found: Vec<_> =
        keys(aws, "all-caches").into_iter().filter(|key| !key.starts_with("shared/")).collect();
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
fn what_a_pull_request_caches_is_found_by_itself_alone() {
    let (Some(home), Some(aws)) = (home(), aws()) else { return };
    bucket(aws, "pull-caches");
    let buildspec = |cache: &str, command: &str| {
        format!(
            "version: 0.2\nphases: {{ build: {{ commands: ['mkdir -p kept && {command}'] }} }}\ncache: {{ paths: ['kept/**/*']{cache} }}\n"
        )
    };
    for settings in [json!({ "type": "S3", "location": "pull-caches" }), json!({})] {
        let project = json!({ "name": "pulled", "cache": settings });
        let build = |version: &str, cache: &str, command: &str| {
            let run = run(&home, aws, "pulls", &buildspec(cache, command), &project);
            run.args(["--source-version", version]).finish().exited(0)
        };
        let show = "cat kept/a || echo nothing";
        build("main", "", "echo of main > kept/a").printed(&["Cache miss", "Cache saved"]);
        build("pr/7", "", &format!("{show}; echo of seven > kept/a")).printed(&["of main\n", "Cache saved"]);
        build("main", "", show).printed(&["of main\n"]);
        build("pr/8", "", show).printed(&["of main\n"]);
        build("refs/pull/7/head", "", show).printed(&["of seven\n"]);
        // So with a key, whoever comes first.
        let key = ", key: one, fallback-keys: [o]";
        build("pr/7", key, "echo evil > kept/a").printed(&["Cache miss", "Cache saved for key one"]);
        build("main", key, &format!("{show}; echo good > kept/a"))
            .printed(&["nothing\n", "Cache saved for key one"]);
        build("pr/7", key, show).printed(&["Cache hit for key one", "evil\n"]);
        build("pr/8", key, show).printed(&["Cache hit for key one", "good\n"]).did_not_print("Cache saved");
    }
    let found = keys(aws, "pull-caches");
    assert_eq!(found.iter().filter(|key| key.contains("-pr-7/")).count(), 2, "{found:?}");
    assert!(!found.iter().any(|key| key.contains("-pr-8/one")), "{found:?}");
}
