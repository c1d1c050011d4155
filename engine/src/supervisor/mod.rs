//! Runs builds: one task a build, which alone owns the build's record.

mod bucket_cache;
mod caching;
mod companions;
mod download;
mod driver;
mod identity;
mod outgoing;
mod outside;
mod prepare;
mod provision;
mod report_export;
mod runtimes;
mod secrets;
mod session;
mod steps;
mod sweep;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use crate::build::{
    Build, BuildArtifacts, BuildEnvironment, BuildId, BuildLogs, DebugSession, LOCAL_ACCOUNT,
};
use crate::executor::{Executor, Progress};
use crate::journal::{Journal, JournalError, Position};
use crate::lifecycle::{Lifecycle, PhaseType, Status};
use crate::ports::{LocalService, Place, Ports};
use crate::private::FileLock;
use crate::project::{Switch, project_name_from};
use crate::reports::Report;
use crate::request::BuildRequest;
use crate::sinks::Couriers;
use crate::steps::{ActionSource, NoActions};

use driver::Driver;
pub(crate) use outgoing::{find_copies, forget, object_link, objects};
pub(crate) use prepare::batchspec;

/// CodeBuild's default `timeoutInMinutes`.
const TIMEOUT_MINUTES: u32 = 60;
/// CodeBuild's default `queuedTimeoutInMinutes`.
const QUEUED_TIMEOUT_MINUTES: u32 = 480;

/// What the engine could not do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The build's directory or socket.
    #[error("cannot use the state of build {build}: {source}")]
    State {
        /// Which build.
        build: String,
        /// Why.
        source: std::io::Error,
    },
    /// Another process supervises it.
    #[error("{0} is supervised by another process; follow builds with `runspan builds logs --follow`")]
    Supervised(String),
    /// There is no such build.
    #[error("there is no build `{0}`; `runspan builds list` shows those there are")]
    Unknown(String),
    /// It is over.
    #[error("{0} is complete already")]
    Complete(String),
    /// The task that ran the build died.
    #[error("the task that ran the build ended: {0}")]
    Task(String),
    /// The request makes no sense.
    #[error("{0}")]
    Request(String),
}

/// Called with every step of placing a build's container.
pub type OnProgress = Arc<dyn Fn(&BuildId, Progress) + Send + Sync>;

/// Starts, adopts and sweeps builds.
#[derive(Clone)]
pub struct Supervisor {
    pub(crate) journal: Arc<Journal>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) agent: PathBuf,
    pub(crate) region: String,
    pub(crate) on_progress: OnProgress,
    pub(crate) actions: Arc<dyn ActionSource>,
    pub(crate) ports: Ports,
    pub(crate) slots: Option<Arc<Semaphore>>,
    couriers: Arc<Couriers>,
}

/// A build that runs in this process.
pub struct BuildHandle {
    /// Its id.
    pub id: BuildId,
    /// How much of log and events there is to follow.
    pub position: watch::Receiver<Position>,
    /// Orders to it.
    pub control: Control,
    /// How it ended.
    pub outcome: JoinHandle<Result<Outcome, EngineError>>,
}

/// A complete build.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its record.
    pub build: Build,
    /// The build to start now in its place, when `on-failure: RETRY` or the project's limit asks for one.
    pub retry: Option<Box<BuildRequest>>,
    /// Its reports.
    pub reports: Vec<Report>,
}

/// Orders to a running build; those to a complete one do nothing.
#[derive(Clone, Debug)]
pub struct Control {
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Stop,
    Kill,
    Resume,
}

impl Control {
    /// Ends the build: TERM, a grace, then KILL. The build ends STOPPED.
    pub fn stop(&self) {
        let _complete = self.orders.send(Order::Stop);
    }

    /// Ends the build without grace.
    pub fn kill(&self) {
        let _complete = self.orders.send(Order::Kill);
    }

    /// Lets a paused build go on.
    pub fn resume(&self) {
        let _complete = self.orders.send(Order::Resume);
    }
}

impl Supervisor {
    /// Builds run on this executor, with the agent's binary from this path, as if in this region.
    pub fn new(journal: Arc<Journal>, executor: Arc<dyn Executor>, agent: PathBuf, region: String) -> Self {
        let (on_progress, actions): (OnProgress, _) = (Arc::new(|_, _| {}), Arc::new(NoActions));
        let ports = Ports::default();
        let couriers = Arc::new(Couriers::new(Arc::clone(&journal), ports.clone()));
        Self { journal, executor, agent, region, on_progress, actions, ports, slots: None, couriers }
    }

    /// Plugs in what is outside of this machine.
    #[must_use]
    pub fn with_ports(mut self, ports: Ports) -> Self {
        self.couriers = Arc::new(Couriers::new(Arc::clone(&self.journal), ports.clone()));
        self.ports = ports;
        self
    }

    /// Plugs in what builds may speak to.
    #[must_use]
    pub fn with_service(mut self, service: Arc<dyn LocalService>) -> Self {
        self.ports.service = Some(service);
        self
    }

    /// Those who take builds to sinks.
    pub fn couriers(&self) -> &Couriers {
        &self.couriers
    }

    /// Lets at most so many builds run at once; the others wait in QUEUED, the first first.
    #[must_use]
    pub fn with_slots(mut self, slots: usize) -> Self {
        self.slots = Some(Arc::new(Semaphore::new(slots)));
        self
    }

    /// Takes the actions of steps from here.
    #[must_use]
    pub fn with_actions(mut self, actions: Arc<dyn ActionSource>) -> Self {
        self.actions = actions;
        self
    }

    /// Where the actions of steps come from.
    pub fn actions(&self) -> Arc<dyn ActionSource> {
        Arc::clone(&self.actions)
    }

    /// Tells this function how placing goes.
    #[must_use]
    pub fn with_progress(mut self, on_progress: OnProgress) -> Self {
        self.on_progress = on_progress;
        self
    }

    /// Writes down a new build and runs it on the current tokio runtime.
    ///
    /// # Errors
    /// When it cannot be written down; from then on, faults are part of the build's record.
    pub fn start(&self, request: BuildRequest) -> Result<BuildHandle, EngineError> {
        let build = self.new_build(&request)?;
        let dir = self.journal.home().build(build.id.uuid());
        dir.create().map_err(|source| EngineError::State { build: build.id.to_string(), source })?;
        // Taken before there is a record, or a sweep would find a build that nobody supervises.
        let lock = self.take(&build.id)?;
        let recorder = self.journal.create(&build, &request)?;
        if let Some(previous) = &request.retry.previous_auto_retry {
            let previous = BuildId::from_text(previous.as_str());
            self.journal.note_retry(previous.uuid(), &build.arn)?;
        }
        let (control, orders) = control();
        let recorder = Arc::new(recorder);
        let (id, position) = (build.id.clone(), recorder.follow());
        self.couriers.follow(&id, &request, &position)?;
        let driver = Driver::new(self.clone(), build, request, recorder, dir, orders, lock);
        Ok(BuildHandle { id, position, control, outcome: tokio::spawn(driver.run()) })
    }

    /// Takes over a build whose supervisor died while its agent lives on.
    ///
    /// # Errors
    /// When it is complete, unknown, or supervised by another process.
    pub fn attach(&self, name: &str) -> Result<BuildHandle, EngineError> {
        self.attach_with(name, |_| {})
    }

    /// As [`Self::attach`], with what was never written down of the request put into it again.
    ///
    /// # Errors
    /// As [`Self::attach`].
    pub fn attach_with(
        &self,
        name: &str,
        complete: impl FnOnce(&mut BuildRequest),
    ) -> Result<BuildHandle, EngineError> {
        let mut stored = self.journal.find(name)?.ok_or_else(|| EngineError::Unknown(name.to_owned()))?;
        if stored.build.build_complete {
            return Err(EngineError::Complete(stored.build.id.to_string()));
        }
        complete(&mut stored.request);
        let id = stored.build.id.clone();
        let lock = self.take(&id)?;
        let dir = self.journal.home().build(id.uuid());
        let recorder = Arc::new(self.journal.recorder(id.uuid())?);
        let (control, orders) = control();
        let position = recorder.follow();
        self.couriers.follow(&id, &stored.request, &position)?;
        let mut driver = Driver::new(self.clone(), stored.build, stored.request, recorder, dir, orders, lock);
        if stored.placement.is_some() {
            driver.keep_slot();
        }
        let outcome = tokio::spawn(driver.adopt(stored.buildspec, stored.placement));
        Ok(BuildHandle { id, position, control, outcome })
    }

    fn take(&self, id: &BuildId) -> Result<FileLock, EngineError> {
        self.journal
            .home()
            .build(id.uuid())
            .try_lock()
            .map_err(|source| EngineError::State { build: id.to_string(), source })?
            .ok_or_else(|| EngineError::Supervised(id.to_string()))
    }

    fn new_build(&self, request: &BuildRequest) -> Result<Build, EngineError> {
        let now = Timestamp::now();
        let project = project_name(request);
        let build_number = self.journal.next_number(&project, "build")?;
        let id = BuildId::new(&project);
        let region = &self.region;
        let environment = &request.project.environment;
        let image = request.image.clone().or_else(|| environment.image.clone()).unwrap_or_default();
        let logs = logs(request, &project, &id, region);
        Ok(Build {
            arn: format!("arn:aws:codebuild:{region}:{LOCAL_ACCOUNT}:build/{id}"),
            build_number,
            start_time: now,
            end_time: None,
            current_phase: PhaseType::Submitted,
            build_status: Status::InProgress,
            source_version: request.source_version.clone(),
            resolved_source_version: None,
            project_name: project,
            phases: Lifecycle::new(now).phases().to_vec(),
            source: request.source.clone(),
            secondary_sources: request.secondary_sources.iter().map(|(source, _)| source.clone()).collect(),
            artifacts: None::<BuildArtifacts>,
            secondary_artifacts: Vec::new(),
            cache: request.project.cache.clone(),
            environment: BuildEnvironment {
                kind: environment.kind.clone().unwrap_or_else(|| "LINUX_CONTAINER".into()),
                image,
                compute_type: request
                    .compute_type
                    .clone()
                    .or_else(|| environment.compute_type.clone())
                    .unwrap_or_default(),
                environment_variables: request.variables(),
                privileged_mode: request.privileged.or(environment.privileged_mode).unwrap_or_default(),
                image_pull_credentials_type: environment.image_pull_credentials_type.clone(),
            },
            logs,
            timeout_in_minutes: request
                .timeout_seconds
                .map(|seconds| u32::try_from(seconds.div_ceil(60)).unwrap_or(u32::MAX))
                .or(request.project.timeout_in_minutes)
                .unwrap_or(TIMEOUT_MINUTES),
            queued_timeout_in_minutes: request
                .project
                .queued_timeout_in_minutes
                .unwrap_or(QUEUED_TIMEOUT_MINUTES),
            build_complete: false,
            initiator: request.initiator.clone(),
            exported_environment_variables: Vec::new(),
            report_arns: Vec::new(),
            reports: Vec::new(),
            auto_retry_config: request.retry.clone(),
            build_batch_arn: request.batch.as_ref().map(|batch| batch.arn.clone()),
            batch_identifier: request.batch.as_ref().map(|batch| batch.identifier.clone()),
            debug_session: DebugSession { session_enabled: request.debug_session },
            id,
        })
    }
}

/// The project's name, or one made of the source's place.
pub fn project_name(request: &BuildRequest) -> String {
    if let Some(name) = &request.project.name {
        return name.clone();
    }
    let location = request.source.location.as_deref().unwrap_or_default();
    let last = location.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    project_name_from(last.trim_end_matches(".git").trim_end_matches(".zip"))
}

/// Where the log goes, by CodeBuild's rules for names.
fn logs(request: &BuildRequest, project: &str, id: &BuildId, region: &str) -> BuildLogs {
    let config = &request.project.logs_config;
    let uuid = id.uuid();
    let group_name =
        config.cloud_watch_logs.group_name.clone().unwrap_or_else(|| format!("/aws/codebuild/{project}"));
    let stream_name = match &config.cloud_watch_logs.stream_name {
        Some(prefix) => format!("{prefix}/{uuid}"),
        None => uuid.to_owned(),
    };
    let mut logs = BuildLogs { deep_link: console_url(region, id), ..BuildLogs::default() };
    if config.cloud_watch_logs.status == Switch::Enabled {
        logs.deep_link = format!(
            "https://console.aws.amazon.com/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{}/log-events/{}",
            twice_escaped(&group_name),
            twice_escaped(&stream_name)
        );
        logs.cloud_watch_logs_arn = Some(format!(
            "arn:aws:logs:{region}:{LOCAL_ACCOUNT}:log-group:{group_name}:log-stream:{stream_name}"
        ));
    }
    if config.s3_logs.status == Switch::Enabled
        && let Some(location) = &config.s3_logs.location
    {
        let place = log_object(location, id);
        logs.s3_deep_link = Some(format!(
            "https://s3.console.aws.amazon.com/s3/object/{}/{}?region={region}",
            place.bucket, place.key
        ));
        logs.s3_logs_arn = Some(place.arn());
    }
    BuildLogs { group_name, stream_name, ..logs }
}

/// The page of a build in CodeBuild's console.
pub(crate) fn console_url(region: &str, id: &BuildId) -> String {
    format!("https://{region}.console.aws.amazon.com/codebuild/home?region={region}#/builds/{id}/view/new")
}

/// Where the log of a build goes in S3.
pub fn log_object(location: &str, id: &BuildId) -> Place {
    let mut place = Place::parse(location);
    let prefix = place.key.trim_matches('/');
    let separator = if prefix.is_empty() { "" } else { "/" };
    place.key = format!("{prefix}{separator}{}.gz", id.uuid());
    place
}

/// A name in a link of CloudWatch's console.
fn twice_escaped(name: &str) -> String {
    name.replace('/', "$252F")
}

fn control() -> (Control, mpsc::UnboundedReceiver<Order>) {
    let (orders, receiver) = mpsc::unbounded_channel();
    (Control { orders }, receiver)
}
