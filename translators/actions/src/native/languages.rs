//! Languages of CodeBuild's images: `runtime-versions`.

use runspan_buildspec::Cache;

use super::{Handler, Inputs, Native};
use crate::translate::Lowered;

pub(super) const TABLE: &[(&str, Handler)] = &[
    ("actions/setup-node", node),
    ("actions/setup-python", python),
    ("actions/setup-java", java),
    ("AdoptOpenJDK/install-jdk", java),
    ("actions/setup-go", go),
    ("actions/setup-dotnet", dotnet),
    ("ruby/setup-ruby", ruby),
    ("actions/setup-ruby", ruby),
    ("shivammathur/setup-php", php),
];

const PINNED: &str = "the image's nearest release of that version is taken";

/// As `runtime-versions` has it: `18.x` and `^18` are 18, words are the latest.
fn version(value: Lowered, parts: usize) -> String {
    let text = match &value {
        Lowered::Known(value) => value.to_text().to_string(),
        other => return other.inside(),
    };
    // Of several versions the last wins, as it does on GitHub.
    let text = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let text = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let numbers: Vec<&str> = text
        .split(['.', '-', '+', ' '])
        .take_while(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()))
        .take(parts)
        .collect();
    if numbers.is_empty() { "latest".into() } else { numbers.join(".") }
}

fn runtime(name: &'static str, version: Option<String>) -> Native {
    let version = version.unwrap_or_else(|| "latest".into());
    let became = format!("`runtime-versions`: {name} {version}");
    Native { became, runtimes: vec![(name, version)], ..Native::default() }.differs(PINNED)
}

fn cached(native: Native, paths: &[&str], lock: &str, tool: &str) -> Native {
    let cache = Cache {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        key: Some(format!("{tool}-$(codebuild-hash-files {lock})")),
        fallback_keys: vec![format!("{tool}-")],
        action: None,
    };
    Native { cache: Some(cache), ..native }
}

fn node(inputs: &mut Inputs<'_>) -> Option<Native> {
    let wanted =
        inputs.take("node-version").or_else(|| inputs.take("version")).map(|value| version(value, 1));
    let file = inputs.take("node-version-file");
    let registry = inputs.word("registry-url");
    let scope = inputs.inside("scope");
    inputs.idle(
        &["check-latest", "always-auth", "token", "architecture", "package-manager-cache"],
        "the image decides",
    );
    let mut native = runtime("nodejs", wanted);
    if file.is_some() {
        native.commands.push("n auto".into());
    }
    if let Some(registry) = registry {
        let key = scope.map_or_else(|| "registry".into(), |scope| format!("{scope}:registry"));
        let host =
            registry.trim_matches(['\'', '"']).trim_start_matches("https:").trim_end_matches('/').to_owned();
        native.commands.push(format!("npm config set \"{key}\" {registry}"));
        native.commands.push(format!("npm config set \"{host}/:_authToken\" '${{NODE_AUTH_TOKEN}}'"));
    }
    let lock = inputs.lines("cache-dependency-path").join(" ");
    let lock = |default: &str| if lock.is_empty() { default.to_owned() } else { lock.clone() };
    Some(match inputs.known("cache").as_deref() {
        Some("npm") => cached(native, &["/root/.npm/**/*"], &lock("package-lock.json"), "npm"),
        Some("yarn") => cached(
            native,
            &["/usr/local/share/.cache/**/*", "/root/.cache/yarn/**/*"],
            &lock("yarn.lock"),
            "yarn",
        ),
        Some("pnpm") => {
            cached(native, &["/root/.local/share/pnpm/store/**/*"], &lock("pnpm-lock.yaml"), "pnpm")
        }
        _ => native,
    })
}

fn python(inputs: &mut Inputs<'_>) -> Option<Native> {
    let wanted = inputs.take("python-version").map(|value| version(value, 2));
    let file = inputs.take("python-version-file");
    inputs.idle(
        &["architecture", "check-latest", "token", "allow-prereleases", "update-environment"],
        "the image decides",
    );
    let native = runtime("python", wanted);
    let native =
        if file.is_some() { native.differs("the file that names the version is not read") } else { native };
    let lock = inputs.lines("cache-dependency-path").join(" ");
    let lock = |default: &str| if lock.is_empty() { default.to_owned() } else { lock.clone() };
    Some(match inputs.known("cache").as_deref() {
        Some("pip") => cached(native, &["/root/.cache/pip/**/*"], &lock("requirements.txt"), "pip"),
        Some("pipenv") => {
            cached(native, &["/root/.local/share/virtualenvs/**/*"], &lock("Pipfile.lock"), "pipenv")
        }
        Some("poetry") => cached(native, &["/root/.cache/pypoetry/**/*"], &lock("poetry.lock"), "poetry"),
        _ => native,
    })
}

fn java(inputs: &mut Inputs<'_>) -> Option<Native> {
    let wanted =
        inputs.take("java-version").or_else(|| inputs.take("version")).map(|value| version(value, 1));
    let distribution = inputs.known("distribution");
    inputs.idle(
        &[
            "java-package",
            "architecture",
            "check-latest",
            "overwrite-settings",
            "targets",
            "job-status",
            "install",
            "uninstall",
        ],
        "the image decides",
    );
    inputs.idle(
        &[
            "server-id",
            "server-username",
            "server-password",
            "gpg-private-key",
            "gpg-passphrase",
            "settings-path",
        ],
        "write `~/.m2/settings.xml` in a command",
    );
    let wanted = wanted.map(|version| match version.as_str() {
        "latest" => version,
        version => format!("corretto{version}"),
    });
    let native = runtime("java", wanted);
    let native = match distribution.as_deref() {
        None | Some("corretto") => native,
        Some(other) => native.differs(format!("Corretto in place of {other}")),
    };
    inputs.take("cache-dependency-path");
    Some(match inputs.known("cache").as_deref() {
        Some("maven") => cached(native, &["/root/.m2/**/*"], "'**/pom.xml'", "maven"),
        Some("gradle") => cached(
            native,
            &["/root/.gradle/caches/**/*", "/root/.gradle/wrapper/**/*"],
            "'**/*.gradle*'",
            "gradle",
        ),
        Some("sbt") => cached(native, &["/root/.cache/coursier/**/*"], "build.sbt", "sbt"),
        _ => native,
    })
}

fn go(inputs: &mut Inputs<'_>) -> Option<Native> {
    let wanted = inputs.take("go-version").map(|value| version(value, 2));
    let file = inputs.take("go-version-file");
    let lock = inputs.lines("cache-dependency-path").join(" ");
    inputs.idle(&["check-latest", "token", "architecture"], "the image decides");
    let cache = inputs.flag("cache", true);
    let native = runtime("golang", wanted);
    let native = match file {
        Some(_) => native.differs("Go fetches the version of go.mod by itself, from 1.21 on"),
        None => native,
    };
    let lock = if lock.is_empty() { "go.sum".into() } else { lock };
    Some(if cache {
        cached(native, &["/go/pkg/mod/**/*", "/root/.cache/go-build/**/*"], &lock, "go")
    } else {
        native
    })
}

fn dotnet(inputs: &mut Inputs<'_>) -> Option<Native> {
    let wanted = inputs.take("dotnet-version").map(|value| version(value, 2));
    inputs.idle(
        &["global-json-file", "dotnet-quality", "include-prerelease", "source-url", "cache"],
        "the image decides",
    );
    Some(runtime("dotnet", wanted))
}

fn ruby(inputs: &mut Inputs<'_>) -> Option<Native> {
    let wanted = inputs.take("ruby-version").map(|value| version(value, 2));
    let bundle = inputs.flag("bundler-cache", false);
    let directory = inputs.word("working-directory");
    inputs.idle(&["bundler", "rubygems", "cache-version"], "the image decides");
    let native = runtime("ruby", wanted);
    Some(if bundle {
        let install = match directory {
            Some(directory) => format!("(cd {directory} && bundle install)"),
            None => "bundle install".into(),
        };
        let native = cached(native, &["vendor/bundle/**/*"], "Gemfile.lock", "bundler");
        Native { commands: vec!["bundle config set --global path vendor/bundle".into(), install], ..native }
    } else {
        native
    })
}

fn php(inputs: &mut Inputs<'_>) -> Option<Native> {
    let wanted = inputs.take("php-version").map(|value| version(value, 2));
    inputs.idle(&["extensions", "ini-values", "coverage", "tools"], "what the image has is used");
    Some(runtime("php", wanted).differs("extensions are those of the image"))
}
