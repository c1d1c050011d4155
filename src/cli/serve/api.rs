//! CodeBuild's own API beside the hosts.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use runspan_codebuild_api::{Api, ApiKeys, INITIATOR, Server, Settings, SourceCredentials};
use runspan_engine::Dispatcher;
use runspan_github::Shutdown;
use tokio::sync::watch;

use crate::cli::watch::Session;
use crate::config::Config;
use crate::console;
use crate::failure::Failure;

/// Where the API listens, and how much it may do.
#[derive(Debug, Args)]
pub(crate) struct ApiArgs {
    /// Answer CodeBuild's API here, to those who have a key of `runspan api-key create`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<SocketAddr>,
    /// Builds of the API that run at once; others wait in their queue [default: one a processor].
    #[arg(long, value_name = "N", requires = "listen", value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_builds: Option<u16>,
}

/// The API before it answers.
pub(super) struct ApiService {
    server: Server,
    api: Arc<Api>,
    dispatcher: Arc<Dispatcher>,
}

/// What builds of the API get of this machine.
pub(super) struct Gifts {
    pub(super) image: Option<String>,
    pub(super) privileged: bool,
    pub(super) host_network: bool,
}

impl ApiService {
    /// Listens, and takes over the builds of a process before this one.
    pub(super) async fn open(
        address: SocketAddr,
        args: &ApiArgs,
        gifts: Gifts,
        session: &Session,
        config: &Config,
    ) -> Result<Self, Failure> {
        let server = Server::bind(address).await.map_err(|error| {
            Failure::input(format!("--listen {address}: this address cannot be had")).because(&error)
        })?;
        let home = session.journal.home();
        let processors = std::thread::available_parallelism().map_or(1, Into::into);
        let slots = args.max_builds.map_or(processors, usize::from);
        let dispatcher = Dispatcher::new(&session.supervisor, slots);
        let keys = ApiKeys::of(home.root());
        if keys.list().map_err(|error| Failure::of(&error))?.is_empty() {
            console::note("note: nobody has a key for the API yet; make one: runspan api-key create");
        }
        let settings = Settings {
            region: config.region.clone(),
            image: gifts.image,
            privileged: gifts.privileged,
            host_network: gifts.host_network,
            cache_dir: home.cache(),
        };
        let credentials = SourceCredentials::of(home.root());
        let api =
            Api::new(Arc::clone(&session.journal), Arc::clone(&dispatcher), keys, credentials, settings);
        let adopted = dispatcher.adopt(|initiator| initiator.starts_with(INITIATOR))?;
        if adopted > 0 {
            console::note(&format!("note: {adopted} builds of the process before go on"));
        }
        let address = server.address().map_err(|error| Failure::of(&error))?;
        console::note(&format!("note: CodeBuild's API is at http://{address}"));
        Ok(Self { server, api: Arc::new(api), dispatcher })
    }

    /// Answers until the service ends and its builds have.
    pub(super) async fn run(self, mut shutdown: watch::Receiver<Shutdown>) {
        let Self { server, api, dispatcher } = self;
        let end = async {
            // Who asks how the last builds stand is answered to their end.
            if shutdown.wait_for(|now| *now != Shutdown::No).await.is_ok() {
                dispatcher.close();
                tokio::select! {
                    () = dispatcher.idle() => return,
                    _ = shutdown.wait_for(|now| *now == Shutdown::Stop) => dispatcher.stop_all(),
                }
            }
            dispatcher.idle().await;
        };
        runspan_codebuild_api::serve(server, api, end).await;
    }
}
