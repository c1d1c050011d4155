//! `runspan builds stop`.

use std::sync::Arc;
use std::time::Duration;

use runspan_engine::EngineError;
use runspan_engine::journal::Journal;

use super::Found;
use crate::cli::executor::Choice;
use crate::cli::watch::{OutputArgs, Session};
use crate::config::Config;
use crate::console;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Between two looks at a build of another process.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Orders that a build or a batch stop, and takes the place of its supervisor when that is dead.
pub(super) async fn stop(journal: Arc<Journal>, config: &Config, name: &str) -> Result<Exit, Failure> {
    let mut found = Found::named(&journal, name)?;
    let id = found.id().clone();
    let order = match found {
        Found::Build(_) => journal.home().build(id.uuid()).stop_order(),
        Found::Batch(_) => journal.home().batch_stop_order(id.uuid()),
    };
    if found.end().is_none() {
        order
            .give()
            .map_err(|error| Failure::machine(format!("{id} cannot be told to stop")).because(&error))?;
    }
    loop {
        found = Found::named(&journal, id.as_str())?;
        if let Some(status) = found.end() {
            // It may have ended before anybody saw the order.
            order.withdraw();
            console::print(&format!("{} {id}\n", status.name()));
            return Ok(Exit::Success);
        }
        if found.is_orphan(&journal) {
            let output = OutputArgs { json: false, quiet: true };
            let session = Session::open(config, Arc::clone(&journal), Choice::Auto, output).await?;
            match take_over(&session, &found).await {
                // Somebody else was quicker, to take it or to end it.
                Ok(()) | Err(EngineError::Supervised(_) | EngineError::Complete(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Supervises it, which is to obey the standing order.
async fn take_over(session: &Session, found: &Found) -> Result<(), EngineError> {
    let ended = |error: tokio::task::JoinError| EngineError::Task(error.to_string());
    match found {
        Found::Build(stored) => {
            let handle = session.supervisor.attach(stored.build.id.as_str())?;
            handle.outcome.await.map_err(ended)??;
        }
        Found::Batch(batch) => {
            let handle = session.supervisor.resume_batch(batch.id.as_str(), 1, &mut Vec::new())?;
            handle.outcome.await.map_err(ended)??;
        }
    }
    Ok(())
}
