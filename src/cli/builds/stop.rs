//! `runspan builds stop`.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use runspan_engine::EngineError;
use runspan_engine::journal::Journal;

use super::{find, is_orphan};
use crate::cli::executor::Choice;
use crate::cli::watch::{OutputArgs, Session};
use crate::config::Config;
use crate::console;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Between two looks at a build of another process.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Asks the supervising process to stop the build, or takes its place when it is dead.
pub(super) async fn stop(journal: Arc<Journal>, config: &Config, name: &str) -> Result<Exit, Failure> {
    let id = find(&journal, name)?.build.id;
    let stop_file = journal.home().build(id.uuid()).stop_file();
    let mut asked = false;
    loop {
        let stored = find(&journal, id.as_str())?;
        if stored.build.build_complete {
            // Nobody is left to take the order away.
            let _taken = fs::remove_file(&stop_file);
            console::print(&format!("{} {id}\n", stored.build.build_status.name()));
            return Ok(Exit::Success);
        }
        if is_orphan(&journal, &stored) {
            let output = OutputArgs { json: false, quiet: true };
            let session = Session::open(config, Arc::clone(&journal), Choice::Auto, output).await?;
            match session.supervisor.attach(id.as_str()) {
                Ok(handle) => {
                    handle.control.stop();
                    handle.outcome.await.map_err(|error| Failure::of(&error))??;
                }
                // Somebody else was quicker, to the build or to its end.
                Err(EngineError::Supervised(_) | EngineError::Complete(_)) => {}
                Err(error) => return Err(error.into()),
            }
        } else if !asked {
            fs::write(&stop_file, "").map_err(|error| {
                Failure::machine(format!("build {id} cannot be told to stop")).because(&error)
            })?;
            asked = true;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
