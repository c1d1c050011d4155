//! `runspan run`.

mod args;
mod batch;
mod env_file;
mod foreign;
mod request;
mod source;

pub(super) use args::RunArgs;
pub(super) use batch::resume as resume_batch;

use runspan_buildspec::parse_bytes;
use runspan_engine::request::BuildRequest;

use super::executor::Chosen;
use super::explain::local_buildspec;
use super::watch::Session;
use crate::config::Config;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Builds, and ends as the build ends.
pub(super) async fn run(args: RunArgs, config: Config) -> Result<Exit, Failure> {
    let executor = Chosen::begin(args.executor, &config, args.image.as_deref());
    let journal = config.journal()?;
    let request = request::request(&args, &config, &journal)?;
    let session = Session::open(&config, journal, executor, args.output).await?;
    let build = async {
        if !args.no_batch && has_batch(&request) {
            return batch::run(&session, request).await;
        }
        session.to_the_end(session.supervisor.start(request)?).await
    };
    let exit = session.sweeping(build).await?;
    session.drain().await;
    exit
}

fn has_batch(request: &BuildRequest) -> bool {
    matches!(local_buildspec(request), Some(Ok((_, bytes)))
        if parse_bytes(&bytes).buildspec.is_some_and(|buildspec| buildspec.batch.is_some()))
}
