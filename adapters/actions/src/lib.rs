//! Where actions come from: archives of repositories, from a server that speaks GitHub's API, and `node`, from a
//! registry of npm packages. What was fetched once is kept by what it is, so that nothing is fetched twice.

mod error;
mod fetch;
mod node;
mod repository;

use std::path::PathBuf;

use async_trait::async_trait;
use runspan_agent_protocol::Secret;
use runspan_engine::steps::{ActionArchive, ActionError, ActionRef, ActionSource, Architecture};

pub use error::SourceError;
use fetch::Fetcher;

/// GitHub's own API.
pub const GITHUB: &str = "https://api.github.com";
/// npm's own registry.
pub const NPM: &str = "https://registry.npmjs.org";

/// Where things come from and where they are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What was fetched.
    pub cache: PathBuf,
    /// An API such as [`GITHUB`].
    pub api: String,
    /// Login for it.
    pub token: Option<Secret>,
    /// A registry such as [`NPM`], or an absolute directory of its archives.
    pub node: String,
}

impl Settings {
    /// GitHub and npm, kept in this directory.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self { cache: cache.into(), api: GITHUB.into(), token: None, node: NPM.into() }
    }
}

/// Fetches and keeps.
#[derive(Debug)]
pub struct Actions {
    settings: Settings,
    fetcher: Fetcher,
}

impl Actions {
    /// Of these settings; nothing is fetched yet.
    pub fn new(settings: Settings) -> Self {
        Self { fetcher: Fetcher::default(), settings }
    }
}

#[async_trait]
impl ActionSource for Actions {
    async fn action(
        &self,
        action: &ActionRef,
        known: Option<&ActionArchive>,
    ) -> Result<PathBuf, ActionError> {
        repository::archive(&self.settings, &self.fetcher, action, known)
            .await
            .map_err(|error| ActionError(format!("Unable to resolve action `{action}`: {error}")))
    }

    async fn node(&self, version: u32, architecture: Architecture) -> Result<PathBuf, ActionError> {
        node::program(&self.settings, &self.fetcher, version, architecture)
            .await
            .map_err(|error| ActionError(format!("node {version} cannot be had: {error}")))
    }
}
