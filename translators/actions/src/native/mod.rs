//! Actions that CodeBuild needs none of, having the same itself: one small function each, a file a family.

mod artifacts;
mod aws;
mod cache;
mod checks;
mod docker;
mod inputs;
mod languages;
mod publish;
mod repository;
mod rust;
mod tools;

use indexmap::IndexMap;
use runspan_buildspec::{Artifact, Cache, Report};

use crate::translate::Lowered;
pub(crate) use inputs::Inputs;

/// What an action is in a buildspec.
#[derive(Clone, Debug, Default)]
pub(crate) struct Native {
    /// In a few words.
    pub(crate) became: String,
    /// What differs; nothing when it does the same.
    pub(crate) difference: Option<String>,
    /// Commands in its place.
    pub(crate) commands: Vec<String>,
    /// Commands of the `install` phase.
    pub(crate) install: Vec<String>,
    /// `runtime-versions`.
    pub(crate) runtimes: Vec<(&'static str, String)>,
    /// `cache`.
    pub(crate) cache: Option<Cache>,
    /// `artifacts`: name and settings.
    pub(crate) artifacts: Vec<(String, Artifact)>,
    /// `reports`: group and settings.
    pub(crate) reports: Vec<(String, Report)>,
    /// It needs Docker.
    pub(crate) privileged: bool,
    /// What later steps ask of it.
    pub(crate) outputs: IndexMap<String, Lowered>,
}

impl Native {
    /// Commands that do the same.
    pub(crate) fn commands(commands: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let commands: Vec<String> = commands.into_iter().map(Into::into).collect();
        Self { became: "commands".into(), commands, ..Self::default() }
    }

    /// Nothing is needed.
    pub(crate) fn nothing(why: impl Into<String>) -> Self {
        Self { became: why.into(), ..Self::default() }
    }

    /// Commands before everything else.
    pub(crate) fn install(commands: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let install = commands.into_iter().map(Into::into).collect();
        Self { became: "commands of `install`".into(), install, ..Self::default() }
    }

    pub(crate) fn differs(self, difference: impl Into<String>) -> Self {
        let difference = difference.into();
        let difference = match self.difference {
            Some(before) => format!("{before}; {difference}"),
            None => difference,
        };
        Self { difference: Some(difference), ..self }
    }

    pub(crate) fn output(mut self, name: &str, lowered: Lowered) -> Self {
        self.outputs.insert(name.into(), lowered);
        self
    }
}

/// What an action becomes; nothing when it needs the engine after all.
pub(crate) type Handler = fn(&mut Inputs<'_>) -> Option<Native>;

/// Every family's table.
const FAMILIES: &[&[(&str, Handler)]] = &[
    repository::TABLE,
    languages::TABLE,
    rust::TABLE,
    tools::TABLE,
    cache::TABLE,
    artifacts::TABLE,
    aws::TABLE,
    docker::TABLE,
    checks::TABLE,
    publish::TABLE,
];

/// The function for an action, named without its version.
pub(crate) fn handler(action: &str) -> Option<Handler> {
    let mut entries = FAMILIES.iter().flat_map(|family| family.iter());
    entries.find(|(name, _)| name.eq_ignore_ascii_case(action)).map(|(_, handler)| *handler)
}

/// Why an action is of no use outside of GitHub; nothing when it is.
pub(crate) fn bound_to_github(action: &str) -> Option<&'static str> {
    const ISSUES: &str = "it works on GitHub's issues and pull requests: leave this workflow on GitHub";
    const SCRIPT: &str =
        "its script talks to GitHub's interface: rewrite it with `gh api` and a GITHUB_TOKEN";
    const SCANNING: &str = "its results belong to GitHub's code scanning: run the scanner's own command line";
    const PAGES: &str = "it deploys to GitHub Pages: upload the files to a bucket, or leave it on GitHub";
    const RUNS: &str = "it works on GitHub's workflow runs, which a build does not know";
    let name = action.to_ascii_lowercase();
    let parts: Vec<&str> = name.splitn(3, '/').collect();
    Some(match parts.as_slice() {
        ["actions", "github-script"] => SCRIPT,
        ["actions", "deploy-pages" | "configure-pages"] => PAGES,
        [
            "actions",
            "stale" | "labeler" | "first-interaction" | "add-to-project" | "dependency-review-action",
        ]
        | ["github", "issue-labeler"]
        | ["dessant", ..]
        | ["aws-github-ops" | "gagoar" | "release-drafter" | "anthropics", ..]
        | ["aws-actions", "stale-issue-cleanup"]
        | ["amannn", "action-semantic-pull-request"]
        | ["prince-chrismc", "label-merge-conflicts-action"]
        | ["trstringer", "manual-approval"]
        | [
            "peter-evans",
            "create-pull-request" | "create-or-update-comment" | "repository-dispatch" | "find-comment",
        ] => ISSUES,
        ["github", "codeql-action", ..] | ["advanced-security", ..] => SCANNING,
        ["dawidd6", "action-download-artifact"] | ["re-actors", "alls-green"] => RUNS,
        _ => return None,
    })
}
