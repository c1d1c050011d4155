//! `runspan builds deliver`.

use std::sync::Arc;

use clap::Args;
use runspan_engine::journal::Journal;
use runspan_engine::sinks::{Couriers, Undelivered, undelivered};

use super::find;
use crate::config::Config;
use crate::console;
use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::ports::ports;

/// Try again what could not be delivered: artifacts, logs, metrics, events.
#[derive(Debug, Args)]
pub(crate) struct DeliverArgs {
    /// The build [default: every build].
    build: Option<String>,
}

pub(super) async fn deliver(
    journal: Arc<Journal>,
    config: &Config,
    args: DeliverArgs,
) -> Result<Exit, Failure> {
    let named = |name: String| match (find(&journal, &name), journal.find_batch(&name)?) {
        (Ok(stored), _) => Ok(stored.build.id),
        (Err(_), Some(batch)) => Ok(batch.id),
        (Err(unknown), None) => Err(unknown),
    };
    let only = args.build.map(named).transpose()?;
    let only = only.as_ref().map(|id| id.uuid());
    Couriers::new(Arc::clone(&journal), ports(config, &journal)).retry(only).await?;
    let left = undelivered(&journal)?;
    let mut exit = Exit::Success;
    for left in left.iter().filter(|left| only.is_none_or(|only| only == left.build.uuid())) {
        console::note(&format!("note: {}", said(left)));
        exit = Exit::Infrastructure;
    }
    Ok(exit)
}

/// One line for something that waits.
pub(crate) fn said(left: &Undelivered) -> String {
    let error = left.error.as_deref().unwrap_or("not tried yet");
    format!("{} of build {} is not delivered: {error}", left.name, left.build)
}
