//! Variables that Jenkins gives to a build, and where CodeBuild has them.

/// Name, and the commands that set it.
const GIVEN: &[(&str, &str)] = &[
    ("BRANCH_NAME", BRANCH),
    ("BUILD_DISPLAY_NAME", "BUILD_DISPLAY_NAME=\"#$CODEBUILD_BUILD_NUMBER\""),
    ("BUILD_ID", "BUILD_ID=\"$CODEBUILD_BUILD_NUMBER\""),
    ("BUILD_NUMBER", "BUILD_NUMBER=\"$CODEBUILD_BUILD_NUMBER\""),
    ("BUILD_TAG", "BUILD_TAG=\"${CODEBUILD_BUILD_ID%%:*}-$CODEBUILD_BUILD_NUMBER\""),
    ("BUILD_URL", "BUILD_URL=\"$CODEBUILD_BUILD_URL\""),
    ("CHANGE_BRANCH", "CHANGE_BRANCH=\"${CODEBUILD_WEBHOOK_HEAD_REF#refs/heads/}\""),
    (
        "CHANGE_ID",
        "case \"$CODEBUILD_WEBHOOK_TRIGGER\" in pr/*) CHANGE_ID=\"${CODEBUILD_WEBHOOK_TRIGGER#pr/}\" ;; esac",
    ),
    ("CHANGE_TARGET", "CHANGE_TARGET=\"${CODEBUILD_WEBHOOK_BASE_REF#refs/heads/}\""),
    ("EXECUTOR_NUMBER", "EXECUTOR_NUMBER=0"),
    (
        "GIT_BRANCH",
        "GIT_BRANCH=\"${CODEBUILD_WEBHOOK_HEAD_REF:-$CODEBUILD_SOURCE_VERSION}\"\nGIT_BRANCH=\"${GIT_BRANCH#refs/heads/}\"",
    ),
    ("GIT_COMMIT", "GIT_COMMIT=\"$CODEBUILD_RESOLVED_SOURCE_VERSION\""),
    ("GIT_URL", "GIT_URL=\"$CODEBUILD_SOURCE_REPO_URL\""),
    ("JOB_BASE_NAME", "JOB_BASE_NAME=\"${CODEBUILD_BUILD_ID%%:*}\""),
    ("JOB_NAME", "JOB_NAME=\"${CODEBUILD_BUILD_ID%%:*}\""),
    ("NODE_NAME", "NODE_NAME=codebuild"),
    ("RUN_DISPLAY_URL", "RUN_DISPLAY_URL=\"$CODEBUILD_BUILD_URL\""),
    (
        "TAG_NAME",
        "case \"$CODEBUILD_WEBHOOK_TRIGGER\" in tag/*) TAG_NAME=\"${CODEBUILD_WEBHOOK_TRIGGER#tag/}\" ;; esac",
    ),
    ("WORKSPACE", "WORKSPACE=\"$CODEBUILD_SRC_DIR\""),
];

const BRANCH: &str = "BRANCH_NAME=\"${CODEBUILD_WEBHOOK_HEAD_REF:-$CODEBUILD_SOURCE_VERSION}\"\nBRANCH_NAME=\"${BRANCH_NAME#refs/heads/}\"";

/// Whether Jenkins gives it.
pub(super) fn is_given(name: &str) -> bool {
    GIVEN.iter().any(|(given, _)| *given == name)
}

/// The commands that set what some text uses and nobody else sets.
pub(super) fn needed<'t>(texts: impl Iterator<Item = &'t str>, set: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut used = vec![false; GIVEN.len()];
    for text in texts {
        for (at, _) in text.match_indices('$') {
            let name = text[at + 1..].strip_prefix('{').unwrap_or(&text[at + 1..]);
            let end = name.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(name.len());
            if let Some(found) = GIVEN.iter().position(|(given, _)| *given == &name[..end]) {
                used[found] = true;
            }
        }
    }
    GIVEN
        .iter()
        .zip(used)
        .filter(|((name, _), used)| *used && !set(name))
        .map(|((_, commands), _)| (*commands).to_owned())
        .collect()
}
