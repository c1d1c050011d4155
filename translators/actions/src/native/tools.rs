//! Tools that are one download away.

use super::{Handler, Inputs, Native};
use crate::translate::Lowered;

pub(super) const TABLE: &[(&str, Handler)] = &[
    ("pnpm/action-setup", pnpm),
    ("oven-sh/setup-bun", bun),
    ("denoland/setup-deno", deno),
    ("astral-sh/setup-uv", uv),
    ("yezz123/setup-uv", uv),
    ("gradle/actions/setup-gradle", gradle),
    ("gradle/gradle-build-action", gradle),
    ("gradle/actions/wrapper-validation", validation),
    ("gradle/wrapper-validation-action", validation),
    ("hashicorp/setup-terraform", terraform),
    ("azure/setup-helm", helm),
    ("azure/setup-kubectl", kubectl),
    ("arduino/setup-protoc", protoc),
    ("lukka/get-cmake", cmake),
    ("ilammy/setup-nasm", nasm),
    ("peaceiris/actions-hugo", hugo),
    ("helm/kind-action", kind),
    ("browser-actions/setup-chrome", chrome),
    ("timheuer/base64-to-file", base64_to_file),
    ("juliangruber/read-file-action", read_file),
    ("slackapi/slack-github-action", slack),
];

fn pnpm(inputs: &mut Inputs<'_>) -> Option<Native> {
    let version = inputs.plain("version").map(|version| format!("@{version}")).unwrap_or_default();
    let run = inputs.flag("run_install", false);
    inputs.idle(&["dest", "package_json_file", "standalone", "cache"], "npm installs it");
    let mut commands = vec![format!("npm install --global pnpm{version}")];
    if run {
        commands.push("pnpm install".into());
    }
    Some(Native::commands(commands))
}

fn bun(inputs: &mut Inputs<'_>) -> Option<Native> {
    let version = inputs.plain("bun-version").filter(|version| version != "latest");
    let version = version.map(|version| format!("@{version}")).unwrap_or_default();
    inputs.idle(&["bun-version-file", "no-cache"], "npm installs the latest");
    Some(Native::commands([format!("npm install --global bun{version}")]))
}

fn deno(inputs: &mut Inputs<'_>) -> Option<Native> {
    let version =
        inputs.plain("deno-version").filter(|version| version.starts_with(|c: char| c.is_ascii_digit()));
    let version =
        version.map(|version| format!(" -s v{}", version.trim_start_matches('v'))).unwrap_or_default();
    Some(Native::commands([
        format!("curl -fsSL https://deno.land/install.sh | sh{version}"),
        "export PATH=\"$HOME/.deno/bin:$PATH\"".to_owned(),
    ]))
}

fn uv(inputs: &mut Inputs<'_>) -> Option<Native> {
    let version =
        inputs.plain("version").or_else(|| inputs.plain("uv-version")).filter(|version| version != "latest");
    let version = version.map(|version| format!("=={version}")).unwrap_or_default();
    let python = inputs.word("python-version");
    let environment = inputs.inside("uv-venv");
    inputs.idle(
        &["enable-cache", "cache-dependency-glob", "github-token", "ignore-nothing-to-cache"],
        "no cache of its own",
    );
    let mut commands = vec![format!("pip install uv{version}")];
    commands.extend(python.map(|python| format!("uv python install {python}")));
    if let Some(environment) = environment {
        commands.push(format!("uv venv \"{environment}\""));
        commands.push(format!("export PATH=\"$PWD/{environment}/bin:$PATH\""));
    }
    Some(Native::commands(commands))
}

fn gradle(inputs: &mut Inputs<'_>) -> Option<Native> {
    let arguments = inputs.plain("arguments");
    inputs.idle(
        &[
            "gradle-version",
            "cache-read-only",
            "cache-disabled",
            "gradle-home-cache-cleanup",
            "build-scan-publish",
            "validate-wrappers",
            "dependency-graph",
            "add-job-summary",
            "cache-encryption-key",
        ],
        "the wrapper of the sources is used",
    );
    Some(match arguments {
        Some(arguments) => Native::commands([format!("./gradlew {arguments}")]),
        None => {
            Native::nothing("left out: the wrapper of the sources is used").differs("no cache of its own")
        }
    })
}

fn validation(_: &mut Inputs<'_>) -> Option<Native> {
    Some(Native::nothing("left out").differs("the wrapper's checksum is not compared"))
}

fn terraform(inputs: &mut Inputs<'_>) -> Option<Native> {
    let version = inputs.inside("terraform_version").unwrap_or_else(|| "1.9.8".into());
    inputs.idle(&["terraform_wrapper", "cli_config_credentials_hostname"], "terraform itself is called");
    inputs.take("cli_config_credentials_token");
    Some(Native::commands([
        format!(
            "curl -sSfLo /tmp/terraform.zip \"https://releases.hashicorp.com/terraform/{version}/terraform_{version}_linux_amd64.zip\""
        ),
        "unzip -o /tmp/terraform.zip terraform -d /usr/local/bin".to_owned(),
    ]))
}

fn helm(inputs: &mut Inputs<'_>) -> Option<Native> {
    let version = inputs.inside("version").filter(|version| version.starts_with('v'));
    let version = version.map(|version| format!("DESIRED_VERSION={version} ")).unwrap_or_default();
    inputs.idle(&["token", "downloadbaseurl"], "helm's own script fetches it");
    Some(Native::commands([format!(
        "curl -sSfL https://raw.githubusercontent.com/helm/helm/main/scripts/get-helm-3 | {version}bash"
    )]))
}

fn kubectl(inputs: &mut Inputs<'_>) -> Option<Native> {
    let version = inputs.inside("version").filter(|version| version.starts_with('v'));
    let version = version.unwrap_or_else(|| "$(curl -sSfL https://dl.k8s.io/release/stable.txt)".into());
    Some(Native::commands([
        format!(
            "curl -sSfLo /usr/local/bin/kubectl \"https://dl.k8s.io/release/{version}/bin/linux/amd64/kubectl\""
        ),
        "chmod +x /usr/local/bin/kubectl".to_owned(),
    ]))
}

fn packages(names: &str) -> Native {
    Native::install(["apt-get update".to_owned(), format!("apt-get install -y {names}")])
        .differs("the version is the distribution's")
}

fn protoc(inputs: &mut Inputs<'_>) -> Option<Native> {
    inputs.take("repo-token");
    inputs.idle(&["version", "include-pre-releases"], "the distribution's version");
    Some(packages("protobuf-compiler"))
}

fn cmake(inputs: &mut Inputs<'_>) -> Option<Native> {
    inputs.idle(&["cmakeversion", "ninjaversion"], "the distribution's version");
    Some(packages("cmake ninja-build"))
}

fn nasm(inputs: &mut Inputs<'_>) -> Option<Native> {
    inputs.idle(&["version"], "the distribution's version");
    Some(packages("nasm"))
}

fn hugo(inputs: &mut Inputs<'_>) -> Option<Native> {
    inputs.idle(&["hugo-version", "extended"], "the distribution's version");
    Some(packages("hugo"))
}

fn chrome(inputs: &mut Inputs<'_>) -> Option<Native> {
    inputs.idle(&["chrome-version"], "the image's Chrome");
    Some(Native::nothing("left out: the image has Chrome"))
}

fn kind(inputs: &mut Inputs<'_>) -> Option<Native> {
    let name = inputs.inside("cluster_name").unwrap_or_else(|| "chart-testing".into());
    let config = inputs.word("config").map(|config| format!(" --config {config}")).unwrap_or_default();
    inputs.idle(&["version", "wait", "kubectl_version", "node_image", "log_level"], "kind's defaults");
    let commands = [
        "curl -sSfLo /usr/local/bin/kind https://kind.sigs.k8s.io/dl/latest/kind-linux-amd64".to_owned(),
        "chmod +x /usr/local/bin/kind".into(),
        format!("kind create cluster --name \"{name}\"{config} --wait 60s"),
    ];
    Some(Native { privileged: true, ..Native::commands(commands) }.differs("kind's latest version"))
}

fn base64_to_file(inputs: &mut Inputs<'_>) -> Option<Native> {
    let encoded = inputs.word("encodedstring")?;
    let name = inputs.inside("filename")?;
    let directory = inputs.inside("filedir").unwrap_or_else(|| "/tmp".into());
    let path = format!("{directory}/{name}");
    let command = format!("echo {encoded} | base64 -d > \"{path}\"");
    Some(
        Native::commands([command]).output("filePath", Lowered::Text(crate::translate::ShellText::new(path))),
    )
}

fn read_file(inputs: &mut Inputs<'_>) -> Option<Native> {
    let path = inputs.inside("path")?;
    inputs.idle(&["trim"], "the shell trims it");
    let content = Lowered::Text(crate::translate::ShellText::new(format!("$(cat \"{path}\")")));
    Some(Native::nothing("read where it is used").output("content", content))
}

fn slack(inputs: &mut Inputs<'_>) -> Option<Native> {
    let webhook = inputs.inside("webhook")?;
    let payload = inputs.word("payload")?;
    inputs.idle(&["webhook-type", "errors"], "a plain request");
    Some(Native::commands([format!(
        "curl -sSf -H 'Content-Type: application/json' --data {payload} \"{webhook}\""
    )]))
}
