//! Builds the agent as a static binary, so that the program can carry it.
//!
//! `RUNSPAN_AGENT=FILE` embeds a binary that is already there. Otherwise cargo is run again for the agent alone, with
//! a target directory of its own (the outer cargo has locked the usual one) and the profile `agent`; it is run again
//! only when a file the agent is made of, or `Cargo.lock`, has changed.

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-env-changed=RUNSPAN_AGENT");
    println!("cargo::rerun-if-changed=build.rs");
    let agent = match env::var_os("RUNSPAN_AGENT") {
        Some(path) => {
            let path = PathBuf::from(path)
                .canonicalize()
                .map_err(|error| format!("RUNSPAN_AGENT names no file: {error}"))?;
            println!("cargo::rerun-if-changed={}", path.display());
            path
        }
        None => build()?,
    };
    let mut hasher = DefaultHasher::new();
    fs::read(&agent)?.hash(&mut hasher);
    println!("cargo::rustc-env=RUNSPAN_AGENT_BINARY={}", agent.display());
    println!("cargo::rustc-env=RUNSPAN_AGENT_HASH={:016x}", hasher.finish());
    Ok(())
}

/// Builds the agent and says what it was made of.
fn build() -> Result<PathBuf> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let target_dir = PathBuf::from(variable("OUT_DIR")?).join("agent");
    let architecture = variable("CARGO_CFG_TARGET_ARCH")?;
    let musl = format!("{architecture}-unknown-linux-musl");
    // Glibc is asked for statically; musl is static by itself.
    let (target, mut flags) = if is_installed(&musl)? {
        (musl, Vec::new())
    } else {
        (format!("{architecture}-unknown-linux-gnu"), vec!["-Ctarget-feature=+crt-static"])
    };
    // The standard library starts processes without copying the agent's memory where it finds this, which a static
    // binary has only when asked for it.
    flags.push("-Clink-arg=-Wl,--undefined=posix_spawn_file_actions_addchdir_np");

    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .args(["build", "--locked", "--package", "runspan-agent", "--profile", "agent"])
        .args(["--target", &target])
        .arg("--target-dir")
        .arg(&target_dir)
        .current_dir(&root);
    if variable("PROFILE")? == "debug" {
        // Whoever edits the agent should not wait for link-time optimisation.
        for setting in ["lto=false", "codegen-units=16", "incremental=true"] {
            cargo.arg("--config").arg(format!("profile.agent.{setting}"));
        }
    }
    // What the outer cargo, clippy and coverage tools set is meant for the outer build.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_", "CARGO_PROFILE_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            cargo.env_remove(&*name);
        }
    }
    for name in [
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
        "CLIPPY_ARGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
        "TARGET",
    ] {
        cargo.env_remove(name);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    let status = cargo.status().map_err(|error| format!("cannot run cargo for the agent: {error}"))?;
    if !status.success() {
        return Err(
            format!("the agent could not be built for {target} ({status}); its errors stand above").into()
        );
    }

    let binary = target_dir.join(&target).join("agent/runspan-agent");
    rerun_if_changed(&binary.with_extension("d"))?;
    println!("cargo::rerun-if-changed={}", root.join("Cargo.lock").display());
    Ok(binary)
}

/// Names every source that rustc read, and the manifests beside them.
fn rerun_if_changed(dep_info: &Path) -> Result<()> {
    let text = fs::read_to_string(dep_info)
        .map_err(|error| format!("cannot read {}: {error}", dep_info.display()))?;
    let mut files = BTreeSet::new();
    // Spaces in paths are escaped in this format; such a path is never seen as changed, which costs no correctness
    // in a clean build.
    for source in text.split_once(": ").map_or("", |(_, sources)| sources).split_whitespace() {
        let source = Path::new(source);
        files.insert(source.to_owned());
        files.extend(
            source.ancestors().map(|directory| directory.join("Cargo.toml")).find(|file| file.exists()),
        );
    }
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    Ok(())
}

/// Whether rustc has the standard library of this target.
fn is_installed(target: &str) -> Result<bool> {
    let output = Command::new(variable("RUSTC")?)
        .args(["--print", "target-libdir", "--target", target])
        .output()
        .map_err(|error| format!("cannot run rustc: {error}"))?;
    let directory = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(directory.trim()).is_dir())
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|_| format!("cargo did not set {name}").into())
}
