//! A webhook's payload, as CodeBuild would tell a build of it.

use runspan_pipelines::Selection;
use serde_json::Value;

/// What a payload says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// `CODEBUILD_WEBHOOK_EVENT`.
    pub(crate) kind: &'static str,
    /// `refs/heads/…` or `refs/tags/…`.
    head_ref: String,
    base_ref: Option<String>,
    /// Of a pull request.
    number: Option<String>,
    /// What is built.
    commit: Option<String>,
    previous: Option<String>,
    merge_commit: Option<String>,
    actor: Option<String>,
}

impl Event {
    /// Reads a payload of GitHub, Bitbucket Cloud or Bitbucket Data Center; `None` for what starts no build.
    pub(crate) fn of(payload: &Value) -> Option<Self> {
        data_center(payload)
            .or_else(|| cloud_pull_request(payload))
            .or_else(|| cloud_push(payload))
            .or_else(|| github_pull_request(payload))
            .or_else(|| github_release(payload))
            .or_else(|| github_push(payload))
    }

    /// The variables of a build that this starts.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let named = |name, value: &Option<String>| value.clone().map(|value| (name, value));
        [
            named("CODEBUILD_WEBHOOK_ACTOR_ACCOUNT_ID", &self.actor),
            named("CODEBUILD_WEBHOOK_BASE_REF", &self.base_ref),
            Some(("CODEBUILD_WEBHOOK_EVENT", self.kind.to_owned())),
            named("CODEBUILD_WEBHOOK_MERGE_COMMIT", &self.merge_commit),
            named("CODEBUILD_WEBHOOK_PREV_COMMIT", &self.previous),
            Some(("CODEBUILD_WEBHOOK_HEAD_REF", self.head_ref.clone())),
            Some(("CODEBUILD_WEBHOOK_TRIGGER", self.trigger())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// `CODEBUILD_SOURCE_VERSION`.
    pub(crate) fn source_version(&self) -> Option<String> {
        self.number.as_ref().map(|number| format!("pr/{number}")).or_else(|| self.commit.clone())
    }

    /// The pipeline of a bitbucket-pipelines.yml that this starts.
    pub(crate) fn selection(&self) -> Selection {
        let (is_tag, name) = self.name();
        match (&self.number, is_tag) {
            (Some(_), _) => Selection::PullRequest(name.to_owned()),
            (None, true) => Selection::Tag(name.to_owned()),
            (None, false) => Selection::Branch(name.to_owned()),
        }
    }

    fn trigger(&self) -> String {
        let (is_tag, name) = self.name();
        match (&self.number, is_tag) {
            (Some(number), _) => format!("pr/{number}"),
            (None, true) => format!("tag/{name}"),
            (None, false) => format!("branch/{name}"),
        }
    }

    /// Whether the head is a tag, and its name.
    fn name(&self) -> (bool, &str) {
        let head = self.head_ref.as_str();
        match head.strip_prefix("refs/tags/") {
            Some(tag) => (true, tag),
            None => (false, head.strip_prefix("refs/heads/").unwrap_or(head)),
        }
    }
}

/// A text or a number at a JSON pointer.
fn text(value: &Value, pointer: &str) -> Option<String> {
    match value.pointer(pointer)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn branch(name: &str) -> String {
    format!("refs/heads/{name}")
}

fn is_commit(hash: &str) -> bool {
    !hash.bytes().all(|byte| byte == b'0')
}

fn github_push(payload: &Value) -> Option<Event> {
    let commit = text(payload, "/after").filter(|hash| is_commit(hash))?;
    Some(Event {
        kind: "PUSH",
        head_ref: text(payload, "/ref")?,
        commit: Some(commit),
        previous: text(payload, "/before").filter(|hash| is_commit(hash)),
        actor: text(payload, "/sender/id"),
        ..Event::default()
    })
}

fn github_pull_request(payload: &Value) -> Option<Event> {
    let request = payload.get("pull_request")?;
    let merged = request.get("merged").and_then(Value::as_bool).unwrap_or_default();
    let kind = match payload.get("action")?.as_str()? {
        "opened" => "PULL_REQUEST_CREATED",
        "synchronize" => "PULL_REQUEST_UPDATED",
        "reopened" => "PULL_REQUEST_REOPENED",
        "closed" if merged => "PULL_REQUEST_MERGED",
        "closed" => "PULL_REQUEST_CLOSED",
        _ => return None,
    };
    Some(Event {
        kind,
        head_ref: branch(&text(request, "/head/ref")?),
        base_ref: text(request, "/base/ref").map(|name| branch(&name)),
        number: text(payload, "/number").or_else(|| text(request, "/number")),
        commit: text(request, "/head/sha"),
        actor: text(payload, "/sender/id"),
        ..Event::default()
    })
}

fn github_release(payload: &Value) -> Option<Event> {
    let kind = match payload.get("action")?.as_str()? {
        "released" => "RELEASED",
        "prereleased" => "PRERELEASED",
        _ => return None,
    };
    let tag = text(payload, "/release/tag_name")?;
    Some(Event {
        kind,
        head_ref: format!("refs/tags/{tag}"),
        commit: Some(tag),
        actor: text(payload, "/sender/id"),
        ..Event::default()
    })
}

/// The first change that leaves something to build.
fn cloud_push(payload: &Value) -> Option<Event> {
    let changes = payload.pointer("/push/changes")?.as_array()?;
    let change = changes.iter().find(|change| change.get("new").is_some_and(Value::is_object))?;
    let name = text(change, "/new/name")?;
    let head_ref = match text(change, "/new/type").as_deref() {
        Some("tag" | "annotated_tag") => format!("refs/tags/{name}"),
        _ => branch(&name),
    };
    Some(Event {
        kind: "PUSH",
        head_ref,
        commit: text(change, "/new/target/hash"),
        previous: text(change, "/old/target/hash"),
        actor: text(payload, "/actor/account_id"),
        ..Event::default()
    })
}

fn cloud_pull_request(payload: &Value) -> Option<Event> {
    let request = payload.get("pullrequest")?;
    // Comments and approvals come with the same request, and start nothing.
    if ["comment", "approval", "changes_request"].iter().any(|part| payload.get(part).is_some()) {
        return None;
    }
    let kind = match text(request, "/state").as_deref() {
        Some("MERGED") => "PULL_REQUEST_MERGED",
        Some("DECLINED" | "SUPERSEDED") => "PULL_REQUEST_CLOSED",
        _ if is_new(request) => "PULL_REQUEST_CREATED",
        _ => "PULL_REQUEST_UPDATED",
    };
    Some(Event {
        kind,
        head_ref: branch(&text(request, "/source/branch/name")?),
        base_ref: text(request, "/destination/branch/name").map(|name| branch(&name)),
        number: text(request, "/id"),
        commit: text(request, "/source/commit/hash"),
        merge_commit: text(request, "/merge_commit/hash"),
        actor: text(payload, "/actor/account_id"),
        ..Event::default()
    })
}

/// The payload does not say whether the request is new, only when it was made and changed.
fn is_new(request: &Value) -> bool {
    const AT_ONCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(3);
    let time = |pointer| text(request, pointer)?.parse::<jiff::Timestamp>().ok();
    match (time("/created_on"), time("/updated_on")) {
        (Some(created), Some(updated)) => updated.duration_since(created) <= AT_ONCE,
        _ => false,
    }
}

/// Bitbucket Data Center says in `eventKey` what it is.
fn data_center(payload: &Value) -> Option<Event> {
    let kind = match payload.get("eventKey")?.as_str()? {
        "repo:refs_changed" => "PUSH",
        "pr:opened" => "PULL_REQUEST_CREATED",
        "pr:from_ref_updated" | "pr:modified" => "PULL_REQUEST_UPDATED",
        "pr:merged" => "PULL_REQUEST_MERGED",
        "pr:declined" => "PULL_REQUEST_CLOSED",
        _ => return None,
    };
    let actor = text(payload, "/actor/id");
    if kind == "PUSH" {
        let changes = payload.get("changes")?.as_array()?;
        let change = changes.iter().find(|change| text(change, "/type").as_deref() != Some("DELETE"))?;
        return Some(Event {
            kind,
            head_ref: text(change, "/ref/id").or_else(|| text(change, "/refId"))?,
            commit: text(change, "/toHash"),
            previous: text(change, "/fromHash").filter(|hash| is_commit(hash)),
            actor,
            ..Event::default()
        });
    }
    let request = payload.get("pullRequest")?;
    Some(Event {
        kind,
        head_ref: text(request, "/fromRef/id")?,
        base_ref: text(request, "/toRef/id"),
        number: text(request, "/id"),
        commit: text(request, "/fromRef/latestCommit"),
        merge_commit: text(request, "/properties/mergeCommit/id"),
        actor,
        ..Event::default()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    fn pairs(payload: &Value) -> Vec<(&'static str, String)> {
        let mut pairs = Event::of(payload).map(|event| event.variables()).unwrap_or_default();
        pairs.iter_mut().for_each(|(name, _)| *name = &name["CODEBUILD_WEBHOOK_".len()..]);
        pairs
    }

    fn owned<'a>(pairs: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    #[test]
    fn a_push_to_github() {
        let payload = json!({"ref": "refs/heads/main", "before": "aa", "after": "bb", "sender": {"id": 7}});
        let expected = [
            ("ACTOR_ACCOUNT_ID", "7"),
            ("EVENT", "PUSH"),
            ("PREV_COMMIT", "aa"),
            ("HEAD_REF", "refs/heads/main"),
            ("TRIGGER", "branch/main"),
        ];
        assert_eq!(pairs(&payload), owned(&expected));
        let event = Event::of(&payload).unwrap();
        assert_eq!(event.source_version().as_deref(), Some("bb"));
        assert_eq!(event.selection(), Selection::Branch("main".into()));
        let gone = json!({"ref": "refs/heads/main", "before": "aa", "after": "0000"});
        assert_eq!(Event::of(&gone), None);
    }

    #[test]
    fn pull_requests_of_every_host() {
        let request =
            json!({"number": 3, "head": {"ref": "x", "sha": "cc"}, "base": {"ref": "main"}, "merged": true});
        let github = json!({"action": "closed", "number": 3, "pull_request": request, "sender": {"id": 7}});
        let cloud = json!({"actor": {"account_id": "7"}, "pullrequest": {"id": 3, "state": "MERGED",
            "source": {"branch": {"name": "x"}, "commit": {"hash": "cc"}},
            "destination": {"branch": {"name": "main"}}}});
        let server = json!({"eventKey": "pr:merged", "actor": {"id": 7}, "pullRequest": {"id": 3,
            "fromRef": {"id": "refs/heads/x", "latestCommit": "cc"}, "toRef": {"id": "refs/heads/main"}}});
        let expected = [
            ("ACTOR_ACCOUNT_ID", "7"),
            ("BASE_REF", "refs/heads/main"),
            ("EVENT", "PULL_REQUEST_MERGED"),
            ("HEAD_REF", "refs/heads/x"),
            ("TRIGGER", "pr/3"),
        ];
        for payload in [github, cloud, server] {
            assert_eq!(pairs(&payload), owned(&expected), "{payload}");
            let event = Event::of(&payload).unwrap();
            assert_eq!(event.source_version().as_deref(), Some("pr/3"));
            assert_eq!(event.selection(), Selection::PullRequest("x".into()));
        }
    }

    #[test]
    fn a_tag_is_a_push_of_a_tag() {
        let new = json!({"name": "v1", "type": "tag", "target": {"hash": "bb"}});
        let payload = json!({"push": {"changes": [{"new": null}, {"new": new, "old": null}]}});
        let event = Event::of(&payload).unwrap();
        assert_eq!(event.selection(), Selection::Tag("v1".into()));
        assert_eq!(pairs(&payload).last(), Some(&("TRIGGER", "tag/v1".to_owned())));
    }

    #[test]
    fn what_starts_no_build_is_none() {
        for payload in [
            json!({}),
            json!([1]),
            json!({"action": "labeled", "pull_request": {"head": {"ref": "x"}}}),
            json!({"pullrequest": {"id": 1}, "comment": {}}),
            json!({"eventKey": "repo:forked"}),
            json!({"push": {"changes": []}}),
        ] {
            assert_eq!(Event::of(&payload), None, "{payload}");
        }
    }

    /// Payloads as the hosts sent them; nothing outside the team's own machines.
    #[test]
    fn real_payloads_are_told_rightly() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
        if !root.is_dir() {
            let mut stderr = std::io::stderr();
            drop(writeln!(stderr, "SKIPPED: the payloads are not at {}", root.display()));
            return;
        }
        let mut told: BTreeMap<(String, &str), usize> = BTreeMap::new();
        for entry in walkdir::WalkDir::new(&root).into_iter().map(Result::unwrap) {
            let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
            let Ok(payload) = serde_json::from_str::<Value>(&text) else { continue };
            let host = entry.path().strip_prefix(&root).unwrap().components().next().unwrap();
            let event = Event::of(&payload);
            if let Some(event) = &event {
                assert!(event.head_ref.starts_with("refs/"), "{}: {event:?}", entry.path().display());
                assert!(event.source_version().is_some(), "{}: {event:?}", entry.path().display());
            }
            let kind = event.map_or("", |event| event.kind);
            *told.entry((host.as_os_str().to_string_lossy().into_owned(), kind)).or_default() += 1;
        }
        let told: Vec<String> =
            told.iter().map(|((host, kind), count)| format!("{host} {kind} {count}")).collect();
        let expected = [
            "bitbucket-cloud  16",
            "bitbucket-cloud PULL_REQUEST_CLOSED 2",
            "bitbucket-cloud PULL_REQUEST_CREATED 7",
            "bitbucket-cloud PULL_REQUEST_MERGED 1",
            "bitbucket-cloud PULL_REQUEST_UPDATED 4",
            "bitbucket-cloud PUSH 10",
            "bitbucket-dc  21",
            "bitbucket-dc PULL_REQUEST_CLOSED 1",
            "bitbucket-dc PULL_REQUEST_CREATED 2",
            "bitbucket-dc PULL_REQUEST_MERGED 1",
            "bitbucket-dc PULL_REQUEST_UPDATED 1",
            "bitbucket-dc PUSH 4",
            "github  92",
            "github PRERELEASED 2",
            "github PULL_REQUEST_CLOSED 2",
            "github PULL_REQUEST_CREATED 3",
            "github PULL_REQUEST_REOPENED 2",
            "github PULL_REQUEST_UPDATED 1",
            "github PUSH 2",
            "github RELEASED 1",
        ];
        assert_eq!(told, expected);
    }
}
