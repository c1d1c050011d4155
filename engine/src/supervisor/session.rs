//! A conversation with one agent: requests out, answers in, and what happens when the container dies.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use runspan_agent_protocol::{Event as AgentEvent, Reply, Request, Stop, StopReason, Verb};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::driver::{Driver, REQUEST_STRIDE};
use super::{EngineError, Order};
use crate::executor::{ContainerEnd, ExecutorError, Placement};
use crate::lifecycle::PhaseOutcome;
use crate::link::{Incoming, Link};
use crate::plan::Plan;

/// An agent that has not said a word for so long after its container started never will.
const FIRST_WORD: Duration = Duration::from_secs(60);
/// Between TERM and KILL of a stopped build.
const GRACE: Duration = Duration::from_secs(5);
/// What the agent gets over the grace, and over the build's own time, before its container is killed.
const PATIENCE: Duration = Duration::from_secs(15);
/// What a stopped build's steps may take that want to run then, as at GitHub.
const CANCEL_TIME: Duration = Duration::from_secs(300);
/// Between two acknowledgements.
const SETTLE: Duration = Duration::from_millis(200);

/// Why a request was not answered as asked.
pub(super) enum Interrupt {
    /// The agent could not do it, and says why.
    Failed(String),
    /// It was ended from outside.
    Ended(StopReason),
    /// The container is gone; this is what the running phase ends with.
    Lost(PhaseOutcome),
    /// The engine itself failed.
    Engine(EngineError),
}

impl<E: Into<EngineError>> From<E> for Interrupt {
    fn from(error: E) -> Self {
        Self::Engine(error.into())
    }
}

/// What the first stop does to what runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shield {
    /// It ends it.
    #[default]
    Down,
    /// It waits until it is over.
    Up,
    /// It waits now.
    Hit,
}

pub(super) struct Session {
    pub(super) link: Link,
    pub(super) placement: Placement,
    ended: JoinHandle<Result<ContainerEnd, ExecutorError>>,
    /// Answers of the current phase that a dead supervisor got already.
    replies: HashMap<u64, Result<Reply, String>>,
    stopping: Option<StopReason>,
    /// What runs now would run in a build that is being stopped, too.
    shield: Shield,
    kill_at: Instant,
    heard: bool,
    settle: tokio::time::Interval,
}

impl Session {
    /// Opens the line before there is somebody to dial it.
    pub(super) fn listen(driver: &Driver, plan: &Plan) -> Result<Link, EngineError> {
        let uuid = driver.build.id.uuid();
        let service = driver.supervisor.ports.service.clone();
        let link = Link::listen(&driver.dir.run(), uuid, Arc::clone(&driver.recorder), service)
            .map_err(|source| EngineError::State { build: driver.build.id.to_string(), source })?;
        if let Some(answers) = driver.answers(plan) {
            link.answer(answers);
        }
        Ok(link)
    }

    /// Opens line and conversation with an agent that runs already.
    pub(super) fn open(
        driver: &Driver,
        plan: &Plan,
        placement: Placement,
        adopted: bool,
    ) -> Result<Self, EngineError> {
        Self::new(driver, Self::listen(driver, plan)?, placement, adopted)
    }

    pub(super) fn new(
        driver: &Driver,
        link: Link,
        placement: Placement,
        adopted: bool,
    ) -> Result<Self, EngineError> {
        let replies = if adopted { driver.recorder.replies()?.into_iter().collect() } else { HashMap::new() };
        let (executor, observed) = (Arc::clone(&driver.supervisor.executor), placement.clone());
        let mut settle = tokio::time::interval(SETTLE);
        settle.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Ok(Self {
            link,
            placement,
            ended: tokio::spawn(async move { executor.observe(&observed).await }),
            replies,
            stopping: None,
            shield: Shield::Down,
            kill_at: Instant::now() + FIRST_WORD,
            heard: false,
            settle,
        })
    }

    /// Asks the agent for something and waits for the answer.
    pub(super) async fn call(&mut self, driver: &mut Driver, verb: Verb) -> Result<Reply, Interrupt> {
        let id = driver.take_request_id();
        self.call_as(driver, id, verb).await
    }

    /// Asks the agent to write these lines and waits for nothing: it does one thing after the other, so that they
    /// stand before whatever it is asked for next.
    pub(super) fn tell(&mut self, driver: &mut Driver, lines: Vec<String>) {
        let id = driver.take_request_id();
        if self.replies.remove(&id).is_none() {
            self.link.send(Request { id, verb: Verb::Log(lines) });
        }
    }

    /// [`Self::call`] under an id that was taken before, for requests that come with a blob.
    pub(super) async fn call_as(
        &mut self,
        driver: &mut Driver,
        id: u64,
        verb: Verb,
    ) -> Result<Reply, Interrupt> {
        if let Some(reply) = self.replies.remove(&id) {
            return reply.map_err(Interrupt::Failed);
        }
        self.link.send(Request { id, verb });
        loop {
            tokio::select! {
                incoming = self.link.incoming.recv() => match incoming {
                    Some(Incoming::Done(done, result)) if done == id => return self.answer(result),
                    Some(incoming) => self.hear(driver, incoming)?,
                    None => return Err(Interrupt::Lost(dead(None))),
                },
                order = driver.order() => self.obey(driver, order).await,
                end = &mut self.ended => {
                    let end = end.ok().and_then(Result::ok);
                    return self.last_words(driver, id, end).await;
                }
                () = tokio::time::sleep_until(self.kill_at) => self.lose_patience(driver).await,
                _ = self.settle.tick() => self.link.settle()?,
            }
        }
    }

    /// Whether a dead supervisor saw this request through: a later one, which is no repetition of it, was answered.
    pub(super) fn was_followed(&self, id: u64) -> bool {
        self.replies.keys().any(|other| *other >= id + REQUEST_STRIDE)
    }

    /// Whether a dead supervisor got the answer to this request.
    pub(super) fn is_answered(&self, id: u64) -> bool {
        self.replies.contains_key(&id)
    }

    /// Forgets an answer that cannot be used, so that the request is made anew under a later id.
    pub(super) fn forget(&mut self, id: u64) -> bool {
        self.replies.remove(&id).is_some()
    }

    /// Gives a build that is being stopped time for its last steps.
    pub(super) fn grant(&mut self) {
        self.stopping = None;
        self.kill_at = Instant::now() + CANCEL_TIME;
    }

    /// Lets what runs from now on end by itself when the build is stopped.
    pub(super) fn raise_shield(&mut self) {
        self.shield = Shield::Up;
    }

    /// What ran is over; whether the build was stopped meanwhile.
    pub(super) fn lower_shield(&mut self) -> bool {
        std::mem::take(&mut self.shield) == Shield::Hit
    }

    /// An answer of the wrong kind.
    pub(super) fn unexpected(&self, reply: &Reply) -> Interrupt {
        Interrupt::Failed(format!(
            "the agent of attempt {} gave an answer of the wrong kind: {reply:?}",
            self.placement.attempt
        ))
    }

    /// Lets the agent finish and removes the container.
    pub(super) async fn close(mut self, driver: &mut Driver) {
        if !self.ended.is_finished() {
            let id = driver.take_request_id();
            self.link.send(Request { id, verb: Verb::Finish });
            let finished = async {
                while let Some(incoming) = self.link.incoming.recv().await {
                    if matches!(incoming, Incoming::Done(done, _) if done == id) {
                        break;
                    }
                }
            };
            let _late = tokio::time::timeout(Duration::from_secs(5), finished).await;
            // What cannot be settled now was written down all the same.
            let _unsettled = self.link.settle();
        }
        self.discard(driver).await;
    }

    /// Removes the container as it is.
    pub(super) async fn discard(self, driver: &Driver) {
        self.ended.abort();
        // A container that cannot be removed now carries the label and falls to the next sweep.
        let _left = driver.supervisor.executor.collect(&self.placement).await;
    }

    fn answer(&self, result: Result<Reply, String>) -> Result<Reply, Interrupt> {
        result.map_err(|message| self.stopping.map_or(Interrupt::Failed(message), Interrupt::Ended))
    }

    fn hear(&mut self, driver: &Driver, incoming: Incoming) -> Result<(), Interrupt> {
        if !self.heard {
            self.heard = true;
            self.kill_at = Instant::now() + Duration::from_secs(driver.seconds_left()) + PATIENCE;
        }
        match incoming {
            Incoming::Broken(error) => Err(error.into()),
            Incoming::Event(AgentEvent::StopAsked) => {
                self.stop(driver, StopReason::Stopped);
                Ok(())
            }
            // Of a request that a dead supervisor made; it may be made again.
            Incoming::Done(id, result) => {
                self.replies.insert(id, result);
                Ok(())
            }
            Incoming::Event(_) => Ok(()),
        }
    }

    async fn obey(&mut self, driver: &Driver, order: Order) {
        match order {
            Order::Resume => self.link.send(Request { id: driver.order_id(), verb: Verb::Resume }),
            Order::Stop => self.stop(driver, StopReason::Stopped),
            Order::Kill => {
                self.stopping.get_or_insert(StopReason::Stopped);
                let _gone = driver.supervisor.executor.cancel(&self.placement).await;
            }
        }
    }

    fn stop(&mut self, driver: &Driver, reason: StopReason) {
        if self.shield == Shield::Up {
            self.shield = Shield::Hit;
            self.kill_at = Instant::now() + CANCEL_TIME;
            return;
        }
        self.stopping.get_or_insert(reason);
        let grace_ms = GRACE.as_millis().try_into().unwrap_or(u64::MAX);
        self.link.send(Request { id: driver.order_id(), verb: Verb::Stop(Stop { reason, grace_ms }) });
        self.kill_at = Instant::now() + GRACE + PATIENCE;
    }

    async fn lose_patience(&mut self, driver: &Driver) {
        if self.heard && driver.seconds_left() == 0 {
            self.stopping.get_or_insert(StopReason::TimedOut);
        }
        let _gone = driver.supervisor.executor.cancel(&self.placement).await;
        self.kill_at = Instant::now() + PATIENCE;
    }

    /// The container is gone: what the agent had spooled may still hold the answer.
    async fn last_words(
        &mut self,
        driver: &Driver,
        id: u64,
        end: Option<ContainerEnd>,
    ) -> Result<Reply, Interrupt> {
        let run_dir = driver.dir.run();
        let (done, mut drained) = oneshot::channel();
        let link = self.link.drainer();
        tokio::task::spawn_blocking(move || done.send(link.drain(&run_dir)));
        let mut drained_already = false;
        loop {
            tokio::select! {
                biased;
                incoming = self.link.incoming.recv() => match incoming {
                    Some(Incoming::Done(answered, result)) if answered == id => return self.answer(result),
                    Some(Incoming::Broken(error)) => return Err(error.into()),
                    Some(_) => {}
                    None => break,
                },
                _ = &mut drained, if !drained_already => drained_already = true,
                else => break,
            }
            if drained_already && self.link.incoming.is_empty() {
                break;
            }
        }
        Err(Interrupt::Lost(match self.stopping {
            Some(StopReason::Stopped) => PhaseOutcome::Stopped,
            Some(StopReason::TimedOut) => PhaseOutcome::TimedOut,
            None => dead(end.as_ref()),
        }))
    }
}

/// CodeBuild's words, with the reason where it is known.
fn dead(end: Option<&ContainerEnd>) -> PhaseOutcome {
    let why = match end {
        Some(end) if end.out_of_memory => "it was out of memory".to_owned(),
        Some(ContainerEnd { exit_code: Some(code), .. }) => {
            format!("its first process exited with status {code}, or the Docker image is not supported")
        }
        _ => "it was removed by somebody else, or the container engine failed".to_owned(),
    };
    PhaseOutcome::fault(
        "SINGLE_BUILD_CONTAINER_DEAD",
        format!(
            "Build container found dead before completing the build. Build container died because {why}."
        ),
    )
}
