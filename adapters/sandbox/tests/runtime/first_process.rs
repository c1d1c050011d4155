//! The first process of a sandbox and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    runspan_sandbox::enter().unwrap_or(ExitCode::FAILURE)
}
