//! Takes the journal of each build to each sink, and what could not be delivered once more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Delivery, Page, Sink, SinkError};
use crate::build::BuildId;
use crate::journal::{Journal, JournalError, Position, StoredDelivery};
use crate::ports::{NewObject, Ports};
use crate::private::FileLock;
use crate::request::BuildRequest;
use crate::supervisor::forget;

/// While a build runs, a sink gets what is new no more often.
const INTERVAL: Duration = Duration::from_millis(500);
/// Before the second try; each later one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Everybody who is on the way for builds of this process.
pub struct Couriers {
    journal: Arc<Journal>,
    ports: Ports,
    tasks: Mutex<JoinSet<Result<(), JournalError>>>,
    closing: watch::Sender<bool>,
}

/// Something that waits to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The build.
    pub build: BuildId,
    /// The sink, or what is to be taken.
    pub name: String,
    /// Why the last try failed, where there was one.
    pub error: Option<String>,
}

impl Couriers {
    /// Nobody is on the way yet.
    pub fn new(journal: Arc<Journal>, ports: Ports) -> Self {
        Self { journal, ports, tasks: Mutex::default(), closing: watch::Sender::new(false) }
    }

    /// Sends one off to each sink that a new or an adopted build concerns.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn follow(
        &self,
        id: &BuildId,
        request: &BuildRequest,
        position: &watch::Receiver<Position>,
    ) -> Result<(), JournalError> {
        let wanted: Vec<_> = self.ports.sinks.iter().filter(|sink| sink.wants(request)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let known = self.journal.deliveries(id.uuid())?;
        // Another process that delivers already goes on alone.
        let Some(lock) = self.lock(id.uuid()) else { return Ok(()) };
        for sink in wanted {
            let state = known.iter().find(|known| known.name == sink.name()).cloned();
            let state = state.unwrap_or_else(|| StoredDelivery::new(id.uuid(), sink.name()));
            self.journal.save_delivery(&state)?;
            let courier = Courier {
                journal: Arc::clone(&self.journal),
                sink: Arc::clone(sink),
                state,
                _lock: Arc::clone(&lock),
            };
            self.tasks
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .spawn(courier.follow(position.clone(), self.closing.subscribe()));
        }
        Ok(())
    }

    /// Waits so long until everything is delivered; what is on the way then is left to a later try.
    pub async fn drain(&self, patience: Duration) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        if tasks.is_empty() {
            return;
        }
        self.closing.send_replace(true);
        let all = async { while tasks.join_next().await.is_some() {} };
        let _late = tokio::time::timeout(patience, all).await;
        tasks.shutdown().await;
        self.closing.send_replace(false);
    }

    /// Tries again, once, what was not delivered: of this build or of all.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn retry(&self, only: Option<&str>) -> Result<(), JournalError> {
        if let Some(store) = &self.ports.objects {
            store.tidy().await;
        }
        for uuid in self.journal.undelivered()? {
            if only.is_some_and(|only| only != uuid) {
                continue;
            }
            let Some(lock) = self.lock(&uuid) else { continue };
            for state in self.journal.deliveries(&uuid)?.into_iter().filter(|state| !state.done) {
                self.retry_one(state, &lock).await?;
            }
        }
        Ok(())
    }

    async fn retry_one(&self, mut state: StoredDelivery, lock: &Arc<FileLock>) -> Result<(), JournalError> {
        if let Some(work) = &state.work {
            let taken = self.take(work).await;
            let (arrived, error) = taken.unwrap_or_else(|error| (Arrived::default(), Some(error)));
            state.done = error.is_none();
            state.error = error.map(|error| error.message);
            if let Some(left) = arrived.left {
                state.work = Some(left);
            }
            // What is written down as waiting must have its file.
            self.journal.save_delivery(&state)?;
            forget(&arrived.objects);
            return Ok(());
        }
        let Some(sink) = self.ports.sinks.iter().find(|sink| sink.name() == state.name) else {
            state.error = Some("it is not configured any more".into());
            return self.journal.save_delivery(&state);
        };
        let (journal, sink) = (Arc::clone(&self.journal), Arc::clone(sink));
        let mut courier = Courier { journal, sink, state, _lock: Arc::clone(lock) };
        while matches!(courier.step().await?, Step::Moved) {}
        Ok(())
    }

    /// Takes files to the object store. Says what has arrived, and why not all.
    async fn take(&self, work: &str) -> Result<(Arrived, Option<SinkError>), SinkError> {
        let fail = |error: &dyn std::error::Error| SinkError::new(error.to_string());
        let objects: Vec<NewObject> = serde_json::from_str(work).map_err(|error| fail(&error))?;
        let Some(store) = &self.ports.objects else {
            return Err(SinkError::new("no object store is configured"));
        };
        let Err(failed) = store.put(&objects).await else {
            return Ok((Arrived { objects, left: None }, None));
        };
        let (arrived, left) = failed.split(&objects);
        let left = serde_json::to_string(&left).map_err(|error| fail(&error))?;
        let objects = arrived.into_iter().cloned().collect();
        Ok((Arrived { objects, left: Some(left) }, Some(fail(&failed))))
    }

    fn lock(&self, uuid: &str) -> Option<Arc<FileLock>> {
        // A build whose directory cannot be used has said so elsewhere.
        let home = self.journal.home();
        let of_build = home.build(uuid).try_delivery_lock();
        of_build.or_else(|_| home.try_batch_delivery_lock(uuid)).ok().flatten().map(Arc::new)
    }
}

/// What an object store has taken of what waited.
#[derive(Default)]
struct Arrived {
    objects: Vec<NewObject>,
    /// What waits on, where that is less than before.
    left: Option<String>,
}

/// What of complete builds was not delivered.
///
/// # Errors
/// [`JournalError`].
pub fn undelivered(journal: &Journal) -> Result<Vec<Undelivered>, JournalError> {
    let mut all = Vec::new();
    for uuid in journal.undelivered()? {
        let build = match journal.find(&uuid)? {
            Some(stored) => stored.build.id,
            None => match journal.find_batch(&uuid)? {
                Some(batch) => batch.id,
                None => continue,
            },
        };
        all.extend(
            journal.deliveries(&uuid)?.into_iter().filter(|state| !state.done).map(|state| Undelivered {
                build: build.clone(),
                name: state.name,
                error: state.error,
            }),
        );
    }
    Ok(all)
}

/// One sink of one build.
struct Courier {
    journal: Arc<Journal>,
    sink: Arc<dyn Sink>,
    state: StoredDelivery,
    _lock: Arc<FileLock>,
}

/// Waits, unless the program wants to end.
async fn wait(time: Duration, closing: &mut watch::Receiver<bool>) {
    // Over time, or closing: both end the wait.
    let _either = tokio::time::timeout(time, closing.wait_for(|closing| *closing)).await;
}

enum Step {
    Moved,
    Idle,
    Failed,
    Done,
}

impl Courier {
    async fn follow(
        mut self,
        mut position: watch::Receiver<Position>,
        mut closing: watch::Receiver<bool>,
    ) -> Result<(), JournalError> {
        let mut pause = FIRST_PAUSE;
        loop {
            position.mark_unchanged();
            match self.step().await? {
                Step::Done => return Ok(()),
                Step::Moved => {
                    pause = FIRST_PAUSE;
                    wait(INTERVAL, &mut closing).await;
                }
                Step::Failed if *closing.borrow() => return Ok(()),
                Step::Failed => {
                    wait(pause, &mut closing).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Step::Idle if position.changed().await.is_ok() => {}
                // The recorder is gone: this is all there will be.
                Step::Idle => {
                    while matches!(self.step().await?, Step::Moved) {}
                    return Ok(());
                }
            }
        }
    }

    /// Delivers the next page, if there is one.
    async fn step(&mut self) -> Result<Step, JournalError> {
        if self.state.done {
            return Ok(Step::Done);
        }
        let (journal, uuid, from) = (Arc::clone(&self.journal), self.state.build.clone(), self.state.cursor);
        let read = move || {
            let page = Page::read(&journal, &uuid, from)?;
            let stored = if page.is_empty() { None } else { journal.find(&uuid)? };
            Ok::<_, JournalError>((page, stored))
        };
        let Ok(read) = tokio::task::spawn_blocking(read).await else { return Ok(Step::Idle) };
        let (page, Some(stored)) = read? else { return Ok(Step::Idle) };
        let uncertain = self.state.uncertain;
        self.state.uncertain = true;
        self.journal.save_delivery(&self.state)?;
        let (build, request) = (&stored.build, &stored.request);
        let taken = &self.state.taken;
        let delivery = Delivery { build, request, page: &page, journal: &self.journal, uncertain, taken };
        match self.sink.deliver(&delivery).await {
            Ok(()) => {
                self.state.cursor = page.to;
                self.state.done = page.last;
                self.state.uncertain = false;
                self.state.taken.clear();
                self.state.error = None;
                self.journal.save_delivery(&self.state)?;
                Ok(if page.last { Step::Done } else { Step::Moved })
            }
            Err(error) => {
                self.state.taken.extend(error.taken);
                self.state.error = Some(error.message);
                self.journal.save_delivery(&self.state)?;
                Ok(Step::Failed)
            }
        }
    }
}
