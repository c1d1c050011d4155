//! Keeps a job while it runs, at its own pace: whatever else waits, this does not.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::retry::{Backoff, persist};
use crate::{GitHubError, RunService};

/// GitHub's own runner renews this often.
const LONGEST: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_millis(500);
/// How long before the job begins its first renewal may take.
const FIRST_PATIENCE: Duration = Duration::from_secs(60);
/// How long after a lease has ended it may yet be had again.
const GRACE: Duration = Duration::from_secs(300);

/// A job that is kept; it is not kept any longer when this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    lost: watch::Receiver<Option<String>>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Renews for the first time, and then again and again.
    ///
    /// # Errors
    /// When the job cannot be kept from the start.
    pub(crate) async fn take(service: RunService) -> Result<Self, GitHubError> {
        let quick = Backoff::new(Duration::from_millis(300), Duration::from_secs(10));
        let until = persist(quick, Instant::now() + FIRST_PATIENCE, || service.renew()).await?;
        let (tell, lost) = watch::channel(None);
        let task = tokio::spawn(async move {
            let reason = keep(&service, until).await;
            let _gone = tell.send(Some(reason));
        });
        Ok(Self { lost, task })
    }

    /// Waits until the job is lost; says why.
    pub(crate) async fn lost(&mut self) -> String {
        let reason = self.lost.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            // The task cannot end without a word, unless the program does.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Renews until it cannot; the reason.
async fn keep(service: &RunService, mut until: Timestamp) -> String {
    loop {
        tokio::time::sleep(pause(until)).await;
        let left = left(until) + GRACE;
        let backoff = Backoff::new(Duration::from_millis(300), Duration::from_secs(15));
        match persist(backoff, Instant::now() + left, || service.renew()).await {
            Ok(next) => until = next,
            Err(error) => return error.to_string(),
        }
    }
}

fn left(until: Timestamp) -> Duration {
    until.duration_since(Timestamp::now()).try_into().unwrap_or_default()
}

/// A third of the lease, so that two renewals may fail.
fn pause(until: Timestamp) -> Duration {
    (left(until) / 3).clamp(SHORTEST, LONGEST)
}
