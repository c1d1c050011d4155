//! What is kept of a build, and how it is read: `--json`, `builds`.

use serde_json::Value;

use crate::harness::{BUSYBOX, example, home};

#[test]
fn json_is_the_log_and_the_events_in_order() {
    let Some(home) = home() else { return };
    let ran = home.run(example("finally-and-on-failure"), BUSYBOX).arg("--json").finish().exited(1);
    let build = home.build();
    let lines: Vec<Value> = ran
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        assert!(line["type"].is_string() && line["time"].is_string(), "{line}");
        // The first and the last event have the whole record there.
        let id = line["build"].as_str().or_else(|| line["build"]["id"].as_str());
        assert!(id.is_some_and(|id| id.ends_with(&build)), "{line}");
    }
    let log: String =
        lines.iter().filter(|line| line["type"] == "log").filter_map(|line| line["text"].as_str()).collect();
    assert_eq!(log, home.log(&build));
    assert_eq!(lines.first().map(|line| &line["type"]), Some(&"submitted".into()));
    let last = lines.last().unwrap();
    assert_eq!(last["type"], "build");
    assert_eq!(count(&lines, "build"), 1);

    // An event stands where it happened: the end of a command behind its output.
    let at = |what: &dyn Fn(&Value) -> bool| lines.iter().position(what).unwrap();
    let started = at(&|line| line["type"] == "command_started" && line["command"] == "sh lint.sh");
    let printed = at(&|line| line["text"].as_str().is_some_and(|text| text.contains("ends with a blank")));
    let ended = started + lines[started..].iter().position(|line| line["type"] == "command_ended").unwrap();
    assert!(started < printed && printed < ended, "{started} < {printed} < {ended}");
    assert_eq!(lines[ended]["exit"]["status"], 3, "{}", lines[ended]);

    let phases: Vec<_> =
        lines.iter().filter(|line| line["type"] == "phase").map(|line| line["phaseType"].clone()).collect();
    assert_eq!(phases.len(), 10, "{phases:?}");
    assert_eq!(count(&lines, "artifact"), 1);
}

fn count(lines: &[Value], kind: &str) -> usize {
    lines.iter().filter(|line| line["type"] == kind).count()
}

#[test]
fn quiet_prints_no_log() {
    let Some(home) = home() else { return };
    home.run(example("hello"), BUSYBOX).arg("--quiet").finish().exited(0).did_not_print("[Container]");
    assert!(home.log(&home.build()).contains("Hello, world!"));
}

#[test]
fn builds_are_listed_shown_and_retried() {
    let Some(home) = home() else { return };
    home.run(example("hello"), BUSYBOX).finish().exited(0);
    let first = home.build();
    home.run(example("finally-and-on-failure"), BUSYBOX).finish().exited(1);
    let second = home.build();
    assert_ne!(first, second);

    home.runspan(["builds", "list"]).finish().exited(0).printed(&["finally-and-on-failure:", "hello:"]);
    home.runspan(["builds", "list", "--project", "hello"])
        .finish()
        .exited(0)
        .printed(&["hello:"])
        .did_not_print("finally");
    let listed = home.runspan(["builds", "list", "--limit", "1", "--format", "json"]).finish().exited(0);
    assert!(listed.text().contains(&second) && !listed.text().contains(&first), "{listed}");
    home.runspan(["builds", "show", &second[..8]]).finish().exited(0).printed(&[
        "FAILED",
        "PRE_BUILD",
        "COMMAND_EXECUTION_ERROR",
        "Error while executing command: sh lint.sh. Reason: exit status 3",
    ]);

    home.runspan(["builds", "retry", &first]).finish().exited(0).printed(&["Hello, world!\n"]);
    let third = home.record(&home.build());
    assert_eq!((&third.0["projectName"], &third.0["buildNumber"]), (&"hello".into(), &2.into()));
    home.assert_nothing_left();
}

#[test]
fn a_closed_pipe_does_not_end_the_build() {
    let Some(home) = home() else { return };
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    let write = std::fs::File::from(std::os::fd::OwnedFd::from(write));
    home.run(example("hello"), BUSYBOX).stdout_to(write).finish().exited(0);
    assert_eq!(home.record(&home.build()).status(), "SUCCEEDED");
}
