//! Releases, packages and pages.

use super::{Handler, Inputs, Native};

pub(super) const TABLE: &[(&str, Handler)] = &[
    ("softprops/action-gh-release", release),
    ("ncipollo/release-action", release),
    ("actions/create-release", release),
    ("actions/upload-release-asset", asset),
    ("goreleaser/goreleaser-action", goreleaser),
    ("pypa/gh-action-pypi-publish", pypi),
    ("pypa/cibuildwheel", wheels),
    ("peaceiris/actions-gh-pages", pages),
    ("JamesIves/github-pages-deploy-action", pages),
    ("mhausenblas/mkdocs-deploy-gh-pages", mkdocs),
];

const GH: &str = "`gh` must be in the image, and GITHUB_TOKEN given";

fn release(inputs: &mut Inputs<'_>) -> Option<Native> {
    let tag = inputs.inside("tag_name").or_else(|| inputs.inside("tag"));
    let tag = tag.unwrap_or_else(|| "${CODEBUILD_WEBHOOK_HEAD_REF#refs/tags/}".into());
    let tag = tag.strip_prefix("refs/tags/").unwrap_or(&tag).to_owned();
    let mut command = format!("gh release create \"{tag}\"");
    for (input, option) in [
        ("name", "title"),
        ("release_name", "title"),
        ("body", "notes"),
        ("body_path", "notes-file"),
        ("target_commitish", "target"),
        ("commit", "target"),
    ] {
        if let Some(value) = inputs.word(input) {
            command.push_str(&format!(" --{option} {value}"));
        }
    }
    for (input, option) in
        [("draft", "draft"), ("prerelease", "prerelease"), ("generate_release_notes", "generate-notes")]
    {
        if inputs.flag(input, false) {
            command.push_str(&format!(" --{option}"));
        }
    }
    let mut files = inputs.lines("files");
    files.extend(
        inputs
            .plain("artifacts")
            .into_iter()
            .flat_map(|list| list.split(',').map(str::to_owned).collect::<Vec<_>>()),
    );
    files.iter().for_each(|file| command.push_str(&format!(" {file}")));
    inputs.take("token");
    inputs.idle(
        &[
            "repository",
            "fail_on_unmatched_files",
            "append_body",
            "make_latest",
            "overwrite_files",
            "allowupdates",
            "discussion_category_name",
            "preserve_order",
        ],
        "gh's default",
    );
    Some(Native::commands([command]).differs(GH))
}

fn asset(inputs: &mut Inputs<'_>) -> Option<Native> {
    let path = inputs.word("asset_path")?;
    inputs.take("upload_url");
    inputs.idle(&["asset_name", "asset_content_type"], "the file's own name and type");
    Some(
        Native::commands([format!(
            "gh release upload \"${{CODEBUILD_WEBHOOK_HEAD_REF#refs/tags/}}\" {path}"
        )])
        .differs(GH),
    )
}

fn goreleaser(inputs: &mut Inputs<'_>) -> Option<Native> {
    let arguments = inputs.plain("args").unwrap_or_else(|| "release".into());
    let directory = inputs.word("workdir");
    inputs.idle(&["distribution", "install-only"], "the plain distribution");
    inputs.idle(&["version"], "the latest version");
    let run = format!("curl -sSfL https://goreleaser.com/static/run | bash -s -- {arguments}");
    Some(Native::commands([match directory {
        Some(directory) => format!("(cd {directory} && {run})"),
        None => run,
    }]))
}

fn pypi(inputs: &mut Inputs<'_>) -> Option<Native> {
    let user = inputs.word("user").unwrap_or_else(|| "__token__".into());
    let password = inputs.word("password").unwrap_or_else(|| "\"$PYPI_TOKEN\"".into());
    let directory = inputs.plain("packages-dir").or_else(|| inputs.plain("packages_dir"));
    let directory = directory.unwrap_or_else(|| "dist".into());
    let url = inputs.word("repository-url").or_else(|| inputs.word("repository_url"));
    let url = url.map(|url| format!(" --repository-url {url}")).unwrap_or_default();
    let skip = if inputs.flag("skip-existing", false) { " --skip-existing" } else { "" };
    inputs.idle(&["verify-metadata", "verbose", "print-hash", "attestations"], "twine's default");
    Some(
        Native::commands([
            "pip install twine".to_owned(),
            format!(
                "TWINE_USERNAME={user} TWINE_PASSWORD={password} twine upload{url}{skip} {}/*",
                directory.trim_end_matches('/')
            ),
        ])
        .differs("trusted publishing needs GitHub: give PYPI_TOKEN"),
    )
}

fn wheels(inputs: &mut Inputs<'_>) -> Option<Native> {
    let output = inputs.word("output-dir").unwrap_or_else(|| "wheelhouse".into());
    let package = inputs.word("package-dir").unwrap_or_else(|| ".".into());
    inputs.idle(&["config-file", "only", "extras"], "cibuildwheel's default");
    Some(Native {
        privileged: true,
        ..Native::commands([
            "pip install cibuildwheel".to_owned(),
            format!("cibuildwheel --output-dir {output} {package}"),
        ])
    })
}

fn pages(inputs: &mut Inputs<'_>) -> Option<Native> {
    let directory =
        inputs.inside("publish_dir").or_else(|| inputs.inside("folder")).unwrap_or_else(|| "public".into());
    let branch = inputs
        .inside("publish_branch")
        .or_else(|| inputs.inside("branch"))
        .unwrap_or_else(|| "gh-pages".into());
    inputs.take("github_token");
    inputs.take("deploy_key");
    inputs.take("personal_token");
    inputs.idle(
        &[
            "cname",
            "force_orphan",
            "user_name",
            "user_email",
            "commit_message",
            "keep_files",
            "destination_dir",
            "enable_jekyll",
            "clean",
            "single-commit",
            "allow_empty_commit",
            "full_commit_message",
            "exclude_assets",
        ],
        "a commit of its own each time",
    );
    Some(Native::commands([format!(
        "(cd \"{directory}\" && git init -q && git add . && git -c user.name=codebuild -c user.email=codebuild@localhost commit \
         -qm \"Deploy $CODEBUILD_RESOLVED_SOURCE_VERSION\" && git push --force \"$CODEBUILD_SOURCE_REPO_URL\" \"HEAD:{branch}\")"
    )]).differs("the source's credential must be allowed to push: set `env.git-credential-helper: yes`"))
}

fn mkdocs(_: &mut Inputs<'_>) -> Option<Native> {
    Some(
        Native::commands(["pip install mkdocs-material", "mkdocs gh-deploy --force"])
            .differs("the source's credential must be allowed to push: set `env.git-credential-helper: yes`"),
    )
}
