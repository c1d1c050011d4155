//! What a build does, told as GitHub shows it: steps, their logs, summaries, remarks.

mod check_run;
mod checks;
mod live;
mod log;
mod mask;
mod outline;
mod record;
mod reporter;
mod timeline;

pub use checks::Checks;
pub(crate) use live::Live;
pub use outline::{Outline, OutlinedStep};
pub use reporter::Piece;
pub(crate) use reporter::{Reported, Reporter};
