//! What a buildspec has that AWS CodeBuild itself does not take, though this project does.
//!
//! Source: AWS CodeBuild user guide, "Build specification reference", "Batch build buildspec reference" and "Quotas".

use crate::{
    Code, Diagnostic, Span,
    diagnostic::quoted,
    parse,
    yaml::{self, Entry, Node, Value},
};

/// Report groups of one buildspec.
const MOST_REPORT_GROUPS: usize = 5;
/// Keys that came with version 0.2.
const NEW_KEYS: [&str; 4] = ["batch", "reports", "run-as", "env"];
/// Compute types of the guide, without their prefix.
const COMPUTE: &[&str] = &[
    "GENERAL1_SMALL",
    "GENERAL1_MEDIUM",
    "GENERAL1_LARGE",
    "GENERAL1_XLARGE",
    "GENERAL1_2XLARGE",
    "LAMBDA_1GB",
    "LAMBDA_2GB",
    "LAMBDA_4GB",
    "LAMBDA_8GB",
    "LAMBDA_10GB",
];

/// Each thing that AWS would refuse or leave out; nothing of a text that cannot be read at all.
pub fn strict_aws(source: &str) -> Vec<Diagnostic> {
    let Ok(root) = yaml::read(source) else { return Vec::new() };
    let mut found = Vec::new();
    let entries = entries(&root);
    let is_old = entries
        .iter()
        .any(|entry| entry.key.text == "version" && entry.value.text().is_some_and(|text| text == "0.1"));
    for Entry { key, value } in entries {
        match key.text.as_str() {
            name if is_old && NEW_KEYS.contains(&name) => {
                let message = format!("{} is not of version 0.1", quoted(name));
                found.push(only(key.span, message, "write `version: 0.2`"));
            }
            "run-as" => run_as(value, &mut found),
            "env" => env(value, &mut found),
            "phases" => {
                self::entries(value).iter().for_each(|phase| self::phase(&phase.value, is_old, &mut found))
            }
            "reports" => {
                let groups = self::entries(value);
                for group in groups.iter().skip(MOST_REPORT_GROUPS) {
                    let message = format!("a buildspec has at most {MOST_REPORT_GROUPS} report groups");
                    found.push(only(group.key.span, message, "put the files of several groups into one"));
                }
            }
            "batch" => batch(value, &mut found),
            _ => {}
        }
    }
    found.sort_by_key(|diagnostic| diagnostic.span.map(|span| span.start));
    found
}

fn only(span: Span, message: impl Into<String>, help: &str) -> Diagnostic {
    Diagnostic::new(Code::RunspanOnly, message).at(span).help(help)
}

fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => &[],
    }
}

fn run_as(value: &Node, found: &mut Vec<Diagnostic>) {
    if value.text().is_some_and(|text| text.parse::<u32>().is_ok()) {
        let help = "write the name that the image's /etc/passwd gives it";
        found.push(only(value.span, "CodeBuild takes the name of a user, not its number", help));
    }
}

fn env(env: &Node, found: &mut Vec<Diagnostic>) {
    for Entry { key, value } in entries(env) {
        match key.text.as_str() {
            "shell" if value.text() == Some("sh") => {
                found.push(only(
                    value.span,
                    "CodeBuild knows the shell `/bin/sh`, not `sh`",
                    "write `/bin/sh`",
                ));
            }
            _ => {}
        }
    }
}

fn phase(phase: &Node, is_old: bool, found: &mut Vec<Diagnostic>) {
    for Entry { key, value } in entries(phase) {
        match key.text.as_str() {
            name @ ("finally" | "on-failure" | "run-as") if is_old => {
                let message = format!("{} is not of version 0.1", quoted(name));
                found.push(only(key.span, message, "write `version: 0.2`"));
            }
            "run-as" => run_as(value, found),
            "steps" => {
                let help = "write `commands`; an action of GitHub's needs a command in its place";
                found.push(only(key.span, "CodeBuild's guide knows no `steps` any more", help));
            }
            "commands" | "finally" => {
                for command in items(value) {
                    if command.text().is_some_and(|text| text.contains("RUNSPAN_")) {
                        let help = "CodeBuild's own variables begin with CODEBUILD_";
                        found.push(only(
                            command.span,
                            "only runspan sets variables that begin with RUNSPAN_",
                            help,
                        ));
                    }
                }
            }
            _ => {}
        }
    }
}

fn batch(batch: &Node, found: &mut Vec<Diagnostic>) {
    for Entry { key, value } in entries(batch) {
        if !matches!(key.text.as_str(), "build-list" | "build-graph") {
            continue;
        }
        for Entry { key, value } in items(value).iter().flat_map(entries) {
            match key.text.as_str() {
                "identifier" => identifier(value, found),
                "buildspec" => inner(value, found),
                "env" => entries(value).iter().for_each(|entry| compute_type(entry, found)),
                _ => {}
            }
        }
    }
}

fn identifier(value: &Node, found: &mut Vec<Diagnostic>) {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if value.text().is_some_and(|text| !text.chars().all(is_safe)) {
        let help = "use letters, digits and `_`";
        found.push(only(value.span, "the guide's identifiers have letters, digits and `_` alone", help));
    }
}

fn compute_type(entry: &Entry, found: &mut Vec<Diagnostic>) {
    let Entry { key, value } = entry;
    let known = |text: &str| text.strip_prefix("BUILD_").is_some_and(|rest| COMPUTE.contains(&rest));
    if key.text == "compute-type" && value.text().is_some_and(|text| !known(text)) {
        found.push(only(value.span, "CodeBuild has no such compute type", "as in BUILD_GENERAL1_SMALL"));
    }
}

/// The text of a build of a batch is a buildspec of its own; what is said of it names the line in there.
fn inner(value: &Node, found: &mut Vec<Diagnostic>) {
    let Some(text) = value.text().filter(|text| text.contains('\n')) else { return };
    let inner = parse(text).diagnostics.into_iter().chain(strict_aws(text));
    found.extend(inner.map(|inner| {
        let line = inner.span.map_or(0, |span| span.line);
        let message = format!("in line {line} of this text: {}", inner.message);
        only(value.span, message, inner.help.as_deref().unwrap_or("see the buildspec reference"))
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(source: &str) -> Vec<String> {
        strict_aws(source).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_line_that_only_this_project_takes_is_named() {
        let source = "version: 0.2\nrun-as: 1000\nenv:\n  shell: sh\nphases:\n  install:\n    steps:\n      - uses: a/b@v1\n  \
            build:\n    commands:\n      - echo $RUNSPAN_SHARD_INDEX\n    finally: [x]\n";
        let places: Vec<_> =
            said(source).iter().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
        assert_eq!(places, ["2:9", "4:10", "7:5", "11:9"]);
        assert!(said(source).iter().all(|line| line.contains("error[runspan-only]")), "{:?}", said(source));
    }

    #[test]
    fn texts_inside_a_batch_are_read_too() {
        let source = "version: 0.2\nbatch:\n  build-graph:\n    - identifier: a-b\n      env: {compute-type: HUGE}\n      \
            buildspec: |\n        version: 0.2\n        phases:\n          build:\n            steps:\n              - run: x\n";
        let said = said(source);
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[2].contains("in line 4 of this text"), "{said:?}");
    }

    #[test]
    fn what_the_guide_shows_is_clean() {
        let source = "version: 0.2\nrun-as: root\nenv: {shell: bash, variables: {A: b}}\nphases:\n  build:\n    \
            on-failure: RETRY-2-.*x.*\n    commands: [make]\n    finally: [x]\nreports:\n  unit: {files: ['*.xml']}\n";
        assert_eq!(said(source), [""; 0]);
        assert_eq!(said("version: 0.1\nphases: {build: {commands: [a]}}\n"), [""; 0]);
        assert_eq!(
            said("version: 0.1\nenv: {variables: {A: b}}\nphases: {build: {commands: [a]}}\n").len(),
            1
        );
        assert_eq!(said(":\t"), [""; 0]);
    }
}
