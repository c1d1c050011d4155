//! When to try again.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::GitHubError;

/// Waits that grow, and differ from those of others who failed at the same moment.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// The call went well.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// How long to wait after one more failure; what GitHub itself says counts.
    pub(crate) fn next(&mut self, error: Option<&GitHubError>) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let wait = doubled.min(self.longest);
        let wait = wait.mul_f64(0.5 + 0.5 * fraction());
        match error {
            Some(GitHubError::Refused { retry_after: Some(asked), .. }) => wait.max(*asked),
            _ => wait,
        }
    }
}

/// A random number from 0 to 1.
fn fraction() -> f64 {
    f64::from(Uuid::new_v4().as_u128() as u32) / f64::from(u32::MAX)
}

/// Tries until it succeeds, fails for good, or the time is over.
pub(crate) async fn persist<T, F: Future<Output = Result<T, GitHubError>>>(
    mut backoff: Backoff,
    until: Instant,
    mut call: impl FnMut() -> F,
) -> Result<T, GitHubError> {
    loop {
        match call().await {
            Err(error) if error.is_passing() => {
                let wait = backoff.next(Some(&error));
                if Instant::now() + wait > until {
                    return Err(error);
                }
                tokio::time::sleep(wait).await;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        for longest in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            let wait = backoff.next(None).as_secs_f64();
            assert!(wait >= longest / 2.0 && wait <= longest, "{wait} of {longest}");
        }
        backoff.reset();
        assert!(backoff.next(None) <= Duration::from_secs(1));
        let asked = GitHubError::Refused {
            doing: "x",
            status: 429,
            reason: String::new(),
            retry_after: Some(Duration::from_secs(90)),
        };
        assert_eq!(backoff.next(Some(&asked)), Duration::from_secs(90));
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_tried_again_and_what_does_not_is_not() {
        let refused =
            |status| GitHubError::Refused { doing: "x", status, reason: String::new(), retry_after: None };
        let quick = Backoff::new(Duration::from_millis(10), Duration::from_millis(50));
        let until = Instant::now() + Duration::from_secs(1);
        let mut left = 3;
        let done = persist(quick.clone(), until, || {
            left -= 1;
            std::future::ready(if left > 0 { Err(refused(503)) } else { Ok(7) })
        });
        assert_eq!(done.await.unwrap(), 7);
        let mut calls = 0;
        let failed = persist(quick.clone(), until, || {
            calls += 1;
            std::future::ready(Err::<(), _>(refused(400)))
        });
        assert!(failed.await.is_err());
        assert_eq!(calls, 1);
        let failed = persist(quick, until, || std::future::ready(Err::<(), _>(refused(500))));
        assert!(failed.await.is_err());
    }
}
