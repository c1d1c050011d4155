//! The agent's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    runspan_agent::main(std::env::args_os())
}
