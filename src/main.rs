//! The program `runspan`.

mod conformance;

use std::process::ExitCode;

use clap::Parser;

/// One self-hosted CI runner with AWS CodeBuild's semantics.
#[derive(Parser)]
#[command(name = "runspan", version)]
enum Command {
    Conformance(conformance::Args),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Conformance(args) => conformance::run(&args),
    }
}
