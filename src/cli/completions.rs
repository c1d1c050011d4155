//! `runspan completions`.

use clap::Args;
use clap_complete::Shell;

use crate::console;
use crate::exit_code::Exit;

/// Print completions for a shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(crate) fn completions(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "runspan", &mut script);
    console::print(&String::from_utf8_lossy(&script));
    Exit::Success
}
