//! The house's boundaries, executed: who may depend on whom.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::process::Command;

/// Each crate of ours, with those of ours it may use. An arrow that is not here needs a reason.
const ARROWS: &[(&str, &[&str])] = &[
    ("fake-chaos", &[]),
    ("fake-github", &[]),
    (
        "runspan",
        &[
            "runspan-action-source",
            "runspan-actions",
            "runspan-actions-storage",
            "runspan-agent-protocol",
            "runspan-aws",
            "runspan-buildspec",
            "runspan-codebuild-api",
            "runspan-codepipeline",
            "runspan-docker",
            "runspan-engine",
            "runspan-github",
            "runspan-jenkinsfile",
            "runspan-network",
            "runspan-pipelines",
            "runspan-sandbox",
        ],
    ),
    ("runspan-action-source", &["runspan-agent-protocol", "runspan-engine"]),
    ("runspan-actions", &["runspan-buildspec", "runspan-expressions"]),
    ("runspan-actions-storage", &["runspan-agent-protocol"]),
    ("runspan-agent", &["runspan-agent-protocol", "runspan-archive"]),
    ("runspan-agent-protocol", &[]),
    ("runspan-archive", &[]),
    ("runspan-aws", &["runspan-agent-protocol", "runspan-engine"]),
    ("runspan-buildspec", &[]),
    ("runspan-codebuild-api", &["runspan-agent-protocol", "runspan-engine"]),
    // A host that is reached with an account of AWS.
    ("runspan-codepipeline", &["runspan-agent-protocol", "runspan-aws", "runspan-engine"]),
    ("runspan-docker", &["runspan-agent-protocol", "runspan-engine"]),
    (
        "runspan-engine",
        &["runspan-agent-protocol", "runspan-archive", "runspan-buildspec", "runspan-expressions"],
    ),
    ("runspan-expressions", &[]),
    ("runspan-github", &["runspan-agent-protocol", "runspan-engine"]),
    ("runspan-jenkinsfile", &["runspan-buildspec"]),
    ("runspan-network", &["runspan-engine"]),
    ("runspan-pipelines", &["runspan-buildspec"]),
    ("runspan-sandbox", &["runspan-agent-protocol", "runspan-archive", "runspan-engine"]),
];

/// Crates of others that only one room may use.
const ROOMS: &[(&str, &str)] = &[
    ("aws-config", "runspan-aws"),
    ("bollard", "runspan-docker"),
    ("netlink-bindings", "runspan-network"),
    ("netlink-socket2", "runspan-network"),
    ("rusqlite", "runspan-engine"),
    ("annotate-snippets", "runspan-buildspec"),
];

fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let used = package["dependencies"].as_array().unwrap().iter();
            let normal = used.filter(|dependency| dependency["kind"] != "dev");
            (text(&package["name"]), normal.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}

#[test]
fn every_arrow_is_allowed() {
    let found = dependencies();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let ours: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(ours, allowed.keys().copied().collect::<Vec<_>>(), "a crate that the table does not know");
    for (name, used) in &found {
        for other in used.iter().filter(|other| found.contains_key(*other)) {
            assert!(
                allowed[name.as_str()].contains(&other.as_str()),
                "{name} -> {other} is not an arrow of this house"
            );
        }
    }
}

#[test]
fn what_belongs_in_one_room_is_in_that_room() {
    for (name, used) in dependencies() {
        for (crate_name, room) in ROOMS {
            assert!(
                !used.iter().any(|other| other == crate_name) || name == *room,
                "{name} uses {crate_name}; only {room} may"
            );
        }
    }
}
