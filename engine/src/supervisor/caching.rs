//! The cache on this machine's disk: restored at the end of DOWNLOAD_SOURCE, saved after POST_BUILD.

use super::EngineError;
use super::driver::Driver;
use super::session::{Interrupt, Session};
use crate::executor::Mount;
use crate::plan::Plan;

impl Driver {
    /// Directories of a local cache that the container gets.
    pub(super) fn cache_mounts(&mut self) -> Result<Vec<Mount>, EngineError> {
        Ok(Vec::new())
    }

    pub(super) async fn restore_cache(
        &mut self,
        session: &mut Session,
        _plan: &Plan,
    ) -> Result<(), Interrupt> {
        self.say(
            session,
            [
                "Cache is not defined in the buildspec".into(),
                "Skip cache due to: no paths specified to be cached".into(),
            ],
        )
        .await
    }

    pub(super) async fn save_cache(&mut self, _session: &mut Session, _plan: &Plan) -> Result<(), Interrupt> {
        Ok(())
    }
}
