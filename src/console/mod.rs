//! What people and scripts see: the log on stdout, progress and summaries on stderr.

mod follow;
mod json;
mod live;
mod output;
mod summary;
mod table;

use std::env;
use std::io::{self, IsTerminal, Write};

pub(crate) use follow::{Follower, Length, Sink};
pub(crate) use json::JsonLines;
pub(crate) use live::Live;
pub(crate) use output::{LogText, Silence, Stdout};
pub(crate) use summary::{duration, headline, size, summary};
pub(crate) use table::table;

use crate::failure::Failure;

/// Whether this stream of ours is shown with colours.
pub(crate) fn colors(terminal: bool) -> bool {
    terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints a result. Whoever closed the pipe has seen enough.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Says something to the person who runs the program.
pub(crate) fn note(text: &str) {
    let _closed = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Says why the program ends.
pub(crate) fn complain(failure: &Failure) {
    let text = failure.render(colors(io::stderr().is_terminal()));
    let _closed = io::stderr().lock().write_all(text.as_bytes());
}
