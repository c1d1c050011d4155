//! What GitHub tells a job, in terms of what CodeBuild tells a build.

/// A variable of GitHub's own and how it is computed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// In the `github` or `runner` context.
    pub(crate) context: &'static str,
    /// In the environment.
    pub(crate) variable: &'static str,
    /// What it is, inside double quotes of the shell.
    pub(crate) value: &'static str,
    /// What differs.
    pub(crate) difference: Option<&'static str>,
}

const fn given(context: &'static str, variable: &'static str, value: &'static str) -> Given {
    Given { context, variable, value, difference: None }
}

const fn nearly(
    context: &'static str,
    variable: &'static str,
    value: &'static str,
    difference: &'static str,
) -> Given {
    Given { context, variable, value, difference: Some(difference) }
}

const REF: &str = "${CODEBUILD_WEBHOOK_HEAD_REF:-$CODEBUILD_SOURCE_VERSION}";
const REPOSITORY: &str =
    "$(echo \"$CODEBUILD_SOURCE_REPO_URL\" | sed -E 's#^.*[:/]([^/]+/[^/]+)$#\\1#; s#[.]git$##')";
const EVENT: &str = "$(case \"$CODEBUILD_WEBHOOK_EVENT\" in PULL_REQUEST*) echo pull_request ;; PUSH) echo push ;; \
                     *RELEASED) echo release ;; *) echo workflow_dispatch ;; esac)";
const OF_PULL_REQUEST: &str = "the head branch stands where GitHub has the merge of a pull request";

const TABLE: &[Given] = &[
    given("sha", "GITHUB_SHA", "$CODEBUILD_RESOLVED_SOURCE_VERSION"),
    nearly("ref", "GITHUB_REF", REF, OF_PULL_REQUEST),
    nearly(
        "ref_name",
        "GITHUB_REF_NAME",
        "$(echo \"${CODEBUILD_WEBHOOK_HEAD_REF:-$CODEBUILD_SOURCE_VERSION}\" | sed -E 's#^refs/(heads|tags)/##')",
        OF_PULL_REQUEST,
    ),
    given(
        "ref_type",
        "GITHUB_REF_TYPE",
        "$(case \"$CODEBUILD_WEBHOOK_HEAD_REF\" in refs/tags/*) echo tag ;; *) echo branch ;; esac)",
    ),
    given(
        "head_ref",
        "GITHUB_HEAD_REF",
        "$(case \"$CODEBUILD_WEBHOOK_EVENT\" in PULL_REQUEST*) echo \"${CODEBUILD_WEBHOOK_HEAD_REF#refs/heads/}\" ;; esac)",
    ),
    given("base_ref", "GITHUB_BASE_REF", "${CODEBUILD_WEBHOOK_BASE_REF#refs/heads/}"),
    nearly(
        "event_name",
        "GITHUB_EVENT_NAME",
        EVENT,
        "a build that no webhook started counts as workflow_dispatch",
    ),
    given("repository", "GITHUB_REPOSITORY", REPOSITORY),
    given(
        "repository_owner",
        "GITHUB_REPOSITORY_OWNER",
        "$(echo \"$CODEBUILD_SOURCE_REPO_URL\" | sed -E 's#^.*[:/]([^/]+)/[^/]+$#\\1#')",
    ),
    nearly(
        "actor",
        "GITHUB_ACTOR",
        "$CODEBUILD_WEBHOOK_ACTOR_ACCOUNT_ID",
        "it is the account's number, not its name",
    ),
    nearly(
        "triggering_actor",
        "GITHUB_TRIGGERING_ACTOR",
        "$CODEBUILD_WEBHOOK_ACTOR_ACCOUNT_ID",
        "it is the account's number, not its name",
    ),
    given("workspace", "GITHUB_WORKSPACE", "$CODEBUILD_SRC_DIR"),
    given("run_id", "GITHUB_RUN_ID", "${CODEBUILD_BUILD_ID##*:}"),
    given("run_number", "GITHUB_RUN_NUMBER", "$CODEBUILD_BUILD_NUMBER"),
    nearly("run_attempt", "GITHUB_RUN_ATTEMPT", "1", "a retry is a build of its own"),
    given("server_url", "GITHUB_SERVER_URL", "https://github.com"),
    given("api_url", "GITHUB_API_URL", "https://api.github.com"),
    given("graphql_url", "GITHUB_GRAPHQL_URL", "https://api.github.com/graphql"),
    given("token", "GITHUB_TOKEN", ""),
    given("temp", "RUNNER_TEMP", "/tmp"),
    given("tool_cache", "RUNNER_TOOL_CACHE", "/opt/hostedtoolcache"),
    nearly("name", "RUNNER_NAME", "$CODEBUILD_BUILD_ID", "the build stands for the machine"),
];

/// Every variable, in the order they are set.
pub(crate) fn all() -> impl Iterator<Item = &'static Given> {
    TABLE.iter()
}

/// Of the `github` context; a few of `runner`, whose names do not collide.
pub(crate) fn by_context(name: &str) -> Option<&'static Given> {
    TABLE.iter().find(|given| given.context.eq_ignore_ascii_case(name))
}

/// Those whose names stand in a text.
pub(crate) fn in_text(text: &str) -> impl Iterator<Item = &'static Given> {
    let mentioned = text.contains("GITHUB_") || text.contains("RUNNER_");
    TABLE.iter().filter(move |given| mentioned && has_word(text, given.variable))
}

/// The event of the host, as far as CodeBuild tells of it: inside double quotes, and what differs.
pub(crate) fn event(path: &[&str]) -> Option<(&'static str, Option<&'static str>)> {
    const FORK: &str =
        "a fork's pull request counts as the repository's own: let the webhook's build policy keep forks out";
    let path = path.join(".").to_ascii_lowercase();
    Some(match path.as_str() {
        "number" | "pull_request.number" | "issue.number" => ("${CODEBUILD_WEBHOOK_TRIGGER#pr/}", None),
        "pull_request.head.ref" => ("${CODEBUILD_WEBHOOK_HEAD_REF#refs/heads/}", None),
        "pull_request.base.ref" => ("${CODEBUILD_WEBHOOK_BASE_REF#refs/heads/}", None),
        "pull_request.head.sha" | "after" | "head_commit.id" => ("$CODEBUILD_RESOLVED_SOURCE_VERSION", None),
        "before" | "pull_request.base.sha" => {
            ("$CODEBUILD_WEBHOOK_PREV_COMMIT", Some("empty but for a push"))
        }
        "pull_request.head.repo.full_name" => (REPOSITORY, Some(FORK)),
        "repository.full_name" | "pull_request.base.repo.full_name" => (REPOSITORY, None),
        "pull_request.head.repo.fork" => ("false", Some(FORK)),
        "repository.name" => ("$(basename \"$CODEBUILD_SOURCE_REPO_URL\" .git)", None),
        "release.tag_name" => ("${CODEBUILD_WEBHOOK_HEAD_REF#refs/tags/}", None),
        "head_commit.message" => ("$(git log -1 --format=%B)", None),
        "pull_request.merged" => {
            ("$([ \"$CODEBUILD_WEBHOOK_EVENT\" = PULL_REQUEST_MERGED ] && echo true)", None)
        }
        "pull_request.draft" => ("false", Some("CodeBuild does not tell drafts apart")),
        "action" => (
            "$(case \"$CODEBUILD_WEBHOOK_EVENT\" in *_CREATED) echo opened ;; *_UPDATED) echo synchronize ;; \
             *_REOPENED) echo reopened ;; *_MERGED|*_CLOSED) echo closed ;; RELEASED) echo released ;; esac)",
            Some("other actions do not start builds"),
        ),
        _ => return None,
    })
}

/// Whether a name stands in a text as a word.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(inside) && !text[at + word.len()..].starts_with(inside))
}
