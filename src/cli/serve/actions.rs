//! Actions inside of actions: asked of the job's own service when they turn up.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runspan_agent_protocol::Secret;
use runspan_engine::steps::{ActionArchive, ActionError, ActionRef, ActionSource, Architecture};
use runspan_github::{FoundAction, JobMessage, Launch};

/// A source of actions for one job.
pub(super) struct OfJob {
    pub(super) launch: Launch,
    pub(super) message: JobMessage,
    /// The job's token, for archives without a login of their own.
    pub(super) token: Option<Secret>,
    pub(super) source: Arc<dyn ActionSource>,
}

#[async_trait]
impl ActionSource for OfJob {
    async fn action(
        &self,
        action: &ActionRef,
        known: Option<&ActionArchive>,
    ) -> Result<PathBuf, ActionError> {
        if known.is_some() || self.message.launch_url.is_none() {
            return self.source.action(action, known).await;
        }
        let wanted = [(format!("{}/{}", action.owner, action.name), action.version.clone())];
        let found = self
            .launch
            .resolve(&self.message, &wanted)
            .await
            .map_err(|error| ActionError(error.to_string()))?;
        let is_it = |key: &String| key.eq_ignore_ascii_case(&action.repository());
        let found = found.into_iter().find_map(|(key, found)| is_it(&key).then_some(found));
        let archive = found.map(|found| archive(found, self.token.as_ref()));
        self.source.action(action, archive.as_ref()).await
    }

    async fn node(&self, version: u32, architecture: Architecture) -> Result<PathBuf, ActionError> {
        self.source.node(version, architecture).await
    }
}

/// Where an action is; one without a login of its own is had with the job's.
pub(super) fn archive(found: FoundAction, token: Option<&Secret>) -> ActionArchive {
    let FoundAction { sha, url, token: own } = found;
    ActionArchive { sha, url, token: own.or_else(|| token.cloned()) }
}
