//! Rust.

use runspan_buildspec::Cache;

use super::{Handler, Inputs, Native};

pub(super) const TABLE: &[(&str, Handler)] = &[
    ("dtolnay/rust-toolchain", toolchain),
    ("actions-rs/toolchain", toolchain),
    ("actions-rust-lang/setup-rust-toolchain", toolchain),
    ("Swatinem/rust-cache", cache),
    ("taiki-e/install-action", install),
    ("actions-rs/cargo", cargo),
];

const RUSTUP: &str = "command -v rustup >/dev/null || curl -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal \
                      --default-toolchain none";

fn toolchain(inputs: &mut Inputs<'_>) -> Option<Native> {
    let version = inputs.version;
    let versioned =
        !version.is_empty() && !version.starts_with('v') && version.len() < 40 && version != "master";
    let wanted = inputs.word("toolchain").or_else(|| versioned.then(|| version.to_owned()));
    let wanted = wanted.unwrap_or_else(|| "stable".into());
    let list = |text: Option<String>| {
        let text = text.unwrap_or_default();
        let names: Vec<_> =
            text.split([',', ' ', '\n']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        names
    };
    let components = list(inputs.plain("components"));
    let targets = list(inputs.plain("targets").or_else(|| inputs.plain("target")));
    inputs.idle(
        &["profile", "override", "default", "cache", "rustflags", "matcher"],
        "the toolchain is minimal and default",
    );
    let mut command = format!("rustup toolchain install {wanted} --profile minimal");
    for component in components {
        command.push_str(&format!(" --component {component}"));
    }
    for target in targets {
        command.push_str(&format!(" --target {target}"));
    }
    let commands = [
        RUSTUP.to_owned(),
        "export PATH=\"$HOME/.cargo/bin:$PATH\"".into(),
        command,
        format!("rustup default {wanted}"),
    ];
    Some(Native::commands(commands))
}

fn cache(inputs: &mut Inputs<'_>) -> Option<Native> {
    let names = [
        "shared-key",
        "prefix-key",
        "key",
        "cache-on-failure",
        "env-vars",
        "workspaces",
        "save-if",
        "cache-targets",
        "cache-directories",
        "cache-all-crates",
        "cache-provider",
        "lookup-only",
    ];
    inputs.idle(&names, "the key is Cargo.lock's");
    let paths = ["/root/.cargo/registry/**/*", "/root/.cargo/git/**/*", "target/**/*"];
    let cache = Cache {
        paths: paths.map(str::to_owned).to_vec(),
        key: Some("rust-$(codebuild-hash-files Cargo.lock)".into()),
        fallback_keys: vec!["rust-".into()],
        action: None,
    };
    let native = Native { became: "`cache`".into(), cache: Some(cache), ..Native::default() };
    Some(native.differs("old files are not cleaned out before saving"))
}

fn install(inputs: &mut Inputs<'_>) -> Option<Native> {
    let tools = match inputs.plain("tool") {
        Some(tools) => tools,
        None => inputs.version.to_owned(),
    };
    inputs.idle(&["checksum", "fallback"], "cargo binstall decides");
    let tools: Vec<_> = tools.split([',', ' ', '\n']).filter(|tool| !tool.is_empty()).collect();
    let commands = [
        "curl -sSfL https://raw.githubusercontent.com/cargo-bins/cargo-binstall/main/install-from-binstall-release.sh | bash"
            .to_owned(),
        format!("cargo binstall -y {}", tools.join(" ")),
    ];
    Some(Native::commands(commands))
}

fn cargo(inputs: &mut Inputs<'_>) -> Option<Native> {
    let command = inputs.plain("command")?;
    let arguments = inputs.plain("args").map(|arguments| format!(" {arguments}")).unwrap_or_default();
    let toolchain = inputs.plain("toolchain").map(|toolchain| format!(" +{toolchain}")).unwrap_or_default();
    let program = if inputs.flag("use-cross", false) { "cross" } else { "cargo" };
    Some(Native::commands([format!("{program}{toolchain} {command}{arguments}")]))
}
