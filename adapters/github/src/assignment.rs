//! One job from its offer to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use runspan_engine::lifecycle::Status;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::lease::Lease;
use crate::report::{Live, Outline, Reported, Reporter};
use crate::retry::{Backoff, persist};
use crate::run_service::{Annotation, Completion, Conclusion, Level, StepResult};
use crate::runner::{Cancelled, RunnerError, Shutdown, Tools};
use crate::store::{JobRecord, Kept};
use crate::workshop::{ENVIRONMENT_URL, Stop, Work};
use crate::{GitHubError, JobMessage, JobOffer, RunService, results};

/// An offer holds about so long.
const ACQUIRE_PATIENCE: Duration = Duration::from_secs(60);
/// How long GitHub is told of a job's end before it is left to the next process.
const COMPLETE_PATIENCE: Duration = Duration::from_secs(1800);
/// What is left of a cancelled job's grace for the report of its end.
const REPORT_SHARE: u32 = 4;
/// A build that was killed has ended by then.
const KILL_PATIENCE: Duration = Duration::from_secs(30);

/// A job in one task.
pub(crate) struct Assignment {
    tools: Tools,
    cancelled: watch::Receiver<Cancelled>,
    shutdown: watch::Receiver<Shutdown>,
}

/// A job whose end is to be told.
pub(crate) struct Ready {
    job: JobMessage,
    completion: Completion,
    /// Why there is nothing to be told: GitHub has given the job up.
    lost: bool,
    _lease: Option<Lease>,
}

/// How a build went, in the adapter's eyes.
struct Followed {
    reported: Reported,
    cancelled: bool,
    /// Why GitHub has given the job up.
    lost: Option<String>,
}

impl Assignment {
    pub(crate) const fn new(
        tools: Tools,
        cancelled: watch::Receiver<Cancelled>,
        shutdown: watch::Receiver<Shutdown>,
    ) -> Self {
        Self { tools, cancelled, shutdown }
    }

    /// Goes on from wherever the job is; nothing when it cannot be had.
    pub(crate) async fn run(self, record: JobRecord) -> Result<Option<Ready>, RunnerError> {
        match record {
            JobRecord::Offered { offer } => self.acquire(offer).await,
            JobRecord::Acquired { message } => {
                let Ok(job) = JobMessage::of(message) else { return self.forget() };
                self.begin(job).await
            }
            JobRecord::Building { message, build, outline, generation } => {
                let Ok(job) = JobMessage::of(message) else { return self.forget() };
                self.go_on(job, build, outline, generation + 1).await.map(Some)
            }
            record @ JobRecord::Ended { .. } => self.give_up(record),
        }
    }

    /// The end of a job that nobody can go on with.
    pub(crate) fn give_up(self, record: JobRecord) -> Result<Option<Ready>, RunnerError> {
        let (message, outline) = match record {
            // Whether it was acquired is not known, and only who acquired it can end it.
            JobRecord::Offered { .. } => return self.forget(),
            JobRecord::Acquired { message } => (message, Outline::default()),
            JobRecord::Building { message, outline, .. } => (message, outline),
            JobRecord::Ended { message, completion } => {
                let Ok(job) = JobMessage::of(message) else { return self.forget() };
                return Ok(Some(Ready { job, completion, lost: false, _lease: None }));
            }
        };
        let Ok(job) = JobMessage::of(message) else { return self.forget() };
        let reason = "The runner's process died while it had this job; run the job again.";
        let completion = refusal(&job, &outline, reason);
        self.ready(job, completion, None, None).map(Some)
    }

    fn forget(self) -> Result<Option<Ready>, RunnerError> {
        self.tools.disk(self.tools.place.forget_job())?;
        Ok(None)
    }

    async fn acquire(self, offer: JobOffer) -> Result<Option<Ready>, RunnerError> {
        let Tools { client, oauth, place, .. } = &self.tools;
        let backoff = Backoff::new(Duration::from_millis(300), Duration::from_secs(15));
        let until = Instant::now() + ACQUIRE_PATIENCE;
        let acquired = persist(backoff, until, || RunService::acquire(client, oauth, &offer)).await;
        let job = match acquired {
            Ok(job) => job,
            Err(error) => {
                self.tools.note(&format!("a job was offered, but {error}"));
                return self.forget();
            }
        };
        self.tools.disk(place.write_job(&JobRecord::Acquired { message: job.message.clone() }))?;
        self.begin(job).await
    }

    async fn begin(self, job: JobMessage) -> Result<Option<Ready>, RunnerError> {
        // Nothing is run for a job that GitHub takes for somebody else's.
        let lease = match Lease::take(RunService::of(self.tools.client.clone(), &job)).await {
            Ok(lease) => lease,
            Err(error) => {
                self.tools.note(&format!("job {:?} cannot be kept: {error}", job.display_name));
                return self.forget();
            }
        };
        let work = match self.tools.workshop.start(&self.tools.registration, &job).await {
            Ok(work) => work,
            Err(reason) => {
                self.tools.note(&format!("job {:?} cannot be run: {reason}", job.display_name));
                let completion = refusal(&job, &Outline::default(), &reason);
                return self.ready(job, completion, None, Some(lease)).map(Some);
            }
        };
        self.tools.note(&format!("runs job {:?} as build {}", job.display_name, work.build));
        self.tools.disk(self.building(&job, &work, 0))?;
        self.follow(job, work, 0, lease).await.map(Some)
    }

    /// Goes on with the build of a process that died.
    async fn go_on(
        self,
        job: JobMessage,
        build: String,
        outline: Outline,
        generation: u64,
    ) -> Result<Ready, RunnerError> {
        self.tools.note(&format!("goes on with job {:?}, build {build}", job.display_name));
        let lease = match Lease::take(RunService::of(self.tools.client.clone(), &job)).await {
            Ok(lease) => Some(lease),
            Err(error) => {
                self.tools.note(&format!("job {:?} is lost: {error}", job.display_name));
                None
            }
        };
        let work = match self.tools.workshop.resume(&self.tools.registration, &job, &build).await {
            Ok(work) => Work { outline, ..work },
            Err(reason) => {
                let completion = refusal(&job, &outline, &reason);
                return self.ready(job, completion, None, lease);
            }
        };
        let Some(lease) = lease else {
            (work.stop)(Stop::AtOnce);
            let completion = refusal(&job, &work.outline, "GitHub has given the job up.");
            return self.ready(job, completion, Some("it is over at GitHub".into()), None);
        };
        self.tools.disk(self.building(&job, &work, generation))?;
        self.follow(job, work, generation, lease).await
    }

    fn building(&self, job: &JobMessage, work: &Work, generation: u64) -> std::io::Result<()> {
        self.tools.place.write_job(&JobRecord::Building {
            message: job.message.clone(),
            build: work.build.clone(),
            outline: work.outline.clone(),
            generation,
        })
    }

    /// Follows the build to its end.
    async fn follow(
        mut self,
        job: JobMessage,
        work: Work,
        generation: u64,
        mut lease: Lease,
    ) -> Result<Ready, RunnerError> {
        let Work { outline, checks, feed, stop, .. } = work;
        let followed = self.watch(&job, &outline, feed, stop, generation, &mut lease).await;
        let Followed { reported, cancelled, lost } = followed;
        // While the job's token is good, which it is no more when GitHub has given the job up.
        if let (Some(checks), None) = (checks, &lost) {
            let warn = |text: String| self.tools.note(&format!("job {:?}: {text}", job.display_name));
            checks.show(job.job_id, &reported.check_runs, generation > 0, warn).await;
        }
        let mut completion = completion(&job, reported, cancelled);
        if let Some(reason) = &lost {
            self.tools.note(&format!("job {:?} was lost: {reason}", job.display_name));
        }
        if *self.shutdown.borrow() == Shutdown::Stop && !cancelled {
            // As GitHub's own runner has it when its machine goes down.
            completion.conclusion = match completion.conclusion {
                Conclusion::Succeeded => Conclusion::Succeeded,
                _ => Conclusion::Failed,
            };
        }
        self.ready(job, completion, lost, Some(lease))
    }

    async fn watch(
        &mut self,
        job: &JobMessage,
        outline: &Outline,
        feed: mpsc::Receiver<crate::report::Piece>,
        stop: Arc<dyn Fn(Stop) + Send + Sync>,
        generation: u64,
        lease: &mut Lease,
    ) -> Followed {
        let results = results::Results::of(self.tools.client.clone(), job, generation).map(Arc::new);
        let tools = self.tools.clone();
        let warn = Arc::new(move |text: String| tools.note(&text));
        let (stopping, is_stopping) = watch::channel(false);
        let reporter = Reporter::new(job, outline, results, Live::of(job), warn);
        let mut reported = std::pin::pin!(reporter.follow(feed, is_stopping));
        let (mut cancelled, mut lost, mut halting) = (false, None, false);
        let mut kill_at: Option<Instant> = None;
        let mut leave_at: Option<Instant> = None;
        loop {
            let job_cancelled = |known: &Cancelled| known.is_some_and(|(id, _)| id == job.job_id);
            tokio::select! {
                reported = &mut reported => return Followed { reported, cancelled, lost },
                Ok(known) = self.cancelled.wait_for(job_cancelled), if !cancelled => {
                    cancelled = true;
                    let grace = known.map(|(_, grace)| grace).unwrap_or_default();
                    kill_at = Some(Instant::now() + grace - grace / REPORT_SHARE);
                    let _following = stopping.send(true);
                    stop(Stop::Gently);
                }
                Ok(_) = self.shutdown.wait_for(|wish| *wish == Shutdown::Stop), if !halting => {
                    halting = true;
                    let _following = stopping.send(true);
                    stop(Stop::Gently);
                }
                reason = lease.lost(), if lost.is_none() => {
                    lost = Some(reason);
                    let _following = stopping.send(true);
                    stop(Stop::Gently);
                    kill_at = Some(Instant::now() + KILL_PATIENCE);
                }
                () = at(kill_at) => {
                    kill_at = None;
                    leave_at = Some(Instant::now() + KILL_PATIENCE);
                    stop(Stop::AtOnce);
                }
                () = at(leave_at) => {
                    let reported = Reported {
                        steps: Vec::new(),
                        outputs: BTreeMap::new(),
                        build: None,
                        check_runs: Vec::new(),
                    };
                    return Followed { reported, cancelled, lost };
                }
            }
        }
    }

    /// Writes down how the job ended, so that it is told even if this process dies now.
    fn ready(
        self,
        job: JobMessage,
        completion: Completion,
        lost: Option<String>,
        lease: Option<Lease>,
    ) -> Result<Ready, RunnerError> {
        self.tools.disk(
            self.tools.place.write_job(&JobRecord::Ended {
                message: job.message.clone(),
                completion: completion.clone(),
            }),
        )?;
        Ok(Ready { job, completion, lost: lost.is_some(), _lease: lease })
    }
}

impl Ready {
    /// Tells GitHub that the job is over; an answer that is lost is asked for again. Whether GitHub knows now.
    pub(crate) async fn complete(self, tools: &Tools) -> Result<bool, RunnerError> {
        let service = RunService::of(tools.client.clone(), &self.job);
        let name = &self.job.display_name;
        let how = self.completion.conclusion.name();
        if !self.lost {
            let backoff = Backoff::new(Duration::from_millis(300), Duration::from_secs(15));
            let until = Instant::now() + COMPLETE_PATIENCE;
            let told = persist(backoff, until, || service.complete(&self.completion)).await;
            match told {
                Ok(()) => tools.note(&format!("job {name:?} {how}")),
                // Told before, the answer being lost, or GitHub has ended it itself.
                Err(GitHubError::JobGone { .. }) => {
                    tools.note(&format!("job {name:?} {how}; it is over at GitHub"))
                }
                Err(error) if error.is_passing() => {
                    tools.note(&format!("job {name:?} {how}, but {error}; the next process tells it"));
                    return Ok(false);
                }
                Err(error) => tools.note(&format!("job {name:?} {how}, but {error}")),
            }
        }
        tools.disk(tools.place.forget_job()).map(|()| true)
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The end of a job that was never built, or of which nobody knows more.
fn refusal(job: &JobMessage, outline: &Outline, reason: &str) -> Completion {
    let mut step = StepResult::set_up(job.job_id);
    let mut annotation = Annotation::of(Level::Failure, reason, 1);
    (annotation.start_line, annotation.end_line) = (1, 1);
    step.annotations.push(annotation);
    let skipped =
        (2..).zip(&outline.steps).map(|(number, step)| StepResult::skipped(step.id, number, &step.name));
    Completion {
        conclusion: Conclusion::Failed,
        outputs: Map::new(),
        step_results: std::iter::once(step).chain(skipped).collect(),
        environment_url: None,
        billing_owner_id: job.billing_owner_id(),
    }
}

fn completion(job: &JobMessage, reported: Reported, cancelled: bool) -> Completion {
    let Reported { steps, mut outputs, build, .. } = reported;
    let environment_url = outputs.remove(ENVIRONMENT_URL);
    Completion {
        conclusion: match build.map(|build| build.build_status) {
            Some(Status::Succeeded) => Conclusion::Succeeded,
            _ if cancelled => Conclusion::Canceled,
            _ => Conclusion::Failed,
        },
        outputs: outputs.into_iter().map(|(name, value)| (name, json!({ "value": value }))).collect(),
        step_results: steps,
        environment_url,
        billing_owner_id: job.billing_owner_id(),
    }
}

impl JobMessage {
    /// As [`Completion::billing_owner_id`].
    fn billing_owner_id(&self) -> Option<String> {
        self.message.get("billingOwnerId").and_then(Value::as_str).map(str::to_owned)
    }
}
