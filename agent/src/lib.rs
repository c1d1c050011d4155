//! The agent: PID 1 of a build's container. It owns every process of the build, captures and masks what they
//! print, and spools it with the events of the build to the supervisor.
//!
//! Data goes one way: processes write to one pipe (`capture`); the `log` masks and numbers it together with
//! events and agent lines; the `spool` keeps it until the supervisor has acknowledged it over the `link`.
//! Requests come back over the same link to the main thread (`agent`), except stops and resumes, which go to
//! `control` at once.

mod agent;
mod asking;
mod build;
mod capture;
mod carried;
mod cgroup;
mod clearing;
mod clock;
mod companion;
mod control;
mod credentials;
mod ended;
mod environment;
mod error;
pub mod files;
mod helpers;
mod launch;
mod layout;
mod link;
mod log;
mod mask;
mod phase;
mod processes;
mod script;
mod service;
mod shared;
mod signals;
mod spool;
mod steps;
mod terminal;
mod transfer;
mod users;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use runspan_agent_protocol::{Exit, layout as places};
use rustix::process::WaitStatus;

use crate::agent::Ending;
use crate::layout::{Layout, ROOT_VARIABLE};

/// Exit status when the supervisor never came back.
const ORPHANED: u8 = 3;
/// Exit status of a program that could not be started, as shells have it.
const NOT_STARTED: u8 = 127;

/// Runs the agent, or the mode or helper command that its arguments ask for.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    let agent = std::env::current_exe().unwrap_or_else(|_| PathBuf::from(places::AGENT));
    let root = std::env::var_os(ROOT_VARIABLE).unwrap_or_else(|| "/".into());
    let layout = |root: OsString| Layout::new(root, agent.clone());
    if let Some(code) =
        Path::new(&name).file_name().and_then(|name| helpers::run(&layout(root.clone()), name, &arguments))
    {
        return code;
    }
    let [mode, rest @ ..] = arguments.as_slice() else { return usage() };
    match (mode.to_str(), rest) {
        (Some(launch::BECOME), rest) => not_started(&launch::become_user(rest)),
        (Some(launch::TERMINAL), rest) => not_started(&launch::take_terminal(rest)),
        (Some(companion::SERVE), [program]) => companion::server(&program.to_string_lossy()),
        (Some(companion::ASK), []) => companion::client(),
        (Some("--print-environment"), []) => print_environment(),
        (Some("--print-input"), []) => report(io::copy(&mut io::stdin(), &mut io::stdout()).map(drop)),
        (Some("--attempt"), [attempt, rest @ ..]) => {
            let root = match rest {
                [] => root,
                [option, root] if option == "--root" => root.clone(),
                _ => return usage(),
            };
            serve(layout(root), attempt.to_string_lossy().into_owned())
        }
        _ => usage(),
    }
}

fn serve(layout: Layout, attempt: String) -> ExitCode {
    match agent::run(layout, attempt) {
        Ok(Ending::Finished) => ExitCode::SUCCESS,
        Ok(Ending::Orphaned) => ExitCode::from(ORPHANED),
        Err(error) => {
            eprintln!("runspan-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: runspan-agent --attempt ID [--root DIR]");
    ExitCode::from(2)
}

fn not_started(error: &io::Error) -> ExitCode {
    eprintln!("runspan-agent: cannot start the program: {error}");
    ExitCode::from(NOT_STARTED)
}

fn report(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runspan-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `NAME=value`, each closed by NUL.
fn print_environment() -> ExitCode {
    let mut text = Vec::new();
    for (name, value) in std::env::vars_os() {
        text.extend_from_slice(
            &[name.into_vec(), b"=".to_vec(), value.as_bytes().to_vec(), vec![0]].concat(),
        );
    }
    report(io::stdout().write_all(&text))
}

/// How a shell ended.
fn exit_of(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Exit::Status(status),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::NotStarted(format!("the kernel reports wait status {}", status.as_raw())),
    }
}

/// The same as a number, as shells have it.
fn exit_status(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(1)
}
