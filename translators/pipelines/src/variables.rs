//! Bitbucket's variables, by CodeBuild's.

use std::collections::HashSet;

use crate::draft::{Command, Draft};
use crate::file::Translator;
use crate::shell_text::names;

/// A variable and what it is made of; what somebody gives with `--env` stays.
const KNOWN: &[(&str, &str)] = &[
    ("BITBUCKET_COMMIT", "$CODEBUILD_RESOLVED_SOURCE_VERSION"),
    ("BITBUCKET_BUILD_NUMBER", "$CODEBUILD_BUILD_NUMBER"),
    ("BITBUCKET_CLONE_DIR", "$CODEBUILD_SRC_DIR"),
    ("BITBUCKET_BRANCH", "${CODEBUILD_WEBHOOK_HEAD_REF#refs/heads/}"),
    ("BITBUCKET_TAG", "${CODEBUILD_WEBHOOK_HEAD_REF#refs/tags/}"),
    ("BITBUCKET_PR_ID", "${CODEBUILD_SOURCE_VERSION#pr/}"),
    ("BITBUCKET_PR_DESTINATION_BRANCH", "${CODEBUILD_WEBHOOK_BASE_REF#refs/heads/}"),
    ("BITBUCKET_REPO_SLUG", "$(basename \"$CODEBUILD_SOURCE_REPO_URL\" .git)"),
    ("BITBUCKET_WORKSPACE", "$(basename \"$(dirname \"$CODEBUILD_SOURCE_REPO_URL\")\")"),
    ("BITBUCKET_REPO_OWNER", "$(basename \"$(dirname \"$CODEBUILD_SOURCE_REPO_URL\")\")"),
    (
        "BITBUCKET_REPO_FULL_NAME",
        "$(basename \"$(dirname \"$CODEBUILD_SOURCE_REPO_URL\")\")/$(basename \"$CODEBUILD_SOURCE_REPO_URL\" .git)",
    ),
    ("BITBUCKET_GIT_HTTP_ORIGIN", "$CODEBUILD_SOURCE_REPO_URL"),
    ("BITBUCKET_GIT_SSH_ORIGIN", "$CODEBUILD_SOURCE_REPO_URL"),
    ("BITBUCKET_STEP_UUID", "{${CODEBUILD_BUILD_ID##*:}}"),
    ("BITBUCKET_PIPELINE_UUID", "{${CODEBUILD_BUILD_ID##*:}}"),
    ("BITBUCKET_STEP_RUN_NUMBER", "1"),
    ("BITBUCKET_DOCKER_HOST_INTERNAL", "host.docker.internal"),
    ("BITBUCKET_PIPELINES_VARIABLES_PATH", "/tmp/pipelines-variables"),
];

/// Set where they have a meaning at all.
const ELSEWHERE: &[&str] = &[
    "BITBUCKET_EXIT_CODE",
    "BITBUCKET_PARALLEL_STEP",
    "BITBUCKET_PARALLEL_STEP_COUNT",
    "BITBUCKET_DEPLOYMENT_ENVIRONMENT",
];

impl Translator<'_> {
    /// Variables of Bitbucket's that nothing here has a value for.
    pub(crate) fn unknown_variables(&self, used: &str) -> Vec<String> {
        let mut unknown: Vec<String> = Vec::new();
        for name in
            names(used).filter(|name| name.starts_with("BITBUCKET_") || *name == "PIPELINES_JWT_TOKEN")
        {
            let known = KNOWN.iter().any(|(known, _)| *known == name) || ELSEWHERE.contains(&name);
            if !known && !unknown.iter().any(|other| other == name) {
                unknown.push(name.to_owned());
            }
        }
        unknown
    }
}

/// The command that sets what the texts use.
pub(crate) fn set(draft: &Draft) -> Option<Command> {
    let used: HashSet<&str> = names(&draft.used).collect();
    let lines: Vec<String> = KNOWN
        .iter()
        .filter(|(name, _)| used.contains(name))
        .map(|(name, value)| match value.strip_prefix('{') {
            // A brace would end the default too early.
            Some(_) => format!("export {name}=\"{value}\""),
            None => format!("export {name}=\"${{{name}:-{value}}}\""),
        })
        .collect();
    (!lines.is_empty()).then(|| Command::plain(lines.join("\n")))
}
