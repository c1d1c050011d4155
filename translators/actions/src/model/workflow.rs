//! The file as a whole.

use runspan_buildspec::{
    Code, Diagnostic, nearest, quoted,
    yaml::{Node, Value},
};

use super::{Defaults, Field, Job, Reader, Text, Variable, job};

/// A workflow.
#[derive(Clone, Debug, Default)]
pub struct Workflow<'a> {
    /// `name`.
    pub name: Option<Text<'a>>,
    /// `run-name`.
    pub run_name: Option<Text<'a>>,
    /// `on`.
    pub events: Vec<Event<'a>>,
    /// `env`.
    pub env: Vec<Variable<'a>>,
    /// `defaults.run`.
    pub defaults: Defaults<'a>,
    /// `permissions` and `concurrency`.
    pub hosting: Vec<Field<'a>>,
    /// `jobs`.
    pub jobs: Vec<Job<'a>>,
}

/// One of the events of `on`.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// Its name.
    pub name: String,
    /// Its settings, or its name where it has none.
    pub field: Field<'a>,
}

/// Names of events.
const EVENTS: &[&str] = &[
    "branch_protection_rule",
    "check_run",
    "check_suite",
    "create",
    "delete",
    "deployment",
    "deployment_status",
    "discussion",
    "discussion_comment",
    "fork",
    "gollum",
    "image_version",
    "issue_comment",
    "issues",
    "label",
    "merge_group",
    "milestone",
    "page_build",
    "project",
    "project_card",
    "project_column",
    "public",
    "pull_request",
    "pull_request_comment",
    "pull_request_review",
    "pull_request_review_comment",
    "pull_request_target",
    "push",
    "registry_package",
    "release",
    "repository_dispatch",
    "schedule",
    "status",
    "watch",
    "workflow_call",
    "workflow_dispatch",
    "workflow_run",
];

pub(super) fn read<'a>(tree: &'a Node, reader: &mut Reader<'_>) -> Workflow<'a> {
    let root = Field { path: String::new(), place: tree.span, node: tree };
    if !matches!(tree.value, Value::Map(_)) {
        let message = format!("a workflow is a map with `on` and `jobs`, not {}", tree.kind());
        reader.say(Diagnostic::new(Code::WrongType, message).at(tree.span));
        return Workflow::default();
    }
    let mut keys = reader.keys(&root, "a map");
    let name = keys.take("name").and_then(|field| reader.text(field));
    let run_name = keys.take("run-name").and_then(|field| reader.text(field));
    let on = keys.take("on");
    let env = keys.take("env").map(|field| reader.variables(&field)).unwrap_or_default();
    let defaults = keys.take("defaults").map(|field| job::read_defaults(&field, reader)).unwrap_or_default();
    let hosting = ["permissions", "concurrency"].into_iter().filter_map(|key| keys.take(key)).collect();
    let jobs_field = keys.take("jobs");
    if on.is_none() {
        reader.missing(tree.span, "the workflow", "`on`");
    }
    let events = on.map(|on| events(&on, reader)).unwrap_or_default();
    let jobs = match &jobs_field {
        Some(field) if matches!(&field.node.value, Value::Map(jobs) if !jobs.is_empty()) => {
            let entries = field.entries();
            entries.into_iter().filter_map(|(id, field)| job::read(id, field, reader)).collect()
        }
        Some(field) => {
            reader.wrong_type(field, "a map of jobs");
            Vec::new()
        }
        None => {
            reader.missing(tree.span, "the workflow", "`jobs`");
            Vec::new()
        }
    };
    reader.unknown(keys);
    Workflow { name, run_name, events, env, defaults, hosting, jobs }
}

fn events<'a>(on: &Field<'a>, reader: &mut Reader<'_>) -> Vec<Event<'a>> {
    let events: Vec<Event<'a>> = match &on.node.value {
        Value::Map(_) => {
            let entries = on.entries().into_iter();
            entries.map(|(name, field)| Event { name: name.to_owned(), field }).collect()
        }
        Value::Null => {
            reader.wrong_type(on, "an event, a list or a map of events");
            Vec::new()
        }
        _ => on
            .items()
            .into_iter()
            .filter_map(|field| match field.node.text() {
                Some(name) => Some(Event { name: name.to_owned(), field }),
                None => {
                    reader.wrong_type(&field, "the name of an event");
                    None
                }
            })
            .collect(),
    };
    for event in &events {
        if !EVENTS.contains(&event.name.as_str()) {
            let message = format!("{} is not an event", quoted(&event.name));
            let diagnostic = Diagnostic::new(Code::InvalidValue, message).at(event.field.place);
            reader.say(match nearest(&event.name, EVENTS.iter().copied()) {
                Some(known) => diagnostic.help(format!("did you mean `{known}`?")),
                None => diagnostic,
            });
        }
    }
    events
}
