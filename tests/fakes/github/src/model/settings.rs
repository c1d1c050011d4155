//! How this GitHub behaves; a test changes what it is about.

use std::time::Duration;

use jiff::SignedDuration;

/// Which way jobs reach a runner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// The broker and the run service, as github.com does.
    #[default]
    Broker,
    /// The older queue, with the whole job in the message, as GitHub Enterprise Server does.
    Queue {
        /// Messages are encrypted with a session key.
        encrypted: bool,
        /// The session key is wrapped with SHA-256 rather than SHA-1.
        fips: bool,
    },
    /// Sessions are made in the older queue, which sends the runner to the broker.
    Migration,
}

/// Behaviour that is the same for all runners and jobs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How jobs reach a runner.
    pub delivery: Delivery,
    /// Registration goes through the runner-admin calls (`use_v2_flow`).
    pub runner_admin: bool,
    /// How long an empty poll is held.
    pub poll_hold: Duration,
    /// How long a job stays a runner's after it was acquired or renewed.
    pub lock: Duration,
    /// How long a runner's access token lives.
    pub access_token: Duration,
    /// How long a registration token lives.
    pub registration_token: Duration,
    /// When a job request that nobody acknowledged is sent again.
    pub redelivery: Duration,
    /// How often a job request is sent before the job is given up.
    pub deliveries: u32,
    /// A request that is sent again is stale: acknowledging and acquiring it are refused, as after the
    /// known race of a cancelled poll.
    pub stale_redelivery: bool,
    /// How long a session without polls keeps others out.
    pub session: Duration,
    /// How long a runner may take to end a cancelled job.
    pub cancel_timeout: Duration,
    /// Runners below this version get no messages.
    pub minimum_version: Option<(u32, u32, u32)>,
    /// Runners below this version cannot register.
    pub registration_version: Option<(u32, u32, u32)>,
    /// How far GitHub's clock is before ours.
    pub clock_skew: SignedDuration,
    /// Client assertions must be signed with PS256.
    pub fips: bool,
    /// Job requests ask to be acknowledged.
    pub acknowledge: bool,
    /// How long `acquirejob` takes to answer.
    pub acquire_delay: Duration,
    /// Bytes by which job messages are made larger.
    pub padding: usize,
    /// The live console's connection ends after so many messages.
    pub feed_messages: Option<u32>,
    /// Each job is cancelled when it first reaches this moment.
    pub cancel_at: Option<super::Moment>,
    /// What jobs are told is the server; clients of artifacts and of the newer caches work only with github.com,
    /// `*.ghe.com` and `*.localhost`.
    pub server_url: Option<String>,
    /// Newest release of the runner, as `downloads` lists it.
    pub runner_release: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            delivery: Delivery::Broker,
            runner_admin: false,
            poll_hold: Duration::from_secs(50),
            lock: Duration::from_secs(600),
            access_token: Duration::from_secs(2999),
            registration_token: Duration::from_secs(3600),
            redelivery: Duration::from_secs(61),
            deliveries: 5,
            stale_redelivery: false,
            session: Duration::from_secs(240),
            cancel_timeout: Duration::from_secs(300),
            minimum_version: None,
            registration_version: Some((2, 329, 0)),
            clock_skew: SignedDuration::ZERO,
            fips: true,
            acknowledge: true,
            acquire_delay: Duration::ZERO,
            padding: 0,
            feed_messages: None,
            cancel_at: None,
            server_url: None,
            runner_release: "2.336.0".to_owned(),
        }
    }
}

/// The numbers of a version; what is no number counts as nothing.
pub(crate) fn version(text: &str) -> (u32, u32, u32) {
    let mut numbers = text.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or_default());
    let mut next = || numbers.next().unwrap_or_default();
    (next(), next(), next())
}
