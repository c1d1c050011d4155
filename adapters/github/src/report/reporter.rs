//! Follows one build and tells GitHub of it, in the order in which things happened.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use runspan_engine::Event;
use runspan_engine::build::Build;
use runspan_engine::journal::StoredEvent;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::check_run::CheckRun;
use super::log::LogUpload;
use super::mask::Mask;
use super::record::State;
use super::timeline::{Effect, Place, Timeline};
use super::{Live, Outline};
use crate::results::{Kept, Results, StepUpdate, time};
use crate::retry::{Backoff, persist};
use crate::run_service::{Conclusion, StepResult};
use crate::{GitHubError, JobMessage};

/// How often the page learns of steps, as GitHub's own runner has it.
const TICK: Duration = Duration::from_millis(500);
/// A line without an end is cut here.
const LONGEST_LINE: usize = 1 << 20;
/// Logs that are on their way at one time.
const UPLOADS: usize = 4;
/// How long the job's end waits for the last word on its steps.
const LAST_PATIENCE: Duration = Duration::from_secs(30);

/// A piece of what a build does, in order.
#[derive(Debug)]
pub enum Piece {
    /// More of its log.
    Log(Vec<u8>),
    /// An event.
    Event(Box<StoredEvent>),
    /// A report, as the engine wrote it; before the build's last event.
    Report(Value),
}

/// What came of a build.
#[derive(Debug)]
pub(crate) struct Reported {
    /// Every step.
    pub(crate) steps: Vec<StepResult>,
    /// What the job gives to others, by name.
    pub(crate) outputs: BTreeMap<String, String>,
    /// The record of the build, unless it was lost from sight.
    pub(crate) build: Option<Box<Build>>,
    /// Its reports.
    pub(crate) check_runs: Vec<CheckRun>,
}

/// Tells of one build.
pub(crate) struct Reporter {
    /// The job's name.
    job: String,
    timeline: Timeline,
    mask: Mask,
    results: Option<Arc<Results>>,
    logs: HashMap<Place, LogUpload>,
    job_log: LogUpload,
    live: Option<Live>,
    /// The line that has no end yet.
    partial: Vec<u8>,
    /// The engine's line that announces a process is not there yet; the step's head says the same.
    announced: bool,
    changed: BTreeSet<Place>,
    uploads: JoinSet<Result<(), GitHubError>>,
    build: Option<Box<Build>>,
    reports: Vec<Value>,
    warn: Arc<dyn Fn(String) + Send + Sync>,
}

impl Reporter {
    pub(crate) fn new(
        job: &JobMessage,
        outline: &Outline,
        results: Option<Arc<Results>>,
        live: Option<Live>,
        warn: Arc<dyn Fn(String) + Send + Sync>,
    ) -> Self {
        Self {
            job: job.display_name.clone(),
            timeline: Timeline::new(job.job_id, outline),
            mask: Mask::new(&outline.masks),
            results,
            logs: HashMap::new(),
            job_log: LogUpload::new(Kept::JobLog),
            live,
            partial: Vec::new(),
            announced: false,
            changed: BTreeSet::new(),
            uploads: JoinSet::new(),
            build: None,
            reports: Vec::new(),
            warn,
        }
    }

    /// Follows the build until there is no more.
    pub(crate) async fn follow(
        mut self,
        mut feed: mpsc::Receiver<Piece>,
        mut stopping: watch::Receiver<bool>,
    ) -> Reported {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told_to_stop = false;
        loop {
            tokio::select! {
                piece = feed.recv() => match piece {
                    Some(piece) => self.piece(piece).await,
                    None => break,
                },
                Ok(()) = stopping.changed(), if !told_to_stop => {
                    told_to_stop = *stopping.borrow();
                    if told_to_stop {
                        self.timeline.stop();
                    }
                }
                _ = tick.tick() => self.update().await,
            }
        }
        self.conclude().await
    }

    async fn piece(&mut self, piece: Piece) {
        match piece {
            Piece::Log(bytes) => self.log(&bytes).await,
            Piece::Report(report) => self.reports.push(report),
            Piece::Event(event) => {
                let before = self.timeline.current();
                let effects = self.timeline.event(&event);
                if !effects.is_empty() {
                    self.end_line(before).await;
                }
                for effect in effects {
                    self.effect(effect).await;
                }
                if let Event::Build { build } = event.event {
                    self.build = Some(build);
                }
            }
        }
    }

    async fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Opened(place) => {
                self.changed.insert(place);
                self.announced = matches!(place, Place::Step(_));
            }
            Effect::Line(place, text) => self.line(place, &text).await,
            Effect::Summary(place, text) => self.summary(place, text).await,
            Effect::Closed(place) => {
                let log = self.logs.remove(&place);
                self.timeline.place_annotations(place, log.as_ref().map_or(1, LogUpload::lines));
                self.changed.insert(place);
                if let (Some(log), Some(results)) = (log, self.results.clone()) {
                    self.upload(async move { log.finish(&results).await }).await;
                }
            }
        }
    }

    /// A step's summary.
    async fn summary(&mut self, place: Place, text: String) {
        let id = self.timeline.record(place).map(|record| record.id);
        if let (Some(id), Some(results)) = (id, self.results.clone()) {
            let text = self.mask.hide(&text).into_owned();
            self.upload(async move { super::log::keep(&results, Kept::Summary(id), text).await }).await;
        }
    }

    async fn log(&mut self, mut bytes: &[u8]) {
        let place = self.timeline.current();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.whole_line(place).await;
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LONGEST_LINE {
            self.whole_line(place).await;
        }
    }

    async fn end_line(&mut self, place: Place) {
        if !self.partial.is_empty() {
            self.whole_line(place).await;
        }
    }

    async fn whole_line(&mut self, place: Place) {
        let bytes = std::mem::take(&mut self.partial);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches('\r');
        if !self.is_announcement(text) {
            self.line(place, text).await;
        }
    }

    /// Whether this is a line with which the engine announces a process.
    fn is_announcement(&mut self, text: &str) -> bool {
        if !self.announced || text.is_empty() {
            return self.announced;
        }
        self.announced = false;
        text.starts_with("[Container] ") && text.contains(" Running command ")
    }

    async fn line(&mut self, place: Place, text: &str) {
        let Some(results) = self.results.clone() else { return };
        let now = Timestamp::now();
        let text = self.mask.hide(text);
        let id = self.timeline.record(place).map(|record| record.id).unwrap_or_default();
        let log = self.logs.entry(place).or_insert_with(|| LogUpload::new(Kept::StepLog(id)));
        log.line(now, &text);
        if let Some(live) = &self.live {
            live.line(id, log.lines(), &text);
        }
        self.job_log.line(now, &text);
        let mut failed = None;
        if log.is_full() {
            failed = log.send_piece(&results).await.err();
        }
        if self.job_log.is_full() {
            failed = failed.or(self.job_log.send_piece(&results).await.err());
        }
        if let Some(error) = failed {
            (self.warn)(format!("a log is not whole at GitHub: {error}"));
        }
    }

    async fn upload(&mut self, work: impl Future<Output = Result<(), GitHubError>> + Send + 'static) {
        while self.uploads.len() >= UPLOADS {
            self.uploaded().await;
        }
        self.uploads.spawn(work);
    }

    async fn uploaded(&mut self) {
        if let Some(Ok(Err(error))) = self.uploads.join_next().await {
            (self.warn)(format!("a log is not at GitHub: {error}"));
        }
    }

    /// Tells of the steps that changed; what cannot be told now is told with the next.
    async fn update(&mut self) {
        if let Some(results) = self.results.clone()
            && !self.changed.is_empty()
        {
            let steps = self.updates();
            if results.update(&steps).await.is_ok() {
                self.changed.clear();
            }
        }
    }

    fn updates(&self) -> Vec<StepUpdate> {
        let records = self.changed.iter().filter_map(|place| self.timeline.record(*place));
        records
            .map(|record| {
                let (status, since, at, conclusion) = match record.state {
                    State::Pending => (5, None, None, 0),
                    State::Running { since } => (3, Some(since), None, 0),
                    State::Ended { since, at, conclusion } => {
                        (6, since.or(Some(at)), Some(at), code(conclusion))
                    }
                };
                StepUpdate {
                    external_id: record.id,
                    number: record.number,
                    name: self.mask.hide(&record.name).into_owned(),
                    status,
                    started_at: since.map(time),
                    completed_at: at.map(time),
                    conclusion,
                }
            })
            .collect()
    }

    async fn conclude(mut self) -> Reported {
        if let Some(live) = self.live.take() {
            live.close().await;
        }
        while !self.uploads.is_empty() {
            self.uploaded().await;
        }
        // Logs of what never ended are still logs.
        let left: Vec<LogUpload> = self.logs.drain().map(|(_, log)| log).collect();
        if let Some(results) = self.results.clone() {
            for log in left
                .into_iter()
                .chain(std::iter::once(std::mem::replace(&mut self.job_log, LogUpload::new(Kept::JobLog))))
            {
                if let Err(error) = log.finish(&results).await {
                    (self.warn)(format!("a log is not at GitHub: {error}"));
                }
            }
            let backoff = Backoff::new(TICK, Duration::from_secs(5));
            let until = Instant::now() + LAST_PATIENCE;
            let steps = self.updates();
            if !steps.is_empty()
                && let Err(error) = persist(backoff, until, || results.update(&steps)).await
            {
                (self.warn)(format!("GitHub was not told how the steps ended: {error}"));
            }
        }
        let hide = |text: &str| self.mask.hide(text).into_owned();
        let check_run = |report: &Value| CheckRun::of(report, &self.job, self.build.as_deref(), hide);
        Reported {
            steps: self.timeline.results(hide),
            check_runs: self.reports.iter().filter_map(check_run).collect(),
            outputs: self.timeline.outputs,
            build: self.build,
        }
    }
}

/// The results service's numbers.
const fn code(conclusion: Conclusion) -> u8 {
    match conclusion {
        Conclusion::Succeeded => 2,
        Conclusion::Failed | Conclusion::Abandoned => 3,
        Conclusion::Canceled => 4,
        Conclusion::Skipped => 7,
    }
}
