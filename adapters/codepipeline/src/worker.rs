//! Asks for jobs, and has each of them done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runspan_aws::Account;
use runspan_engine::journal::Journal;
use runspan_engine::request::BuildRequest;
use runspan_engine::{Shutdown, Supervisor};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::{Api, Job};
use crate::assignment::Assignment;
use crate::store::{Kept, Record, Stage};
use crate::{PipelineError, Place, Registration};

/// A pipeline that does not answer is asked no more often.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// New jobs that may stand before one that was handed back.
const OTHERS: usize = 20;

/// Tells people what happens.
pub type Notes = Arc<dyn Fn(String) + Send + Sync>;

/// Who waits for a job that was handed back, by its build.
#[derive(Clone, Default)]
pub(crate) struct Waiting(Arc<Mutex<HashMap<String, watch::Sender<Option<Job>>>>>);

impl Waiting {
    fn all(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Option<Job>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its newest offer, as often as there is one.
    pub(crate) fn wait(&self, build: &str) -> watch::Receiver<Option<Job>> {
        let (sender, receiver) = watch::channel(None);
        self.all().insert(build.to_owned(), sender);
        receiver
    }

    pub(crate) fn leave(&self, build: &str) {
        self.all().remove(build);
    }

    /// Gives the job to whoever waits for it. One that nobody waits for is another machine's, which will ask, too.
    fn give(&self, build: &str, job: Job) {
        if let Some(sender) = self.all().get(build) {
            sender.send_replace(Some(job));
        }
    }

    fn count(&self) -> usize {
        self.all().len()
    }
}

/// What builds jobs on this machine.
#[derive(Clone)]
pub struct Desk {
    /// Starts builds.
    pub supervisor: Supervisor,
    /// Has their records.
    pub journal: Arc<Journal>,
    /// What this machine allows every job, and its image for those that name none.
    pub template: BuildRequest,
    /// Tells people what happens.
    pub notes: Notes,
}

/// Everything that jobs of a worker share.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) api: Api,
    pub(crate) account: Arc<Account>,
    pub(crate) registration: Arc<Registration>,
    pub(crate) place: Place,
    pub(crate) desk: Desk,
    pub(crate) shutdown: watch::Receiver<Shutdown>,
    pub(crate) waiting: Waiting,
    /// How often CodePipeline has answered the question for jobs.
    polls: Arc<watch::Sender<u64>>,
}

impl Tools {
    pub(crate) fn questions(&self) -> u64 {
        *self.polls.borrow()
    }

    /// Waits until so many questions for jobs were answered.
    pub(crate) async fn asked(&self, count: u64) {
        // The sender is our own, so there is an end to it only by the count.
        let _reached = self.polls.subscribe().wait_for(|polls| *polls >= count).await.map(|polls| *polls);
    }

    pub(crate) fn note(&self, text: &str) {
        (self.desk.notes)(format!("{}: {text}", self.registration.name));
    }

    pub(crate) fn disk<T>(&self, done: std::io::Result<T>) -> Result<T, PipelineError> {
        done.map_err(|source| PipelineError::State { worker: self.registration.name.clone(), source })
    }

    fn wish(&self) -> Shutdown {
        *self.shutdown.borrow()
    }
}

/// A worker.
pub struct Worker {
    tools: Tools,
    jobs: JoinSet<Result<(), PipelineError>>,
}

impl Worker {
    /// Of a registration.
    pub fn new(
        place: Place,
        registration: Registration,
        account: Arc<Account>,
        desk: Desk,
        shutdown: watch::Receiver<Shutdown>,
    ) -> Self {
        let api = Api::new(Arc::clone(&account));
        let registration = Arc::new(registration);
        let waiting = Waiting::default();
        let tools =
            Tools { api, account, registration, place, desk, shutdown, waiting, polls: Arc::default() };
        Self { tools, jobs: JoinSet::new() }
    }

    /// Takes jobs until it is to end.
    ///
    /// # Errors
    /// [`PipelineError`], for what waiting does not heal.
    pub async fn run(mut self) -> Result<(), PipelineError> {
        let lock = self.tools.disk(self.tools.place.try_lock())?;
        let _lock = lock.ok_or_else(|| PipelineError::Served(self.tools.registration.name.clone()))?;
        for (place, record) in self.tools.disk(self.tools.place.jobs())? {
            self.jobs.spawn(Assignment::new(self.tools.clone(), place).take_up(record));
        }
        self.tools.note("waits for jobs");
        let between = Duration::from_secs(self.tools.registration.poll_seconds);
        let mut pause = between;
        let mut is_heard = true;
        loop {
            match self.poll().await {
                Ok(()) => {
                    if !is_heard {
                        self.tools.note("hears CodePipeline again");
                    }
                    (pause, is_heard) = (between, true);
                }
                Err(error) if error.is_passing() => {
                    if is_heard {
                        self.tools.note(&format!("{error}; tries again"));
                    }
                    (pause, is_heard) = ((pause * 2).min(LONGEST_PAUSE), false);
                }
                Err(error) => return self.finish(Err(error)).await,
            }
            if self.tools.wish() != Shutdown::No && self.jobs.is_empty() {
                return Ok(());
            }
            self.wait(pause).await?;
        }
    }

    /// Ends what runs, whatever the reason.
    async fn finish(mut self, result: Result<(), PipelineError>) -> Result<(), PipelineError> {
        while let Some(done) = self.jobs.join_next().await {
            self.ended(done)?;
        }
        result
    }

    async fn poll(&mut self) -> Result<(), PipelineError> {
        let slots = usize::from(self.tools.registration.slots);
        let mut free = match self.tools.wish() {
            Shutdown::No => slots.saturating_sub(self.jobs.len()),
            _ => 0,
        };
        let most = match self.tools.waiting.count() {
            0 => free,
            // New jobs may come before those that are awaited; what is not acknowledged is offered again.
            waiting => free + waiting + OTHERS,
        };
        if most == 0 {
            return Ok(());
        }
        let Registration { action_type, name, .. } = &*self.tools.registration;
        for job in self.tools.api.poll(action_type, name, most).await? {
            match job.continuation.clone() {
                Some(build) => self.tools.waiting.give(&build, job),
                None if free > 0 => {
                    free -= 1;
                    self.begin(job)?;
                }
                None => {}
            }
        }
        self.tools.polls.send_modify(|polls| *polls += 1);
        Ok(())
    }

    fn begin(&mut self, job: Job) -> Result<(), PipelineError> {
        let place = self.tools.place.job(&job.id);
        let record = Record { job: job.id.clone(), stage: Stage::Offered { nonce: job.nonce.clone() } };
        self.tools.disk(place.write(&record))?;
        self.jobs.spawn(Assignment::new(self.tools.clone(), place).begin(job));
        Ok(())
    }

    /// Waits for the next poll, for a job's end, or for the wish to end.
    async fn wait(&mut self, pause: Duration) -> Result<(), PipelineError> {
        let mut shutdown = self.tools.shutdown.clone();
        let wish = self.tools.wish();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Some(done) = self.jobs.join_next() => self.ended(done)?,
            _ = shutdown.wait_for(|now| *now != wish) => {}
        }
        Ok(())
    }

    fn ended(
        &self,
        done: Result<Result<(), PipelineError>, tokio::task::JoinError>,
    ) -> Result<(), PipelineError> {
        match done {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error @ PipelineError::State { .. })) => Err(error),
            Ok(Err(error)) => {
                self.tools.note(&error.to_string());
                Ok(())
            }
            Err(error) => {
                self.tools
                    .note(&format!("the task of a job died: {error}; the next process goes on with it"));
                Ok(())
            }
        }
    }
}
