//! `runspan`: one self-hosted CI runner with AWS CodeBuild's semantics.

mod cli;
mod config;
mod conformance;
mod console;
mod event;
mod exit_code;
mod failure;
mod parallel;
mod ports;
mod projects;
mod translators;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Started by the sandbox executor, this is no command line.
    if let Some(code) = runspan_sandbox::enter() {
        return code;
    }
    match cli::Cli::read().run() {
        Ok(code) => code.into(),
        Err(failure) => {
            console::complain(&failure);
            failure.exit.into()
        }
    }
}
