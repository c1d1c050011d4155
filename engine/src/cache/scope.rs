//! Whose caches a build sees, and whose it writes.

use serde_json::Value;

use super::version;
use crate::request::BuildRequest;

/// The versions of a cache that a build looks for, in order; the first is the one that it saves.
///
/// Anybody may ask for a pull to be merged, so what such a build leaves is found by builds of the same pull request and
/// by nobody else. It finds what the project's other builds left.
pub fn versions(request: &BuildRequest, paths: &[String]) -> Vec<String> {
    let shared = version(paths);
    let own = pull_request(request).map(|number| format!("{shared}-pr-{number}"));
    own.into_iter().chain([shared]).collect()
}

/// The number of the pull request that a build is of.
pub fn pull_request(request: &BuildRequest) -> Option<&str> {
    let of_github = |member: &str| request.job.as_ref()?.github.get(member).and_then(Value::as_str);
    // `pull_request_target` runs what the target has, and is trusted like it.
    let of_job = || of_github("ref").filter(|_| of_github("event_name") == Some("pull_request"));
    let trigger = || {
        let variables = request.environment.iter();
        let mut triggers = variables.filter(|variable| variable.name == "CODEBUILD_WEBHOOK_TRIGGER");
        triggers.next_back().map(|variable| variable.value.as_str())
    };
    let version = request.source_version.as_deref();
    of_job().and_then(number).or_else(|| version.and_then(number)).or_else(|| trigger().and_then(number))
}

/// As in `pr/7`, `refs/pull/7/merge`, and `refs/merge-requests/7/head`.
fn number(version: &str) -> Option<&str> {
    let rest = ["pr/", "refs/pull/", "refs/pull-requests/", "refs/merge-requests/"]
        .iter()
        .find_map(|begin| version.strip_prefix(begin))?;
    let number = rest.split(['/', '^']).next().unwrap_or_default();
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::EnvironmentVariable;
    use crate::steps::JobContexts;

    #[test]
    fn what_a_pull_request_leaves_is_for_itself() {
        let paths = ["a".to_owned()];
        let shared = version(&paths);
        let own = format!("{shared}-pr-7");
        let of = |request: &BuildRequest| versions(request, &paths);
        let at =
            |version: &str| BuildRequest { source_version: Some(version.into()), ..BuildRequest::default() };
        for version in ["pr/7", "refs/pull/7/merge", "refs/pull/7/head^{0123}", "refs/merge-requests/7/head"]
        {
            assert_eq!(of(&at(version)), [own.clone(), shared.clone()], "{version}");
        }
        for version in ["main", "refs/heads/pr/7", "pr/", "pr/x", "pr/../7"] {
            assert_eq!(of(&at(version)), std::slice::from_ref(&shared), "{version}");
        }
        let hooked = |trigger| {
            let environment = vec![EnvironmentVariable::plain("CODEBUILD_WEBHOOK_TRIGGER", trigger)];
            of(&BuildRequest { environment, ..BuildRequest::default() })
        };
        assert_eq!((hooked("pr/7").len(), hooked("branch/main").len()), (2, 1));
        let job = |event: &str| {
            let github = serde_json::json!({ "event_name": event, "ref": "refs/pull/7/merge" });
            of(&BuildRequest {
                job: Some(JobContexts { github, ..JobContexts::default() }),
                ..BuildRequest::default()
            })
        };
        assert_eq!((job("pull_request").len(), job("pull_request_target").len()), (2, 1));
    }
}
