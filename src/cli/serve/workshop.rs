//! Builds the jobs of hosts.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runspan_actions::message::Job;
use runspan_engine::journal::Journal;
use runspan_engine::{BuildHandle, Control, EngineError, Supervisor};
use runspan_github::{GitHubError, JobMessage, Launch, Registration, Stop, Work, Workshop};

use super::actions::OfJob;
use super::feed::feed;
use super::hosting::Hosting;
use super::job;
use crate::cli::watch::Session;

/// What jobs get that say nothing else.
pub(super) struct Defaults {
    pub(super) image: Option<String>,
    pub(super) privileged: bool,
    pub(super) host_network: bool,
    pub(super) cache_dir: PathBuf,
}

/// Builds with this program's engine.
pub(super) struct Builder {
    journal: Arc<Journal>,
    supervisor: Supervisor,
    launch: Launch,
    defaults: Defaults,
}

impl Builder {
    pub(super) fn new(session: &Session, defaults: Defaults) -> Result<Self, GitHubError> {
        Ok(Self {
            journal: Arc::clone(&session.journal),
            supervisor: session.supervisor.clone(),
            launch: Launch::new()?,
            defaults,
        })
    }

    /// The build of a job that a process before this one began but did not note.
    fn begun(&self, initiator: &str) -> Result<Option<String>, String> {
        let unfinished = self.journal.unfinished().map_err(|error| error.to_string())?;
        let found = unfinished.into_iter().find(|stored| stored.build.initiator == initiator);
        Ok(found.map(|stored| stored.build.id.to_string()))
    }

    /// Goes on with a build; with another one when nothing of it has run yet.
    async fn go_on(
        &self,
        job: &Job,
        build: &str,
        runner: &Registration,
        message: &JobMessage,
    ) -> Result<Work, String> {
        let stored = self.journal.find(build).map_err(|error| error.to_string())?;
        let has_run = stored.is_none_or(|stored| stored.build.build_complete || stored.placement.is_some());
        match self.supervisor_for(job, message).attach_with(build, |request| job::reveal(job, request)) {
            // It had no container, so that there is nothing to be adopted and it ends at once.
            Ok(handle) if !has_run => {
                let _ended = handle.outcome.await;
                self.begin(job, runner, message).await
            }
            Ok(handle) => Ok(self.work(handle, job)),
            // It has ended, or somebody has ended it, since.
            Err(EngineError::Complete(id)) => {
                let uuid = id.rsplit_once(':').map_or(id.as_str(), |(_, uuid)| uuid);
                Ok(Work {
                    build: build.to_owned(),
                    outline: job::outline(job),
                    feed: feed(Arc::clone(&self.journal), uuid, None),
                    stop: Arc::new(|_| {}),
                })
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn begin(&self, job: &Job, runner: &Registration, message: &JobMessage) -> Result<Work, String> {
        let hosting = Hosting::of(job, runner, &self.journal).await?;
        let mut request =
            job::request(job, &runner.name, &initiator(runner, message), &self.defaults, hosting)?;
        let found =
            self.launch.resolve(message, &job::actions(job)).await.map_err(|error| error.to_string())?;
        job::with_actions(&mut request, found, job::token(job));
        let handle = self.supervisor_for(job, message).start(request).map_err(|error| error.to_string())?;
        Ok(self.work(handle, job))
    }

    /// A supervisor that asks for actions in the name of the job.
    fn supervisor_for(&self, job: &Job, message: &JobMessage) -> Supervisor {
        self.supervisor.clone().with_actions(Arc::new(OfJob {
            launch: self.launch.clone(),
            message: message.clone(),
            token: job::token(job),
            source: self.supervisor.actions(),
        }))
    }

    fn work(&self, handle: BuildHandle, job: &Job) -> Work {
        let BuildHandle { id, position, control, .. } = handle;
        Work {
            build: id.to_string(),
            outline: job::outline(job),
            feed: feed(Arc::clone(&self.journal), id.uuid(), Some(position)),
            stop: Arc::new(move |stop| halt(&control, stop)),
        }
    }
}

fn halt(control: &Control, stop: Stop) {
    match stop {
        Stop::Gently => control.stop(),
        Stop::AtOnce => control.kill(),
    }
}

/// Who asks for the build of a job; by this it is found again.
fn initiator(runner: &Registration, message: &JobMessage) -> String {
    format!("github/{}/{}", runner.name, message.job_id)
}

#[async_trait]
impl Workshop for Builder {
    async fn start(&self, runner: &Registration, message: &JobMessage) -> Result<Work, String> {
        let job = job::read(message)?;
        match self.begun(&initiator(runner, message))? {
            Some(build) => self.go_on(&job, &build, runner, message).await,
            None => self.begin(&job, runner, message).await,
        }
    }

    async fn resume(&self, runner: &Registration, message: &JobMessage, build: &str) -> Result<Work, String> {
        self.go_on(&job::read(message)?, build, runner, message).await
    }
}
