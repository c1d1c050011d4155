//! `runspan builds logs`.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Args;
use runspan_engine::journal::Journal;

use super::{Named, find, is_orphan};
use crate::console::{self, Follower, Length, Live, LogText};
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Between two looks at a build of another process.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Print the log of a build.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    named: Named,
    /// Go on printing until the build is over.
    #[arg(long, short)]
    follow: bool,
}

pub(super) fn logs(journal: &Arc<Journal>, args: &LogsArgs) -> Result<Exit, Failure> {
    let stored = find(journal, &args.named.build)?;
    let mut follower = Follower::new(Arc::clone(journal), stored.build.id.uuid());
    let mut sink = LogText::new(Live::none());
    loop {
        // Asked before the look, so that what was written before the supervisor's death is seen.
        let orphan = args.follow && is_orphan(journal, &find(journal, stored.build.id.as_str())?);
        if follower.advance(Length::OfFile, &mut sink)? || !args.follow {
            return Ok(Exit::Success);
        }
        if orphan {
            let id = &stored.build.id;
            console::note(&format!(
                "warning: the process that supervised the build was killed; `runspan builds attach {id}` goes on with it"
            ));
            return Ok(Exit::Infrastructure);
        }
        thread::sleep(LOOK_AGAIN);
    }
}
