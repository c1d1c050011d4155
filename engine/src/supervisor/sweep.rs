//! After a supervisor's death: builds that nobody supervises are closed, what they left is removed.

use std::sync::Arc;

use super::driver::Driver;
use super::{EngineError, Supervisor, control};

impl Supervisor {
    /// Closes every build and batch of this state directory whose supervisor is gone, and removes every container, network and
    /// mount that belongs to no running build. Returns one line for each thing done.
    ///
    /// # Errors
    /// When the journal cannot be used. An executor that does not answer has nothing swept, which is one of the lines.
    pub async fn sweep(&self) -> Result<Vec<String>, EngineError> {
        let mut lines = Vec::new();
        let mut live = Vec::new();
        for stored in self.journal.unfinished()? {
            let id = stored.build.id.clone();
            let dir = self.journal.home().build(id.uuid());
            match self.take(&id) {
                Err(EngineError::Supervised(_)) => live.push(id.uuid().to_owned()),
                Err(error) => lines.push(format!("build {id} was left as it is: {error}")),
                Ok(lock) => {
                    // It may have ended by itself between the look and the lock.
                    if self.journal.find(id.uuid())?.is_none_or(|now| now.build.build_complete) {
                        continue;
                    }
                    if let Some(placement) = &stored.placement
                        && let Err(error) = self.executor.collect(placement).await
                    {
                        lines.push(format!("the container of build {id} could not be removed: {error}"));
                    }
                    let recorder = Arc::new(self.journal.recorder(id.uuid())?);
                    let (_, orders) = control();
                    let driver =
                        Driver::new(self.clone(), stored.build, stored.request, recorder, dir, orders, lock);
                    driver.abandon().await?;
                    lines.push(format!("closed build {id}: its supervisor was killed"));
                }
            }
        }
        for batch in self.journal.unfinished_batches()? {
            if self.close_batch(&batch.id)? {
                lines.push(format!("closed batch {}: its supervisor was killed", batch.id));
            }
        }
        // Only what this state directory knows: another one's builds are not ours to judge.
        let known = |attempt: &str| match self.journal.find(attempt) {
            Ok(Some(stored)) => !stored.build.build_complete || live.iter().any(|uuid| uuid == attempt),
            Ok(None) | Err(_) => true,
        };
        match self.executor.sweep(&known).await {
            Ok(removed) => lines.extend(removed),
            Err(error) => lines.push(format!("leftovers were not looked for: {error}")),
        }
        Ok(lines)
    }
}
