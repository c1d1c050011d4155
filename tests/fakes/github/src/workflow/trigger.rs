//! Which events start a workflow.

use super::{Node, NodeKind, Workflow};
use crate::Object;

/// Something that happened in a repository.
#[derive(Clone, Debug)]
pub struct Event {
    /// `push`, `pull_request`, `workflow_dispatch`, …
    pub name: String,
    /// `refs/heads/main`
    pub reference: String,
    /// The webhook's body, as `github.event`.
    pub payload: Object,
    /// The inputs of a `workflow_dispatch`.
    pub inputs: Object,
    /// Paths that a push changed.
    pub changed: Vec<String>,
}

/// Whether the event starts the workflow.
pub fn triggers(workflow: &Workflow, event: &Event) -> bool {
    let filters = match &workflow.on.kind {
        NodeKind::Mapping(entries) => {
            match entries.iter().find(|(key, _)| key.text().as_deref() == Some(&event.name)) {
                Some((_, filters)) => filters,
                None => return false,
            }
        }
        _ => return workflow.on.items().iter().any(|name| name.text().as_deref() == Some(&event.name)),
    };
    let patterns = |key: &str| {
        filters.get(key).map(|list| list.items().into_iter().filter_map(Node::text).collect::<Vec<_>>())
    };
    let base =
        event.payload.get("pull_request").and_then(|pull| pull.member("base")?.member("ref")?.as_str());
    let (branch, tag) = match event.reference.split_once("refs/").map(|(_, rest)| rest.split_once('/')) {
        Some(Some(("tags", tag))) => (None, Some(tag)),
        Some(Some((_, branch))) => (base.or(Some(branch)), None),
        _ => (Some(event.reference.as_str()), None),
    };
    let of_reference = match (branch, tag) {
        (Some(branch), _) => named(
            branch,
            patterns("branches"),
            patterns("branches-ignore"),
            patterns("tags").is_some() || patterns("tags-ignore").is_some(),
        ),
        (_, Some(tag)) => named(
            tag,
            patterns("tags"),
            patterns("tags-ignore"),
            patterns("branches").is_some() || patterns("branches-ignore").is_some(),
        ),
        _ => true,
    };
    let of_paths = match (patterns("paths"), patterns("paths-ignore")) {
        (Some(wanted), _) => event.changed.iter().any(|path| matches(path, &wanted)),
        (_, Some(ignored)) => event.changed.iter().any(|path| !matches(path, &ignored)),
        _ => true,
    };
    of_reference && (of_paths || event.changed.is_empty())
}

/// A kind of reference without filters is out as soon as the other kind has some.
fn named(
    name: &str,
    wanted: Option<Vec<String>>,
    ignored: Option<Vec<String>>,
    other_filtered: bool,
) -> bool {
    match (wanted, ignored) {
        (Some(wanted), _) => matches(name, &wanted),
        (_, Some(ignored)) => !matches(name, &ignored),
        _ => !other_filtered,
    }
}

/// The last pattern that matches decides; `!` excludes.
fn matches(name: &str, patterns: &[String]) -> bool {
    patterns.iter().fold(false, |hit, pattern| match pattern.strip_prefix('!') {
        Some(pattern) if glob(pattern.as_bytes(), name.as_bytes()) => false,
        None if glob(pattern.as_bytes(), name.as_bytes()) => true,
        _ => hit,
    })
}

fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', b'*', b'/', rest @ ..], _) if glob(rest, name) => true,
        ([b'*', b'*', rest @ ..], _) => (0..=name.len()).any(|skip| glob(rest, &name[skip..])),
        ([b'*', rest @ ..], _) => {
            let within = name.iter().position(|byte| *byte == b'/').unwrap_or(name.len());
            (0..=within).any(|skip| glob(rest, &name[skip..]))
        }
        // `a?` is a zero or one time, `a+` one time or more.
        ([one, b'?', rest @ ..], _) => {
            name.first().is_some_and(|first| first == one) && glob(rest, &name[1..]) || glob(rest, name)
        }
        ([one, b'+', rest @ ..], [first, ..]) if one == first => {
            let run = name.iter().take_while(|byte| *byte == one).count();
            (1..=run).any(|taken| glob(rest, &name[taken..]))
        }
        ([one, rest @ ..], [first, name @ ..]) if one == first => glob(rest, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, reference: &str, changed: &[&str]) -> Event {
        Event {
            name: name.to_owned(),
            reference: reference.to_owned(),
            payload: Object::new(),
            inputs: Object::new(),
            changed: changed.iter().map(|path| (*path).to_owned()).collect(),
        }
    }

    #[test]
    fn filters_choose_by_branch_tag_and_path() {
        for (on, event, wanted) in [
            ("push", event("push", "refs/heads/main", &[]), true),
            ("[pull_request, push]", event("push", "refs/heads/main", &[]), true),
            ("pull_request", event("push", "refs/heads/main", &[]), false),
            ("{push: {branches: [main]}}", event("push", "refs/heads/main", &[]), true),
            ("{push: {branches: [main]}}", event("push", "refs/heads/dev", &[]), false),
            ("{push: {branches: [main]}}", event("push", "refs/tags/v1", &[]), false),
            ("{push: {tags: ['v*']}}", event("push", "refs/tags/v1", &[]), true),
            ("{push: {branches: ['rel/**', '!rel/x/**']}}", event("push", "refs/heads/rel/x/1", &[]), false),
            ("{push: {branches-ignore: ['rel/*']}}", event("push", "refs/heads/rel/1", &[]), false),
            ("{push: {paths: ['src/**']}}", event("push", "refs/heads/m", &["docs/a", "src/b/c"]), true),
            ("{push: {paths: ['src/**']}}", event("push", "refs/heads/m", &["docs/a"]), false),
            ("{push: {paths-ignore: ['docs/**']}}", event("push", "refs/heads/m", &["docs/a"]), false),
            ("{push: }", event("push", "refs/heads/m", &["docs/a"]), true),
        ] {
            let text = format!("on: {on}\njobs:\n  a:\n    runs-on: x\n");
            let workflow = Workflow::read("w.yml", &text).unwrap();
            assert_eq!(triggers(&workflow, &event), wanted, "{on} with {event:?}");
        }
    }
}
