//! The sources, and what belongs to the machine.

use super::{Handler, Inputs, Native};

pub(super) const TABLE: &[(&str, Handler)] = &[
    ("actions/checkout", checkout),
    ("step-security/harden-runner", hardening),
    ("jlumbroso/free-disk-space", disk),
    ("easimon/maximize-build-space", disk),
    ("styfle/cancel-workflow-action", cancel),
    ("webfactory/ssh-agent", ssh_agent),
    ("de-vri-es/setup-git-credentials", git_credentials),
    ("ad-m/github-push-action", push),
    ("stefanzweifel/git-auto-commit-action", commit),
];

fn checkout(inputs: &mut Inputs<'_>) -> Option<Native> {
    let repository = inputs.word("repository");
    let path = inputs.word("path");
    let reference = inputs.word("ref");
    let submodules = inputs.known("submodules").filter(|value| value != "false");
    let lfs = inputs.flag("lfs", false);
    let depth = inputs.known("fetch-depth");
    inputs.take("token");
    inputs.take("ssh-key");
    inputs.idle(
        &[
            "persist-credentials",
            "clean",
            "sparse-checkout",
            "sparse-checkout-cone-mode",
            "filter",
            "fetch-tags",
            "show-progress",
            "set-safe-directory",
            "allow-unsafe-pr-checkout",
            "ssh-strict",
            "ssh-known-hosts",
        ],
        "CodeBuild fetches the sources itself",
    );
    let own = matches!(repository.as_deref(), None | Some("\"$GITHUB_REPOSITORY\""));
    if own && path.is_none() {
        let mut commands = Vec::new();
        if let Some(reference) = &reference {
            let current = [
                "\"$GITHUB_SHA\"",
                "\"$GITHUB_REF\"",
                "\"$GITHUB_HEAD_REF\"",
                "\"$CODEBUILD_RESOLVED_SOURCE_VERSION\"",
                "\"${CODEBUILD_WEBHOOK_HEAD_REF#refs/heads/}\"",
            ];
            if !current.contains(&reference.as_str()) {
                commands.push(format!("git fetch origin {reference}"));
                commands.push("git checkout FETCH_HEAD".into());
            }
        }
        if let Some(submodules) = submodules {
            let recursive = if submodules == "recursive" { " --recursive" } else { "" };
            commands.push(format!("git submodule update --init{recursive}"));
        }
        if lfs {
            commands.push("git lfs pull".into());
        }
        let native = Native { commands, ..Native::nothing("CodeBuild's own source") };
        return Some(match depth.as_deref() {
            Some("0") => {
                native.differs("set the source's `gitCloneDepth` to 0 in the project for the whole history")
            }
            _ => native,
        });
    }
    let repository = match repository {
        Some(word) => word.trim_matches(['"', '\'']).to_owned(),
        None => "$GITHUB_REPOSITORY".into(),
    };
    let url =
        if own { "$CODEBUILD_SOURCE_REPO_URL".into() } else { format!("https://github.com/{repository}") };
    let path = path.unwrap_or_else(|| ".".into());
    let branch = reference.map(|reference| format!(" --branch {reference}")).unwrap_or_default();
    let depth = if depth.as_deref() == Some("0") { "" } else { " --depth 1" };
    let recursive = if submodules.is_some() { " --recurse-submodules" } else { "" };
    let clone = format!("git clone{depth}{recursive}{branch} \"{url}\" {path}");
    Some(Native::commands([clone]).differs(
        "a private repository needs `env.git-credential-helper: yes`; a secondary source of the project does the same",
    ))
}

fn hardening(inputs: &mut Inputs<'_>) -> Option<Native> {
    inputs.idle(
        &["egress-policy", "allowed-endpoints", "disable-sudo", "disable-telemetry"],
        "no egress filter",
    );
    Some(
        Native::nothing("left out")
            .differs("nothing watches the network: use the project's VPC and security groups"),
    )
}

fn disk(inputs: &mut Inputs<'_>) -> Option<Native> {
    let names =
        ["tool-cache", "android", "dotnet", "haskell", "large-packages", "docker-images", "swap-storage"];
    inputs.idle(&names, "the build has a disk of its own");
    Some(Native::nothing("left out: the build has a disk of its own"))
}

fn cancel(inputs: &mut Inputs<'_>) -> Option<Native> {
    inputs.idle(
        &["access_token", "workflow_id", "all_but_latest", "ignore_sha"],
        "no older builds are stopped",
    );
    Some(
        Native::nothing("left out")
            .differs("older builds of a branch go on: set the project's auto-build options"),
    )
}

fn ssh_agent(inputs: &mut Inputs<'_>) -> Option<Native> {
    let key = inputs.word("ssh-private-key")?;
    let commands = ["eval \"$(ssh-agent)\"".to_owned(), format!("echo {key} | tr -d '\\r' | ssh-add -")];
    Some(Native::commands(commands))
}

fn git_credentials(inputs: &mut Inputs<'_>) -> Option<Native> {
    let credentials = inputs.word("credentials")?;
    let commands = [
        "git config --global credential.helper store".to_owned(),
        format!("echo {credentials} > ~/.git-credentials"),
    ];
    Some(Native::commands(commands))
}

fn push(inputs: &mut Inputs<'_>) -> Option<Native> {
    inputs.take("github_token");
    let branch =
        inputs.inside("branch").unwrap_or_else(|| "${CODEBUILD_WEBHOOK_HEAD_REF#refs/heads/}".into());
    let force = if inputs.flag("force", false) { " --force" } else { "" };
    let tags = if inputs.flag("tags", false) { " --tags" } else { "" };
    Some(
        Native::commands([format!("git push{force}{tags} origin \"HEAD:{branch}\"")])
            .differs("the source's credential must be allowed to push: set `env.git-credential-helper: yes`"),
    )
}

fn commit(inputs: &mut Inputs<'_>) -> Option<Native> {
    let message = inputs.word("commit_message").unwrap_or_else(|| "'Apply automatic changes'".into());
    let files = inputs.plain("file_pattern").unwrap_or_else(|| ".".into());
    inputs.idle(&["commit_user_name", "commit_user_email", "commit_author"], "git's own configuration");
    let commands = [
        format!("git add {files}"),
        format!(
            "git diff --cached --quiet || git -c user.name=codebuild -c user.email=codebuild@localhost commit -m {message}"
        ),
        "git push origin \"HEAD:${CODEBUILD_WEBHOOK_HEAD_REF#refs/heads/}\"".to_owned(),
    ];
    Some(
        Native::commands(commands)
            .differs("the source's credential must be allowed to push: set `env.git-credential-helper: yes`"),
    )
}
