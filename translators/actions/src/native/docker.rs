//! Docker.

use super::{Handler, Inputs, Native};
use crate::translate::{Lowered, ShellText};

pub(super) const TABLE: &[(&str, Handler)] = &[
    ("docker/login-action", login),
    ("docker/setup-buildx-action", buildx),
    ("docker/setup-qemu-action", qemu),
    ("docker/build-push-action", build),
    ("docker/metadata-action", metadata),
    ("docker/setup-docker-action", daemon),
];

fn privileged(commands: impl IntoIterator<Item = impl Into<String>>) -> Native {
    Native { privileged: true, ..Native::commands(commands) }
}

fn login(inputs: &mut Inputs<'_>) -> Option<Native> {
    let registry = inputs.word("registry").map(|registry| format!(" {registry}")).unwrap_or_default();
    let username = inputs.word("username")?;
    let password = inputs.word("password")?;
    inputs.idle(&["logout", "ecr"], "docker keeps the login of one build");
    Some(privileged([format!(
        "echo {password} | docker login --username {username} --password-stdin{registry}"
    )]))
}

fn buildx(inputs: &mut Inputs<'_>) -> Option<Native> {
    let driver = inputs.plain("driver").unwrap_or_else(|| "docker-container".into());
    let options: Vec<_> =
        inputs.lines("driver-opts").iter().map(|option| format!(" --driver-opt {option}")).collect();
    inputs.idle(
        &[
            "version",
            "install",
            "use",
            "buildkitd-flags",
            "platforms",
            "endpoint",
            "cleanup",
            "config",
            "buildkitd-config",
            "cache-binary",
        ],
        "buildx's defaults",
    );
    Some(privileged([format!("docker buildx create --use --driver {driver}{}", options.concat())]))
}

fn qemu(inputs: &mut Inputs<'_>) -> Option<Native> {
    let platforms = inputs.plain("platforms").unwrap_or_else(|| "all".into());
    inputs.idle(&["image", "cache-image"], "binfmt's own image");
    Some(privileged([format!("docker run --privileged --rm tonistiigi/binfmt --install {platforms}")]))
}

fn daemon(inputs: &mut Inputs<'_>) -> Option<Native> {
    inputs.idle(&["version", "daemon-config", "context"], "the image's own");
    Some(Native { privileged: true, ..Native::nothing("left out: a privileged build has Docker") })
}

fn build(inputs: &mut Inputs<'_>) -> Option<Native> {
    let context = inputs.word("context").unwrap_or_else(|| ".".into());
    let mut command = String::from("docker buildx build");
    for (input, option) in [
        ("file", "file"),
        ("target", "target"),
        ("platforms", "platform"),
        ("builder", "builder"),
        ("network", "network"),
    ] {
        if let Some(value) = inputs.word(input) {
            command.push_str(&format!(" --{option} {value}"));
        }
    }
    let mut computed = Vec::new();
    for (input, option) in [
        ("tags", "tag"),
        ("labels", "label"),
        ("build-args", "build-arg"),
        ("secrets", "secret"),
        ("cache-from", "cache-from"),
        ("cache-to", "cache-to"),
        ("outputs", "output"),
        ("build-contexts", "build-context"),
        ("allow", "allow"),
        ("ssh", "ssh"),
    ] {
        let Some(value) = inputs.take(input) else { continue };
        let inside = value.inside();
        let separators: &[char] =
            if input == "tags" || input == "platforms" { &['\n', ','] } else { &['\n'] };
        // A variable may hold several lines: each becomes an option of its own when the command runs.
        if inside.trim() == "$METADATA_TAGS" || inside.trim() == "$METADATA_LABELS" {
            command.push_str(&format!(" $(echo \"{inside}\" | sed 's/^/--{option} /')"));
            continue;
        }
        for line in inside.split(separators).map(str::trim).filter(|line| !line.is_empty()) {
            if line.contains("type=gha") {
                computed.push("GitHub's own cache of layers is left out: use `type=registry`");
                continue;
            }
            let line = if line.contains(['$', ' ', '`', '\\']) { format!("\"{line}\"") } else { line.into() };
            command.push_str(&format!(" --{option} {line}"));
        }
    }
    for (input, flag) in
        [("push", " --push"), ("load", " --load"), ("no-cache", " --no-cache"), ("pull", " --pull")]
    {
        match inputs.take(input) {
            Some(Lowered::Known(value)) if value.to_text().as_ref() == "true" => command.push_str(flag),
            Some(Lowered::Known(_)) | None => {}
            Some(other) => {
                if let Ok(test) = other.test() {
                    command.push_str(&format!(" $(if {}; then echo \"{}\"; fi)", test.text, flag.trim()));
                }
            }
        }
    }
    inputs.idle(
        &[
            "provenance",
            "sbom",
            "attests",
            "github-token",
            "annotations",
            "shm-size",
            "ulimit",
            "add-hosts",
            "no-cache-filters",
            "secret-files",
            "secret-envs",
            "call",
            "cgroup-parent",
        ],
        "buildx's default",
    );
    let command = format!("{command} {context}");
    let native = privileged([command]);
    Some(computed.into_iter().fold(native, Native::differs))
}

fn metadata(inputs: &mut Inputs<'_>) -> Option<Native> {
    let images = inputs.lines("images");
    let tags = inputs.lines("tags");
    inputs.idle(
        &[
            "flavor",
            "labels",
            "annotations",
            "github-token",
            "bake-target",
            "sep-tags",
            "sep-labels",
            "context",
        ],
        "only what is below is computed",
    );
    let mut wanted = Vec::new();
    for tag in &tags {
        let settings: Vec<(&str, &str)> = tag.split(',').filter_map(|part| part.split_once('=')).collect();
        let of = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        wanted.push(match of("type") {
            Some("raw") => of("value").unwrap_or("latest").to_owned(),
            Some("sha") => {
                format!(
                    "{}$(echo \"$CODEBUILD_RESOLVED_SOURCE_VERSION\" | cut -c1-7)",
                    of("prefix").unwrap_or("sha-")
                )
            }
            Some("ref" | "edge") => "$(echo \"${CODEBUILD_WEBHOOK_HEAD_REF##*/}\" | tr / -)".into(),
            Some("semver" | "pep440" | "match") => {
                "$(echo \"${CODEBUILD_WEBHOOK_HEAD_REF#refs/tags/}\" | sed 's/^v//')".into()
            }
            Some("schedule") => "nightly".into(),
            _ if !tag.contains("type=") => tag.clone(),
            _ => "latest".into(),
        });
    }
    if wanted.is_empty() {
        wanted.push("$(echo \"${CODEBUILD_WEBHOOK_HEAD_REF##*/}\" | tr / -)".into());
    }
    let mut lines: Vec<String> = Vec::new();
    for image in images.iter().filter(|image| !image.is_empty()) {
        let image = image.strip_prefix("name=").unwrap_or(image);
        for tag in &wanted {
            let line = format!("{image}:{tag}");
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    let commands = [
        format!("export METADATA_TAGS=\"{}\"", lines.join("\n")),
        format!("export METADATA_VERSION=\"{}\"", wanted.first().map_or("latest", String::as_str)),
        "export METADATA_LABELS=\"org.opencontainers.image.revision=$CODEBUILD_RESOLVED_SOURCE_VERSION\""
            .to_owned(),
    ];
    let text = |name| Lowered::Text(ShellText::variable(name));
    Some(
        Native::commands(commands)
            .differs("tags are computed by simpler rules: every tag of the list, whatever the event")
            .output("tags", text("METADATA_TAGS"))
            .output("labels", text("METADATA_LABELS"))
            .output("version", text("METADATA_VERSION"))
            .output("json", text("METADATA_TAGS")),
    )
}
