//! Diagnostics as people and programs see them.

use runspan_buildspec::{Code, parse, render, report};
use serde_json::json;

const SOURCE: &str = "version: 0.2\nphases:\n  build:\n    commands: [a]\n    commands:\n      - b\n";

#[test]
fn people_see_file_line_column_and_the_text_underlined() {
    let diagnostics = parse(SOURCE).diagnostics;
    assert_eq!(
        render(&diagnostics[0], "ci/buildspec.yml", SOURCE, false),
        "\
error[duplicate-key]: the key `commands` stands twice
 --> ci/buildspec.yml:5:5
  |
4 |     commands: [a]
  |     -------- first here
5 |     commands:
  |     ^^^^^^^^ again here
  |
  = help: keep one of them, or put what they hold together
"
    );
    assert!(render(&diagnostics[0], "x", SOURCE, true).contains("\u{1b}["));
}

#[test]
fn a_fault_without_place_and_a_foreign_source_render() {
    let diagnostics = parse("").diagnostics;
    assert!(render(&diagnostics[0], "b.yml", "", false).contains("b.yml"));
    let diagnostics = parse(SOURCE).diagnostics;
    assert!(render(&diagnostics[0], "b.yml", "é", false).contains("stands twice"));
}

#[test]
fn escapes_of_the_file_do_not_reach_the_terminal() {
    let source = "version: 0.2\nphases: {build: {commands: [a]}}\n\"k\\e[31m\": x\n";
    let diagnostics = parse(source).diagnostics;
    assert!(!render(&diagnostics[0], "b.yml", source, false).contains('\u{1b}'));
}

#[test]
fn programs_get_json() {
    let diagnostics = parse(SOURCE).diagnostics;
    assert_eq!(
        report::json([("b.yml", &diagnostics[0])]),
        json!([{
            "file": "b.yml",
            "code": "duplicate-key",
            "severity": "error",
            "status": "YAML_FILE_ERROR",
            "message": "the key `commands` stands twice",
            "codebuild_message": "the key `commands` stands twice at line 5",
            "span": { "line": 5, "column": 5, "end_column": 13, "start": 52, "end": 60 },
            "label": "again here",
            "help": "keep one of them, or put what they hold together",
            "related": [{
                "span": { "line": 4, "column": 5, "end_column": 13, "start": 34, "end": 42 },
                "label": "first here",
            }],
        }])
    );
    assert_eq!(&SOURCE[52..60], "commands");
}

#[test]
fn programs_get_sarif() {
    let diagnostics = parse(SOURCE).diagnostics;
    let log = report::sarif([("my ci/a:b.yml", &diagnostics[0])]);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), Code::ALL.len());
    let result = &run["results"][0];
    let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
    assert_eq!((&rule["id"], &result["level"]), (&json!("duplicate-key"), &json!("error")));
    assert_eq!(rule["shortDescription"]["text"], "A key stands twice in one map.");
    assert_eq!(
        result["locations"],
        json!([{ "physicalLocation": {
            "artifactLocation": { "uri": "my%20ci/a:b.yml" },
            "region": { "startLine": 5, "startColumn": 5, "endColumn": 13, "byteOffset": 52, "byteLength": 8 },
        } }])
    );
    assert_eq!(result["relatedLocations"][0]["message"]["text"], "first here");
}

#[test]
fn text_ids_are_unique() {
    let mut ids: Vec<_> = Code::ALL.iter().map(|code| code.id()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), Code::ALL.len());
}
