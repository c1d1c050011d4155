//! Builds of a process that serves: begun, tried again, stopped, waited for; nobody has to watch them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::batch::{BatchHandle, BuildBatch};
use crate::build::BuildId;
use crate::home::StopOrder;
use crate::journal::{Journal, Stored};
use crate::request::BuildRequest;
use crate::supervisor::{BuildHandle, Control, EngineError, Supervisor};

/// Builds of one batch that may wait for a slot at once.
const BATCH_WIDTH: usize = 100;
/// As with CodeBuild, so many builds for each slot may wait; a batch counts as one.
const QUEUE_DEPTH: usize = 5;

/// Why a build is not begun.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No more are begun.
    #[error("this service is ending and begins no more builds")]
    Ending,
    /// Too many wait already.
    #[error("Cannot have more than {0} builds in queue for the account")]
    QueueFull(usize),
    /// The project's `concurrentBuildLimit`.
    #[error("Cannot have more than {0} active builds for the project")]
    ProjectLimit(u32),
    /// The same token was used for something else.
    #[error("idempotencyToken was used for a build with other parameters")]
    TokenReused,
    /// It cannot be begun.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

enum Running {
    Build(Control),
    Batch(watch::Sender<bool>),
}

/// Begins builds and keeps hold of them until they are over.
pub struct Dispatcher {
    supervisor: Supervisor,
    slots: usize,
    running: watch::Sender<BTreeMap<String, Running>>,
    /// Whether more are begun; held while one is, so that limits and tokens hold for those that come together.
    open: Mutex<bool>,
}

impl Dispatcher {
    /// Lets so many builds run at once.
    pub fn new(supervisor: &Supervisor, slots: usize) -> Arc<Self> {
        let supervisor = supervisor.clone().with_slots(slots);
        Arc::new(Self { supervisor, slots, running: watch::Sender::default(), open: Mutex::new(true) })
    }

    fn journal(&self) -> &Journal {
        &self.supervisor.journal
    }

    /// Begins a build; the same one again for a token that was used lately.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn start(self: &Arc<Self>, request: BuildRequest) -> Result<BuildId, Refusal> {
        let _begun_alone = self.enter()?;
        if let Some(token) = &request.idempotency_token
            && let Some(earlier) = self.journal().by_token(token).map_err(EngineError::from)?
        {
            return if earlier.request == request { Ok(earlier.build.id) } else { Err(Refusal::TokenReused) };
        }
        if let (Some(name), Some(limit)) = (&request.project.name, request.project.concurrent_build_limit)
            && self.journal().active(name).map_err(EngineError::from)? >= u64::from(limit)
        {
            return Err(Refusal::ProjectLimit(limit));
        }
        self.room()?;
        Ok(self.hold(self.supervisor.start(request)?))
    }

    /// Begins a batch; its builds take slots as others do. `after` is one of which what succeeded is not built again.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn start_batch(
        self: &Arc<Self>,
        request: BuildRequest,
        after: Option<&BuildBatch>,
    ) -> Result<BuildId, Refusal> {
        let _begun_alone = self.enter()?;
        if let Some(token) = &request.idempotency_token
            && let Some((id, earlier)) = self.journal().batch_by_token(token).map_err(EngineError::from)?
        {
            return if earlier == request { Ok(id) } else { Err(Refusal::TokenReused) };
        }
        self.room()?;
        Ok(self.hold_batch(self.supervisor.open_batch(request, BATCH_WIDTH, after)?))
    }

    /// Takes over the builds and batches that a process before this one began in the name of such an initiator.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub fn adopt(self: &Arc<Self>, is_ours: impl Fn(&str) -> bool) -> Result<usize, EngineError> {
        let mut all = self.journal().unfinished()?;
        all.retain(|stored| is_ours(&stored.build.initiator));
        // Those that run keep their slots; what is left is for those that wait.
        all.sort_by_key(|stored| stored.placement.is_none());
        // Whatever cannot be taken over has another supervisor, or has just ended.
        let attach = |stored: &Stored| self.supervisor.attach(stored.build.id.as_str()).ok();
        let mut handles: Vec<BuildHandle> = all.iter().filter_map(attach).collect();
        let adopted = handles.len();
        for batch in self.journal().unfinished_batches()? {
            let request = self.journal().batch_request(batch.id.uuid())?;
            if !request.is_some_and(|request| is_ours(&request.initiator)) {
                continue;
            }
            match self.supervisor.resume_batch(batch.id.as_str(), BATCH_WIDTH, &mut handles) {
                Ok(handle) => drop(self.hold_batch(handle)),
                Err(error @ EngineError::Journal(_)) => return Err(error),
                Err(_) => drop(self.supervisor.close_batch(&batch.id)?),
            }
        }
        handles.into_iter().for_each(|handle| drop(self.hold(handle)));
        Ok(adopted)
    }

    /// Stops a build, whichever process supervises it now or after that one's death.
    ///
    /// # Errors
    /// When the order cannot be written down.
    pub fn stop(&self, id: &BuildId) -> Result<(), EngineError> {
        order(id, &self.journal().home().build(id.uuid()).stop_order())?;
        // At once, if it is this process.
        if let Some(Running::Build(control)) = self.running.borrow().get(id.uuid()) {
            control.stop();
        }
        Ok(())
    }

    /// As [`Self::stop`], a batch.
    ///
    /// # Errors
    /// When the order cannot be written down.
    pub fn stop_batch(&self, id: &BuildId) -> Result<(), EngineError> {
        order(id, &self.journal().home().batch_stop_order(id.uuid()))?;
        if let Some(Running::Batch(stop)) = self.running.borrow().get(id.uuid()) {
            let _ended = stop.send(true);
        }
        Ok(())
    }

    /// Begins no more.
    pub fn close(&self) {
        *self.gate() = false;
    }

    /// Stops everything.
    pub fn stop_all(&self) {
        for running in self.running.borrow().values() {
            match running {
                Running::Build(control) => control.stop(),
                Running::Batch(stop) => drop(stop.send(true)),
            }
        }
    }

    /// Waits until nothing runs.
    pub async fn idle(&self) {
        let mut running = self.running.subscribe();
        // It cannot fail: this very value keeps the sender.
        let _idle = running.wait_for(BTreeMap::is_empty).await;
    }

    fn hold(self: &Arc<Self>, handle: BuildHandle) -> BuildId {
        let BuildHandle { id, control, outcome, .. } = handle;
        let uuid = id.uuid().to_owned();
        self.running.send_modify(|running| drop(running.insert(uuid.clone(), Running::Build(control))));
        let this = Arc::clone(self);
        tokio::spawn(async move {
            // Whatever went wrong is in the build's record.
            if let Ok(Ok(outcome)) = outcome.await
                && let Some(request) = outcome.retry
                && let Ok(handle) = this.supervisor.start(*request)
            {
                this.hold(handle);
            }
            this.running.send_modify(|running| drop(running.remove(&uuid)));
        });
        id
    }

    fn hold_batch(self: &Arc<Self>, handle: BatchHandle) -> BuildId {
        let BatchHandle { id, stop, outcome, .. } = handle;
        let uuid = id.uuid().to_owned();
        self.running.send_modify(|running| drop(running.insert(uuid.clone(), Running::Batch(stop))));
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let _in_its_record = outcome.await;
            this.running.send_modify(|running| drop(running.remove(&uuid)));
        });
        id
    }

    /// Whether another one may run or wait.
    fn room(&self) -> Result<(), Refusal> {
        if self.running.borrow().len() >= self.slots * (QUEUE_DEPTH + 1) {
            return Err(Refusal::QueueFull(self.slots * QUEUE_DEPTH));
        }
        Ok(())
    }

    fn gate(&self) -> MutexGuard<'_, bool> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Result<MutexGuard<'_, bool>, Refusal> {
        let open = self.gate();
        if *open { Ok(open) } else { Err(Refusal::Ending) }
    }
}

fn order(id: &BuildId, order: &StopOrder) -> Result<(), EngineError> {
    order.give().map_err(|source| EngineError::State { build: id.to_string(), source })
}
