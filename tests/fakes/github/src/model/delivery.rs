//! Which message a runner's poll gets.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{Delivery, GitHub, JobState, Moment, Refused};

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageKind {
    /// A job in the run service.
    RunnerJobRequest,
    /// A whole job.
    PipelineAgentJobRequest,
    /// End a job.
    JobCancellation,
    /// Update the runner, older form.
    AgentRefresh,
    /// Update the runner.
    RunnerRefresh,
    /// Poll elsewhere.
    BrokerMigration,
    /// Ask for a new access token.
    ForceTokenRefresh,
    /// Ask for a new configuration.
    RunnerRefreshConfig,
    /// Stop.
    RunnerShutdown,
    /// Something that no runner knows.
    Unheard,
}

/// A message for a runner.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// What about.
    pub kind: MessageKind,
    /// The rest.
    pub body: Json,
}

impl GitHub {
    /// Puts a message before a runner.
    pub fn send(&mut self, runner: u64, message: Message) {
        self.messages.entry(runner).or_default().push_back(message);
    }

    /// What a poll of the runner gets now, if anything. `busy` is what the runner says of itself.
    ///
    /// # Errors
    /// The session is not the runner's, or the runner is too old.
    pub fn poll(
        &mut self,
        runner: u64,
        session: Uuid,
        busy: bool,
        runner_version: &str,
    ) -> Result<Option<Message>, Refused> {
        self.tick();
        self.admit(runner_version)?;
        let now = self.now();
        let known = self.runners.get_mut(&runner).ok_or(Refused::RunnerNotFound)?;
        match known.session.as_mut().filter(|own| own.id == session) {
            Some(own) => own.seen = now,
            None => return Err(Refused::SessionInvalid),
        }
        if let Some(message) = self.messages.get_mut(&runner).and_then(std::collections::VecDeque::pop_front)
        {
            return Ok(Some(message));
        }
        if let Some(message) = self.cancellation(runner) {
            return Ok(Some(message));
        }
        if let Some(job) = self.jobs.values().find(|job| job.runner() == Some(runner)).map(|job| job.id) {
            return Ok(self.redeliver(job));
        }
        if busy {
            return Ok(None);
        }
        let Some(job) = self.next_job(runner) else { return Ok(None) };
        Ok(Some(self.deliver(job, runner, 1)))
    }

    fn cancellation(&mut self, runner: u64) -> Option<Message> {
        let timeout = self.settings.cancel_timeout.as_secs();
        // The broker says it again and again until the job ends, the older queue once.
        let again = !matches!(self.settings.delivery, Delivery::Queue { .. });
        let job = self.jobs.values().find(|job| {
            job.cancel.is_some()
                && matches!(job.state, JobState::Running { runner: own, .. } if own == runner)
                && (again || !job.has_been(Moment::CancellationDelivered))
        })?;
        let id = job.id;
        self.happened(id, Moment::CancellationDelivered);
        let (hours, minutes, seconds) = (timeout / 3600, timeout / 60 % 60, timeout % 60);
        let timeout = format!("0.{hours:02}:{minutes:02}:{seconds:02}.0000");
        Some(Message { kind: MessageKind::JobCancellation, body: json!({"jobId": id, "timeout": timeout}) })
    }

    /// A request that was told already is told again when nobody acknowledged it in time.
    fn redeliver(&mut self, id: Uuid) -> Option<Message> {
        let now = self.now();
        let (redelivery, stale) = (self.settings.redelivery, self.settings.stale_redelivery);
        let job = self.jobs.get_mut(&id)?;
        let JobState::Delivered { runner, at, times, acknowledged } = job.state else { return None };
        if acknowledged || super::runner::within(at, now, redelivery) {
            return None;
        }
        let message = self.deliver(id, runner, times + 1);
        if stale {
            // What was sent names a request that is not there any more.
            self.jobs.get_mut(&id)?.request = Uuid::new_v4();
        }
        Some(message)
    }

    /// The oldest queued job that the runner can take.
    fn next_job(&self, runner: u64) -> Option<Uuid> {
        let runner = self.runners.get(&runner)?;
        let registration = &runner.registration;
        let group = self.groups.iter().find(|group| group.id == registration.group)?;
        let mut queued: Vec<_> =
            self.jobs.values().filter(|job| job.state == JobState::Queued && job.cancel.is_none()).collect();
        queued.sort_by_key(|job| job.number);
        queued
            .into_iter()
            .find(|job| {
                let run = self.runs.get(&job.run);
                let siblings = run.into_iter().flat_map(|run| &run.jobs).filter_map(|id| self.jobs.get(id));
                let running =
                    siblings.filter(|other| other.key == job.key && other.runner().is_some()).count();
                run.is_some_and(|run| registration.scope.covers(&run.repository))
                    && runner.has_labels(&job.labels)
                    && job.group.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(&group.name))
                    && running < job.max_parallel
            })
            .map(|job| job.id)
    }

    fn deliver(&mut self, id: Uuid, runner: u64, times: u32) -> Message {
        let now = self.now();
        let queue = matches!(self.settings.delivery, Delivery::Queue { .. });
        if let Some(job) = self.jobs.get_mut(&id) {
            job.state = JobState::Delivered { runner, at: now, times, acknowledged: false };
        }
        self.happened(id, Moment::Delivered);
        if queue {
            // In the older queue the message is the job: being sent it is having it.
            return self.hand_over(id, runner);
        }
        let owner = self.jobs.get(&id).and_then(|job| self.billing_owner(job.run)).unwrap_or_default();
        let request = self.jobs.get(&id).map(|job| job.request);
        Message {
            kind: MessageKind::RunnerJobRequest,
            body: json!({
                "runner_request_id": request,
                "run_service_url": format!("{}/run/1/", self.base),
                "billing_owner_id": owner,
                "should_acknowledge": self.settings.acknowledge,
            }),
        }
    }

    /// A runner has read the request.
    ///
    /// # Errors
    /// There is no such request any more.
    pub fn acknowledge(&mut self, runner: u64, request: Uuid) -> Result<(), Refused> {
        let offered = self.jobs.values_mut().find(|job| job.request == request);
        let Some(job) = offered else { return Err(Refused::AcknowledgeJobNotFound(request.to_string())) };
        let id = job.id;
        match &mut job.state {
            JobState::Delivered { runner: own, acknowledged, .. } if *own == runner => *acknowledged = true,
            JobState::Running { runner: own, .. } if *own == runner => {
                self.violation(format!("job {id} was acknowledged after it was acquired"));
                return Ok(());
            }
            _ => return Err(Refused::AcknowledgeJobNotFound(request.to_string())),
        }
        self.happened(id, Moment::Acknowledged);
        Ok(())
    }
}
