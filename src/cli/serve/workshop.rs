//! Builds the jobs of hosts.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runspan_actions::message::Job;
use runspan_actions_storage::Storage;
use runspan_engine::journal::Journal;
use runspan_engine::request::BuildRequest;
use runspan_engine::{BuildHandle, Control, EngineError, Supervisor};
use runspan_github::{GitHubError, JobMessage, Launch, Registration, Stop, Work, Workshop};

use super::actions::OfJob;
use super::feed::feed;
use super::hosting::{self, Hosting};
use super::storage::Connections;
use super::{job, storage};
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
    storage: Option<Storage>,
}

impl Builder {
    pub(super) fn new(
        session: &Session,
        defaults: Defaults,
        storage: Option<Storage>,
    ) -> Result<Self, GitHubError> {
        let supervisor = session.supervisor.clone();
        let supervisor = match &storage {
            Some(storage) => supervisor.with_service(Arc::new(Connections(storage.clone()))),
            None => supervisor,
        };
        let journal = Arc::clone(&session.journal);
        Ok(Self { journal, supervisor, launch: Launch::new()?, defaults, storage })
    }

    /// Puts what is never written down into a request.
    fn reveal(&self, job: &Job, message: &JobMessage, request: &mut BuildRequest) {
        job::reveal(job, request);
        if let Some(storage) = &self.storage {
            storage::admit(storage, job, message, request);
        }
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
        let supervisor = self.supervisor_for(job, message);
        match supervisor.attach_with(build, |request| self.reveal(job, message, request)) {
            // It had no container, so that there is nothing to be adopted and it ends at once.
            Ok(handle) if !has_run => {
                let _ended = handle.outcome.await;
                self.begin(job, runner, message).await
            }
            Ok(handle) => Ok(self.work(handle, job, message)),
            // It has ended, or somebody has ended it, since.
            Err(EngineError::Complete(id)) => {
                let uuid = id.rsplit_once(':').map_or(id.as_str(), |(_, uuid)| uuid);
                Ok(Work {
                    build: build.to_owned(),
                    outline: job::outline(job),
                    checks: hosting::checks(job),
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
        self.reveal(job, message, &mut request);
        let handle = self.supervisor_for(job, message).start(request).map_err(|error| error.to_string())?;
        Ok(self.work(handle, job, message))
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

    fn work(&self, handle: BuildHandle, job: &Job, message: &JobMessage) -> Work {
        let BuildHandle { id, position, control, outcome } = handle;
        if let Some(storage) = self.storage.clone() {
            let job = storage::id(job, message);
            tokio::spawn(async move {
                let _ended = outcome.await;
                storage.dismiss(&job);
            });
        }
        Work {
            build: id.to_string(),
            outline: job::outline(job),
            checks: hosting::checks(job),
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
