//! One runner: its session, and one job at a time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
pub use runspan_engine::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::assignment::{Assignment, Ready};
use crate::retry::Backoff;
use crate::store::{JobRecord, Kept, Place};
use crate::workshop::Workshop;
use crate::{Broker, GitHubError, JobOffer, Message, OAuth, Registration, RunnerStatus, Session, http};

/// A conflict of sessions is another process's, when it lasts longer.
const CONFLICT_PATIENCE: u32 = 12;
/// A cancellation is said again and again until the job is over.
const CANCEL_PAUSE: Duration = Duration::from_secs(1);

/// Why a runner ended.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// GitHub.
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    /// This machine's disk.
    #[error("the state of runner {runner} cannot be used: {source}")]
    State {
        /// Which.
        runner: String,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("runner {0} is served by another process on this machine")]
    Served(String),
}

/// Tells people what happens.
pub type Notes = Arc<dyn Fn(String) + Send + Sync>;

/// A cancelled job, and how long its end may take.
pub(crate) type Cancelled = Option<(Uuid, Duration)>;

/// Everything that jobs of a runner share.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) client: Client,
    pub(crate) oauth: OAuth,
    pub(crate) registration: Arc<Registration>,
    pub(crate) place: Place,
    pub(crate) workshop: Arc<dyn Workshop>,
    pub(crate) notes: Notes,
}

impl Tools {
    pub(crate) fn note(&self, text: &str) {
        (self.notes)(format!("{}: {text}", self.registration.name));
    }

    /// What the disk did, as this runner's error.
    pub(crate) fn disk<T>(&self, done: io::Result<T>) -> Result<T, RunnerError> {
        done.map_err(|source| RunnerError::State { runner: self.registration.name.clone(), source })
    }
}

/// The job that a runner has.
struct Current {
    task: JoinHandle<Result<Option<Ready>, RunnerError>>,
    /// Closed when the task is over, so that it can be waited for without being joined.
    over: watch::Receiver<()>,
}

/// A runner.
pub struct Runner {
    tools: Tools,
    broker: Broker,
    cancelled: watch::Sender<Cancelled>,
    shutdown: watch::Receiver<Shutdown>,
    current: Option<Current>,
    /// Jobs in a row that could not be had.
    skipped: Backoff,
    /// It was for one job, which is over.
    is_used: bool,
}

impl Runner {
    /// Of a registration.
    ///
    /// # Errors
    /// When there is no HTTP client to be had.
    pub fn new(
        place: Place,
        registration: Registration,
        workshop: Arc<dyn Workshop>,
        notes: Notes,
        shutdown: watch::Receiver<Shutdown>,
    ) -> Result<Self, GitHubError> {
        let client = http::client(&registration.version)?;
        let identity = Arc::new(registration.identity.clone());
        let registration = Arc::new(registration);
        let oauth = OAuth::new(client.clone(), identity);
        let broker = Broker::new(client.clone(), oauth.clone(), Arc::clone(&registration));
        let tools = Tools { client, oauth, registration, place, workshop, notes };
        Ok(Self {
            tools,
            broker,
            cancelled: watch::Sender::new(None),
            shutdown,
            current: None,
            skipped: Backoff::new(Duration::from_millis(500), Duration::from_secs(60)),
            is_used: false,
        })
    }

    /// Takes jobs until it is to end.
    ///
    /// # Errors
    /// [`RunnerError`], for what waiting does not heal.
    pub async fn run(mut self) -> Result<(), RunnerError> {
        let lock = self.tools.disk(self.tools.place.try_lock())?;
        let _lock = lock.ok_or_else(|| RunnerError::Served(self.tools.registration.name.clone()))?;
        self.take_up()?;
        let done = self.serve().await;
        // Whatever the reason, a job that runs is brought to its end.
        while self.current.is_some() {
            self.finish().await?;
        }
        done
    }

    /// Goes on with the job of a process that died.
    fn take_up(&mut self) -> Result<(), RunnerError> {
        match self.tools.place.job() {
            Ok(None) => {}
            Ok(Some(record)) => self.begin(record),
            Err(error) => {
                self.tools.note(&format!("what an earlier process wrote of its job cannot be read: {error}"));
                self.tools.disk(self.tools.place.forget_job())?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, record: JobRecord) {
        let assignment =
            Assignment::new(self.tools.clone(), self.cancelled.subscribe(), self.shutdown.clone());
        let (running, over) = watch::channel(());
        let task = tokio::spawn(async move {
            let _running = running;
            assignment.run(record).await
        });
        self.current = Some(Current { task, over });
    }

    async fn serve(&mut self) -> Result<(), RunnerError> {
        let mut session = match self.open().await? {
            Some(session) => session,
            None => return Ok(()),
        };
        self.tools.note("waits for jobs");
        let mut trouble = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        loop {
            if self.is_used {
                return Ok(());
            }
            if self.current.is_none() && *self.shutdown.borrow() >= Shutdown::Drain {
                break;
            }
            match self.listen(&session).await {
                Heard::Ended => self.finish().await?,
                Heard::Shutdown => {}
                Heard::Message(Ok(message)) => {
                    if trouble.failures() > 0 {
                        self.tools.note("hears GitHub again");
                    }
                    trouble.reset();
                    if let Some(message) = message {
                        self.message(&session, message).await?;
                    }
                }
                Heard::Message(Err(GitHubError::SessionOver { .. })) => match self.open().await? {
                    Some(next) => session = next,
                    None => break,
                },
                Heard::Message(Err(
                    error @ (GitHubError::RegistrationGone { .. }
                    | GitHubError::Version { .. }
                    | GitHubError::Key { .. }),
                )) => return Err(error.into()),
                Heard::Message(Err(error)) => {
                    if trouble.failures() == 0 {
                        self.tools.note(&format!("{error}; tries again"));
                    }
                    if !error.is_passing() {
                        self.tools.oauth.forget().await;
                    }
                    self.pause(trouble.next(Some(&error))).await;
                }
            }
        }
        // Nothing is lost when it stays open.
        let _open = self.broker.close().await;
        self.tools.disk(self.tools.place.note_session(None))
    }

    /// Waits for a message, the end of the job, or the wish to end.
    ///
    /// The call for messages ends before the job is completed, never after: GitHub may answer a call that is then cut
    /// with the next job, which would be lost for a while.
    async fn listen(&mut self, session: &Session) -> Heard {
        let status = if self.current.is_some() { RunnerStatus::Busy } else { RunnerStatus::Online };
        let draining = *self.shutdown.borrow() != Shutdown::No;
        tokio::select! {
            () = ended(&mut self.current) => Heard::Ended,
            _ = self.shutdown.changed(), if !draining => Heard::Shutdown,
            message = self.broker.message(session, status) => Heard::Message(message),
        }
    }

    async fn message(&mut self, session: &Session, message: Message) -> Result<(), RunnerError> {
        match message {
            Message::Job(offer) => self.offered(session, offer).await?,
            Message::Cancel { job_id, grace } => {
                let news = Some((job_id, grace));
                let is_new = self.cancelled.send_if_modified(|cancelled| {
                    let is_new = *cancelled != news;
                    *cancelled = news;
                    is_new
                });
                if !is_new || self.current.is_none() {
                    self.pause(CANCEL_PAUSE).await;
                }
            }
            Message::RefreshToken => self.tools.oauth.forget().await,
            Message::Other(kind) => {
                self.tools.note(&format!("GitHub says {kind}, which does not concern this program"));
                self.pause(CANCEL_PAUSE).await;
            }
        }
        Ok(())
    }

    async fn offered(&mut self, session: &Session, offer: JobOffer) -> Result<(), RunnerError> {
        if self.current.is_some() || *self.shutdown.borrow() != Shutdown::No {
            // The same again, or one that GitHub gives to somebody else.
            self.pause(CANCEL_PAUSE).await;
            return Ok(());
        }
        self.tools.disk(self.tools.place.write_job(&JobRecord::Offered { offer: offer.clone() }))?;
        if offer.should_acknowledge
            && let Err(GitHubError::JobGone { reason }) = self.broker.acknowledge(session, &offer).await
        {
            self.tools.note(&format!("a job was offered that is gone: {reason}"));
            self.tools.disk(self.tools.place.forget_job())?;
            self.skip().await;
            return Ok(());
        }
        self.begin(JobRecord::Offered { offer });
        Ok(())
    }

    /// A job could not be had; after the second in a row others get the chance first.
    async fn skip(&mut self) {
        let wait = self.skipped.next(None);
        if self.skipped.failures() > 1 {
            self.pause(wait).await;
        }
    }

    /// The job's task is over: completes the job.
    async fn finish(&mut self) -> Result<(), RunnerError> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let ready = match current.task.await {
            Ok(ready) => ready?,
            Err(error) => {
                self.tools.note(&format!("the task of the job died: {error}"));
                // What was written down still says how far it was.
                match self.tools.disk(self.tools.place.job())? {
                    Some(record) => {
                        let assignment = Assignment::new(
                            self.tools.clone(),
                            self.cancelled.subscribe(),
                            self.shutdown.clone(),
                        );
                        assignment.give_up(record)?
                    }
                    None => None,
                }
            }
        };
        match ready {
            Some(ready) => {
                self.skipped.reset();
                let is_known = ready.complete(&self.tools).await?;
                if is_known && self.tools.registration.ephemeral {
                    self.is_used = true;
                    self.tools.note("was for one job, which is over");
                    self.tools.disk(self.tools.place.remove())?;
                }
            }
            None => self.skip().await,
        }
        Ok(())
    }

    /// Opens a session; `None` when it is to end meanwhile.
    async fn open(&mut self) -> Result<Option<Session>, RunnerError> {
        if self.tools.place.had_session() {
            // Ours, of a process that died; GitHub would keep us out because of it.
            let _gone = self.broker.close().await;
        }
        let owner = format!("{} (PID: {})", self.tools.registration.name, std::process::id());
        let mut trouble = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let mut conflicts = 0;
        loop {
            let error = match self.broker.open(&owner).await {
                Ok(session) => {
                    self.tools.disk(self.tools.place.note_session(Some(session.session_id)))?;
                    return Ok(Some(session));
                }
                Err(error) => error,
            };
            conflicts += u32::from(matches!(error, GitHubError::SessionConflict { .. }));
            if !error.is_passing() || conflicts > CONFLICT_PATIENCE {
                return Err(error.into());
            }
            if trouble.failures() == 0 {
                self.tools.note(&format!("{error}; tries again"));
            }
            self.pause(trouble.next(Some(&error))).await;
            // A job that was taken up is not kept waiting by a session that cannot be had.
            if self.current.as_ref().is_some_and(|current| current.over.has_changed().is_err()) {
                self.finish().await?;
            }
            if self.is_used || *self.shutdown.borrow() != Shutdown::No && self.current.is_none() {
                return Ok(None);
            }
        }
    }

    /// Waits, unless the job or the program ends.
    async fn pause(&mut self, wait: Duration) {
        let draining = *self.shutdown.borrow() != Shutdown::No;
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = ended(&mut self.current) => {}
            _ = self.shutdown.changed(), if !draining => {}
        }
    }
}

/// Waits for the end of a job's task, if there is one.
async fn ended(current: &mut Option<Current>) {
    match current {
        Some(current) => while current.over.changed().await.is_ok() {},
        None => std::future::pending().await,
    }
}

enum Heard {
    Message(Result<Option<Message>, GitHubError>),
    Ended,
    Shutdown,
}
