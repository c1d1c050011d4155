//! The whole state.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;
use uuid::Uuid;

use super::{
    Artifact, Blob, CacheEntry, CheckRun, CommitStatus, Job, Message, Repository, Run, Runner, RunnerGroup,
    Settings,
    credentials::{App, Issued},
    queue::Timeline,
    runner::{DEFAULT_GROUP, HOSTED_GROUP},
};

/// A call that was made.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// GET, POST, …
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The answer; nothing while there is none, and for ever when the connection was cut.
    pub status: Option<u16>,
    /// The fault that was put into it.
    pub fault: Option<String>,
}

/// Everything that GitHub knows.
#[derive(Debug)]
pub struct GitHub {
    /// How it behaves.
    pub settings: Settings,
    /// Groups of runners.
    pub groups: Vec<RunnerGroup>,
    /// Runners by number.
    pub runners: BTreeMap<u64, Runner>,
    /// Repositories by full name in lower case.
    pub repositories: BTreeMap<String, Repository>,
    /// Runs by number.
    pub runs: BTreeMap<u64, Run>,
    /// Jobs by identity.
    pub jobs: BTreeMap<Uuid, Job>,
    /// GitHub Apps by number.
    pub apps: BTreeMap<u64, App>,
    /// Messages that are waiting for a runner, besides its job.
    pub messages: BTreeMap<u64, VecDeque<Message>>,
    /// Stored files by name.
    pub blobs: BTreeMap<String, Blob>,
    /// Check runs that were made through the API, by number.
    pub check_runs: BTreeMap<u64, CheckRun>,
    /// Statuses of commits, oldest first.
    pub statuses: Vec<CommitStatus>,
    /// Artifacts by number.
    pub artifacts: BTreeMap<u64, Artifact>,
    /// Caches by number.
    pub caches: BTreeMap<u64, CacheEntry>,
    /// Timelines of the older service, by identity.
    pub timelines: BTreeMap<Uuid, Timeline>,
    /// The first calls, oldest first.
    pub calls: Vec<Entry>,
    /// What callers did that no right client does.
    pub violations: Vec<String>,
    pub(crate) tokens: HashMap<String, Issued>,
    pub(crate) used_assertions: HashSet<String>,
    pub(crate) signing_secret: String,
    pub(crate) base: String,
    /// Messages of the older queue that were sent and not deleted.
    pub(crate) outbox: BTreeMap<u64, BTreeMap<u64, Json>>,
    pub(crate) storage: PathBuf,
    ids: u64,
}

impl GitHub {
    /// An empty GitHub that is reached at `base`, such as `http://127.0.0.1:8080`, and keeps its repositories
    /// in `storage`.
    pub fn new(settings: Settings, base: &str, storage: &Path) -> Self {
        Self {
            settings,
            groups: vec![
                RunnerGroup { id: DEFAULT_GROUP, name: "Default".to_owned(), hosted: false },
                RunnerGroup { id: HOSTED_GROUP, name: "GitHub Actions".to_owned(), hosted: true },
            ],
            runners: BTreeMap::new(),
            repositories: BTreeMap::new(),
            runs: BTreeMap::new(),
            jobs: BTreeMap::new(),
            apps: BTreeMap::new(),
            messages: BTreeMap::new(),
            blobs: BTreeMap::new(),
            check_runs: BTreeMap::new(),
            statuses: Vec::new(),
            artifacts: BTreeMap::new(),
            caches: BTreeMap::new(),
            timelines: BTreeMap::new(),
            calls: Vec::new(),
            violations: Vec::new(),
            tokens: HashMap::new(),
            used_assertions: HashSet::new(),
            signing_secret: Uuid::new_v4().to_string(),
            base: base.to_owned(),
            outbox: BTreeMap::new(),
            storage: storage.to_owned(),
            ids: 100,
        }
    }

    /// GitHub's time.
    pub fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.settings.clock_skew).unwrap_or(Timestamp::MAX)
    }

    /// A group with a new number.
    pub fn add_group(&mut self, name: &str) -> u64 {
        let id = self.next_id();
        self.groups.push(RunnerGroup { id, name: name.to_owned(), hosted: false });
        id
    }

    /// A number that was not used yet.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Notes what no right client does.
    pub(crate) fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    /// The job with the number, or with the identity.
    pub fn job(&self, name: &str) -> Option<&Job> {
        match (name.parse::<u64>(), name.parse::<Uuid>()) {
            (Ok(number), _) => self.jobs.values().find(|job| job.number == number),
            (_, Ok(id)) => self.jobs.get(&id),
            _ => None,
        }
    }
}
