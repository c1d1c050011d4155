//! `on`: events as filter groups of the project's webhook.

use runspan_buildspec::glob_regex;

use super::{ledger::Ledger, shell::variable_name};
use crate::model::{Event, Field};

pub(crate) fn note(event: &Event<'_>, ledger: &mut Ledger) {
    match event.name.as_str() {
        "push" => push(event, ledger),
        "pull_request" | "pull_request_target" => pull_request(event, ledger),
        "workflow_dispatch" => {
            let inputs = keys(&event.field, "inputs");
            let names: Vec<_> = inputs.iter().map(|(name, _)| input_variable(name)).collect();
            if names.is_empty() {
                ledger.exact(&event.field, "a build started by hand");
            } else {
                let became = format!("a build started by hand, with the variables {}", names.join(", "));
                ledger.exact(&event.field, became);
            }
        }
        "workflow_call" => ledger.exact(&event.field, "put into the workflow that calls it"),
        "schedule" => {
            let rules: Vec<_> = event
                .field
                .items()
                .iter()
                .flat_map(Field::entries)
                .filter_map(|(key, field)| (key == "cron").then(|| field.node.text()).flatten().map(rule))
                .collect();
            let became = format!("a rule of EventBridge that starts the build: {}", rules.join(", "));
            ledger.approximate(&event.field, became, "the rule is made beside the project");
        }
        "release" => {
            let types = keys_texts(&event.field, "types");
            let mut events = Vec::new();
            for kind in &types {
                match kind.as_str() {
                    "released" | "published" => events.push("RELEASED"),
                    "prereleased" => events.push("PRERELEASED"),
                    _ => {}
                }
            }
            if types.is_empty() || types.iter().any(|kind| kind == "published") {
                events = vec!["RELEASED", "PRERELEASED"];
            }
            if events.is_empty() {
                let reason = format!("CodeBuild's webhook knows no release event {}", types.join(", "));
                return ledger.manual(&event.field, reason, Some(group(&["RELEASED"], &[])));
            }
            ledger.exact(&event.field, format!("webhook {}", group(&events, &[])));
        }
        "merge_group" => ledger.approximate(
            &event.field,
            format!("webhook {}", group(&["PUSH"], &["HEAD_REF ^refs/heads/gh-readonly-queue/".into()])),
            "the queue's branch is built as any branch is",
        ),
        "repository_dispatch" => {
            ledger.approximate(
                &event.field,
                "a build started by StartBuild",
                "who sends the event calls AWS in its place",
            );
        }
        "create" => ledger.approximate(
            &event.field,
            format!("webhook {}", group(&["PUSH"], &[])),
            "every push, not only the first of a branch",
        ),
        other => {
            let reason = format!(
                "CodeBuild's webhook has no event for {other}: leave it on GitHub, or start the build by StartBuild"
            );
            ledger.manual(&event.field, reason, None);
        }
    }
}

/// The variable of an input of a workflow.
pub(crate) fn input_variable(name: &str) -> String {
    variable_name(&format!("input_{name}"))
}

fn push(event: &Event<'_>, ledger: &mut Ledger) {
    let mut groups = Vec::new();
    let branches = keys_texts(&event.field, "branches");
    let tags = keys_texts(&event.field, "tags");
    let ignored = keys_texts(&event.field, "branches-ignore");
    let ignored_tags = keys_texts(&event.field, "tags-ignore");
    let (paths, difference) = paths(&event.field);
    let mut add = |filter: Option<String>| {
        let mut filters: Vec<String> = filter.into_iter().collect();
        filters.extend(paths.clone());
        groups.push(group(&["PUSH"], &filters));
    };
    let none = branches.is_empty() && tags.is_empty() && ignored.is_empty() && ignored_tags.is_empty();
    if none {
        add(None);
    }
    if !branches.is_empty() {
        add(Some(refs("HEAD_REF", "heads", &branches)));
    }
    if !tags.is_empty() {
        add(Some(refs("HEAD_REF", "tags", &tags)));
    }
    if !ignored.is_empty() {
        add(Some(format!("{}, HEAD_REF ^refs/heads/", excluded(&refs("HEAD_REF", "heads", &ignored)))));
    }
    if !ignored_tags.is_empty() {
        add(Some(format!("{}, HEAD_REF ^refs/tags/", excluded(&refs("HEAD_REF", "tags", &ignored_tags)))));
    }
    tell(event, groups, difference, ledger);
}

fn pull_request(event: &Event<'_>, ledger: &mut Ledger) {
    let types = keys_texts(&event.field, "types");
    let mut events = Vec::new();
    let mut lost = Vec::new();
    for kind in &types {
        match kind.as_str() {
            "opened" => events.push("PULL_REQUEST_CREATED"),
            "synchronize" => events.push("PULL_REQUEST_UPDATED"),
            "reopened" => events.push("PULL_REQUEST_REOPENED"),
            "closed" => events.extend(["PULL_REQUEST_MERGED", "PULL_REQUEST_CLOSED"]),
            "ready_for_review" => events.push("PULL_REQUEST_UPDATED"),
            other => lost.push(other.to_owned()),
        }
    }
    if types.is_empty() {
        events = vec!["PULL_REQUEST_CREATED", "PULL_REQUEST_UPDATED", "PULL_REQUEST_REOPENED"];
    }
    events.dedup();
    if events.is_empty() {
        let reason = format!("CodeBuild's webhook knows no pull request event {}", lost.join(", "));
        return ledger.manual(
            &event.field,
            reason,
            Some(group(&["PULL_REQUEST_CREATED, PULL_REQUEST_UPDATED"], &[])),
        );
    }
    let mut filters = Vec::new();
    let branches = keys_texts(&event.field, "branches");
    if !branches.is_empty() {
        filters.push(refs("BASE_REF", "heads", &branches));
    }
    let ignored = keys_texts(&event.field, "branches-ignore");
    if !ignored.is_empty() {
        filters.push(excluded(&refs("BASE_REF", "heads", &ignored)));
    }
    let (paths, mut difference) = paths(&event.field);
    filters.extend(paths);
    if !lost.is_empty() {
        difference.push(format!("the types {} start no build", lost.join(", ")));
    }
    if event.name == "pull_request_target" {
        difference.push("the buildspec is that of the pull request, not of the base branch".into());
    }
    tell(event, vec![group(&events, &filters)], difference, ledger);
}

fn tell(event: &Event<'_>, groups: Vec<String>, difference: Vec<String>, ledger: &mut Ledger) {
    let became = format!("webhook {}", groups.join(" or "));
    if difference.is_empty() {
        ledger.exact(&event.field, became);
    } else {
        ledger.approximate(&event.field, became, difference.join("; "));
    }
}

fn group(events: &[&str], filters: &[String]) -> String {
    let mut parts = vec![format!("EVENT {}", events.join(", "))];
    parts.extend(filters.iter().cloned());
    format!("[{}]", parts.join(", "))
}

fn excluded(filter: &str) -> String {
    format!("not {filter}")
}

fn keys<'a>(field: &Field<'a>, name: &str) -> Vec<(&'a str, Field<'a>)> {
    field
        .entries()
        .into_iter()
        .find(|(key, _)| *key == name)
        .map(|(_, field)| field.entries())
        .unwrap_or_default()
}

fn keys_texts(field: &Field<'_>, name: &str) -> Vec<String> {
    let found = field.entries().into_iter().find(|(key, _)| *key == name);
    found.map(|(_, field)| field.texts().into_iter().map(str::to_owned).collect()).unwrap_or_default()
}

fn paths(field: &Field<'_>) -> (Vec<String>, Vec<String>) {
    let (paths, ignored) = (keys_texts(field, "paths"), keys_texts(field, "paths-ignore"));
    let (mut filters, mut difference) = (Vec::new(), Vec::new());
    if !paths.is_empty() {
        let wanted: Vec<_> =
            paths.iter().filter(|path| !path.starts_with('!')).map(|path| pattern(path)).collect();
        filters.push(format!("FILE_PATH ^({})$", wanted.join("|")));
        if wanted.len() < paths.len() {
            difference.push("paths with `!` are not taken out again".into());
        }
    }
    if !ignored.is_empty() {
        let names: Vec<_> = ignored.iter().map(|path| pattern(path)).collect();
        filters.push(excluded(&format!("FILE_PATH ^({})$", names.join("|"))));
        difference.push("one ignored path keeps the build from starting, whatever else has changed".into());
    }
    (filters, difference)
}

fn refs(filter: &str, kind: &str, names: &[String]) -> String {
    let wanted: Vec<_> =
        names.iter().filter(|name| !name.starts_with('!')).map(|name| pattern(name)).collect();
    match wanted.as_slice() {
        [only] => format!("{filter} ^refs/{kind}/{only}$"),
        several => format!("{filter} ^refs/{kind}/({})$", several.join("|")),
    }
}

/// GitHub's glob as a regular expression.
pub(crate) fn pattern(glob: &str) -> String {
    glob_regex(glob, |c| match c {
        '?' => Some("?"),
        '+' => Some("+"),
        '[' => Some("["),
        ']' => Some("]"),
        _ => None,
    })
}

/// A rule of EventBridge: six fields, and `?` for one of the days.
fn rule(cron: &str) -> String {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else { return format!("cron({cron} *)") };
    // Days of the week count from 1 there.
    let shifted: String = weekday
        .chars()
        .map(|c| c.to_digit(10).map_or(c, |digit| char::from_digit(digit % 7 + 1, 10).unwrap_or(c)))
        .collect();
    if *weekday == "*" {
        format!("cron({minute} {hour} {day} {month} ? *)")
    } else {
        format!("cron({minute} {hour} ? {month} {shifted} *)")
    }
}

#[cfg(test)]
mod tests {
    use super::{pattern, rule};

    #[test]
    fn globs_and_schedules_are_said_in_the_other_words() {
        assert_eq!(pattern("v[12].?+.*"), r"v[12]\.?+\.[^/]*");
        assert_eq!(rule("0 16 * * 3"), "cron(0 16 ? * 4 *)");
        assert_eq!(rule("30 5 1 * *"), "cron(30 5 1 * ? *)");
    }
}
