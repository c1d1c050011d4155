//! One job, from the offer to its result.

use std::time::Duration;

use runspan_engine::journal::JournalError;
use runspan_engine::ports::ObjectError;
use runspan_engine::{EngineError, Shutdown};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::PipelineError;
use crate::api::Job;
use crate::outcome::{FailureKind, JobResult};
use crate::store::{JobPlace, Record, Stage};
use crate::work::{Found, Over, Running};
use crate::worker::Tools;
use crate::{artifacts, order};

/// A job is handed back after twice the time each time, and no later: its credentials last an hour, and only then is it
/// seen that the pipeline gave it up.
const LONGEST_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// A job that was handed back and is not among the answers to so many questions for jobs never will be.
const MANY_QUESTIONS: u64 = 20;
/// Among so many builds of a project the one of a job is looked for that a process could not note.
const RECENT: usize = 1000;
/// Between two tries of what does not succeed now.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const BETWEEN_TRIES: Duration = Duration::from_secs(5);

pub(crate) struct Assignment {
    tools: Tools,
    place: JobPlace,
}

/// What we have of the pipeline.
enum Holds {
    /// This job.
    Job(String),
    /// It was handed back and comes again.
    Nothing,
}

/// What is left to be done.
enum Next {
    /// The pipeline is to be told.
    End { job: String, result: JobResult },
    /// Nothing: it is not ours, or the pipeline gave it up.
    Nothing,
}

impl Assignment {
    pub(crate) const fn new(tools: Tools, place: JobPlace) -> Self {
        Self { tools, place }
    }

    /// Takes a job that was just offered.
    pub(crate) async fn begin(self, job: Job) -> Result<(), PipelineError> {
        let next = self.accept(job.id.clone(), job.nonce.clone(), Some(job)).await?;
        self.settle(next).await
    }

    /// Goes on with a job of a process that died.
    pub(crate) async fn take_up(self, record: Record) -> Result<(), PipelineError> {
        let Record { job, stage } = record;
        let next = match stage {
            Stage::Offered { nonce } => self.accept(job, nonce, None).await?,
            Stage::Building { build } => self.resume(job, build, false).await?,
            Stage::HandedBack { build } => self.resume(job, build, true).await?,
            Stage::Ended { result } => Next::End { job, result },
        };
        self.settle(next).await
    }

    async fn accept(&self, id: String, nonce: String, offered: Option<Job>) -> Result<Next, PipelineError> {
        if offered.is_none()
            && let Some(build) = self.begun()?
        {
            return self.resume(id, build, false).await;
        }
        let acknowledged = self.insist(|| self.tools.api.acknowledge(&id, &nonce)).await?;
        if acknowledged != Some(true) {
            return Ok(Next::Nothing);
        }
        let job = match offered {
            Some(job) => job,
            None => match self.insist(|| self.tools.api.details(&id)).await? {
                Some(job) => job,
                None => return Ok(Next::Nothing),
            },
        };
        self.build(&job).await
    }

    /// The build that a process before this one began and could not note.
    fn begun(&self) -> Result<Option<String>, PipelineError> {
        let outputs = Some(self.place.outputs());
        let journal = &self.tools.desk.journal;
        let find = || {
            let builds = journal.list(Some(&self.tools.registration.name), RECENT)?;
            let build = builds.into_iter().find(|stored| stored.request.artifacts_dir == outputs);
            if let Some(stored) = build {
                return Ok(Some(stored.build.id));
            }
            for batch in journal.unfinished_batches()? {
                let request = journal.batch_request(batch.id.uuid())?;
                if request.is_some_and(|request| request.artifacts_dir == outputs) {
                    return Ok(Some(batch.id));
                }
            }
            Ok(None)
        };
        let found = find().map_err(|error: JournalError| self.state(error.to_string()))?;
        Ok(found.map(|id| id.uuid().to_owned()))
    }

    /// Begins the build of a job that is ours.
    async fn build(&self, job: &Job) -> Result<Next, PipelineError> {
        let fails = |kind, message: String| {
            Ok(Next::End { job: job.id.clone(), result: JobResult::failure(None, kind, message) })
        };
        let (inputs, outputs) = (self.place.inputs(), self.place.outputs());
        let Tools { registration, desk, account, .. } = &self.tools;
        let order = match order::request(job, registration, &desk.template, &inputs, outputs) {
            Ok(order) => order,
            Err(reason) => return fails(FailureKind::ConfigurationError, reason),
        };
        match self.patiently(|| artifacts::fetch(account, job, &inputs)).await {
            Ok(()) => {}
            Err(error) => return fails(FailureKind::PermissionError, error.to_string()),
        }
        match Running::begin(desk, order, registration.slots.into()) {
            Ok(running) => self.follow(job.id.clone(), Found::Running(running), false).await,
            Err(error) => fails(FailureKind::SystemUnavailable, error.to_string()),
        }
    }

    /// Goes on with a build that another process began.
    async fn resume(&self, id: String, build: String, handed_back: bool) -> Result<Next, PipelineError> {
        let at_once = self.tools.registration.slots.into();
        let found = match Found::take_over(&self.tools.desk, &build, at_once).await {
            Ok(Some(Found::Unbegun)) if !handed_back => {
                return match self.insist(|| self.tools.api.details(&id)).await? {
                    Some(job) => self.build(&job).await,
                    None => Ok(Next::Nothing),
                };
            }
            Ok(Some(Found::Unbegun)) => match self.over(&build)? {
                Some(over) => Found::Over(over),
                None => return Ok(Next::Nothing),
            },
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Next::Nothing),
            Err(EngineError::Journal(error)) => return Err(self.state(error.to_string())),
            Err(error) => {
                let result =
                    JobResult::failure(Some(&build), FailureKind::SystemUnavailable, error.to_string());
                return Ok(Next::End { job: id, result });
            }
        };
        self.follow(id, found, handed_back).await
    }

    fn over(&self, build: &str) -> Result<Option<Over>, PipelineError> {
        Over::find(&self.tools.desk, build).map_err(|error| self.state(error.to_string()))
    }

    /// Waits for the end of a build, and lets the pipeline know meanwhile that it goes on. `handed_back` says that a
    /// process before this one gave the job back, or meant to.
    async fn follow(&self, id: String, found: Found, handed_back: bool) -> Result<Next, PipelineError> {
        let (build, mut running, mut ended) = match found {
            Found::Running(running) => (running.id().to_owned(), Some(running), None),
            Found::Over(over) => (over.id().to_owned(), None, Some(over)),
            Found::Unbegun => return Ok(Next::Nothing),
        };
        let mut continuations = self.tools.waiting.wait(&build);
        let _leaves = Leaves { tools: &self.tools, build: &build };
        let mut holds = Holds::Job(id.clone());
        if handed_back {
            // Whether it had been done already does not matter: the job is given to us again either way.
            self.insist(|| self.hand_back(&id, &build)).await?;
            holds = Holds::Nothing;
        } else {
            self.write(&id, Stage::Building { build: build.clone() })?;
        }
        let mut asked = self.tools.questions();
        let mut shutdown = self.tools.shutdown.clone();
        let (mut is_stopping, mut uncertain) = (false, false);
        let mut patience = Duration::from_secs(self.tools.registration.continue_seconds);
        let mut due = Instant::now() + patience;
        loop {
            // A job that may have been handed back has no end of its own until that is known.
            if let (Some(over), Holds::Job(job), false) = (&ended, &holds, uncertain) {
                return self.deliver(job, over).await;
            }
            tokio::select! {
                over = end(&mut running), if ended.is_none() => {
                    running = None;
                    // The record says how it ended, also where its task could not.
                    ended = match over {
                        None => self.over(&build)?,
                        over => over,
                    };
                    if ended.is_none() {
                        return Ok(Next::Nothing);
                    }
                }
                Some(next) = newest(&mut continuations), if matches!(holds, Holds::Nothing) => {
                    let taken = self.insist(|| self.tools.api.acknowledge(&next.id, &next.nonce)).await?;
                    if taken == Some(true) {
                        self.write(&next.id, Stage::Building { build: build.clone() })?;
                        holds = Holds::Job(next.id);
                        patience = (patience * 2).min(LONGEST_PATIENCE);
                        due = Instant::now() + patience;
                    }
                }
                () = self.tools.asked(asked + MANY_QUESTIONS), if matches!(holds, Holds::Nothing) => {
                    return self.give_up(&build, running).await;
                }
                () = tokio::time::sleep_until(due), if matches!(holds, Holds::Job(_)) => {
                    let Holds::Job(job) = &holds else { continue };
                    asked = self.tools.questions();
                    match self.hand_back(job, &build).await {
                        Ok(()) => (holds, uncertain) = (Holds::Nothing, false),
                        // An earlier try arrived.
                        Err(error) if error.is_over() && uncertain => {
                            (holds, uncertain) = (Holds::Nothing, false);
                        }
                        Err(error) if error.is_over() => return self.give_up(&build, running).await,
                        Err(error) => {
                            self.tools.note(&format!("{error}; tries again"));
                            uncertain = true;
                            due = Instant::now() + BETWEEN_TRIES;
                        }
                    }
                }
                () = stops(&mut shutdown), if !is_stopping => {
                    is_stopping = true;
                    running.iter().for_each(Running::stop);
                }
            }
        }
    }

    /// Stops a build that no pipeline waits for any more.
    async fn give_up(&self, build: &str, running: Option<Running>) -> Result<Next, PipelineError> {
        self.tools.note(&format!("the pipeline does not wait for build {build} any more"));
        if let Some(mut running) = running {
            running.stop();
            let _ended = running.end().await;
        }
        Ok(Next::Nothing)
    }

    /// Gives the job to the pipeline, which gives it to us again.
    async fn hand_back(&self, job: &str, build: &str) -> Result<(), PipelineError> {
        self.write(job, Stage::HandedBack { build: build.to_owned() })?;
        let summary = format!("Build {build} runs as {}", self.tools.registration.name);
        self.tools.api.hand_back(job, build, &summary).await
    }

    fn write(&self, job: &str, stage: Stage) -> Result<(), PipelineError> {
        self.tools.disk(self.place.write(&Record { job: job.to_owned(), stage }))
    }

    /// Takes the artifacts of a complete build to the pipeline.
    async fn deliver(&self, id: &str, over: &Over) -> Result<Next, PipelineError> {
        let mut result = JobResult::of(over);
        if matches!(result, JobResult::Success { .. }) {
            // Credentials that are as new as can be.
            let Some(job) = self.insist(|| self.tools.api.details(id)).await? else {
                return Ok(Next::Nothing);
            };
            if let Err(error) = self.patiently(|| artifacts::put(&self.tools.account, &job, over)).await {
                result = JobResult::failure(Some(over.id()), FailureKind::JobFailed, error.to_string());
            }
        }
        Ok(Next::End { job: id.to_owned(), result })
    }

    /// Tells the pipeline how the job ended, and forgets it.
    async fn settle(self, next: Next) -> Result<(), PipelineError> {
        if let Next::End { job, result } = next {
            self.write(&job, Stage::Ended { result: result.clone() })?;
            self.insist(|| self.tools.api.end(&job, &result)).await?;
        }
        self.tools.disk(self.place.remove())
    }

    /// Does something until it is done; `None` when the pipeline does not wait for the job any more.
    async fn insist<T, F: Future<Output = Result<T, PipelineError>>>(
        &self,
        mut call: impl FnMut() -> F,
    ) -> Result<Option<T>, PipelineError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match call().await {
                Ok(done) => return Ok(Some(done)),
                Err(error) if error.is_over() => return Ok(None),
                Err(error) if error.is_passing() => {
                    if pause == FIRST_PAUSE {
                        self.tools.note(&format!("{error}; tries again"));
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The same with a bucket, which is not waited for much longer than its credentials are good.
    async fn patiently<F: Future<Output = Result<(), ObjectError>>>(
        &self,
        mut work: impl FnMut() -> F,
    ) -> Result<(), ObjectError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match work().await {
                Err(ObjectError::Unavailable(reason)) if pause < LONGEST_PAUSE => {
                    self.tools.note(&format!("{reason}; tries again"));
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                done => return done,
            }
        }
    }

    fn state(&self, reason: String) -> PipelineError {
        PipelineError::State {
            worker: self.tools.registration.name.clone(),
            source: std::io::Error::other(reason),
        }
    }
}

/// Nobody waits any more.
struct Leaves<'a> {
    tools: &'a Tools,
    build: &'a str,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.tools.waiting.leave(self.build);
    }
}

async fn stops(shutdown: &mut watch::Receiver<Shutdown>) {
    if shutdown.wait_for(|wish| *wish == Shutdown::Stop).await.is_err() {
        // Whoever could wish is gone.
        std::future::pending().await
    }
}

/// The newest offer that was not looked at; `None` when nobody waits any more.
async fn newest(offers: &mut watch::Receiver<Option<Job>>) -> Option<Job> {
    offers.changed().await.ok()?;
    offers.borrow_and_update().clone()
}

async fn end(running: &mut Option<Running>) -> Option<Over> {
    match running {
        Some(running) => running.end().await,
        None => std::future::pending().await,
    }
}
