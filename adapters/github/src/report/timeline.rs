//! From a build's events to steps. Pure: what is to be said to whom is `reporter`'s.

use std::collections::BTreeMap;

use jiff::Timestamp;
use runspan_agent_protocol::Exit;
use runspan_engine::Event;
use runspan_engine::build::Build;
use runspan_engine::journal::StoredEvent;
use runspan_engine::lifecycle::{BuildPhase, PhaseType, Status};
use uuid::Uuid;

use super::Outline;
use crate::run_service::{Annotation, Conclusion, Level, StepResult};

/// A record of the job's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// `Set up job`: everything before the first step.
    SetUp,
    /// A step, by its place among all.
    Step(usize),
    /// `Complete job`: everything after the last step.
    Complete,
}

/// What an event leads to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    /// It began.
    Opened(Place),
    /// Its log has one more line.
    Line(Place, String),
    /// The engine says a command in so many words before its output.
    Announced(Place, String),
    /// It ended.
    Closed(Place),
}

/// How a record stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum State {
    Pending,
    Running { since: Timestamp },
    Ended { since: Option<Timestamp>, at: Timestamp, conclusion: Conclusion },
}

#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: Uuid,
    pub(super) number: u32,
    pub(super) name: String,
    kind: String,
    action: String,
    pub(super) state: State,
    pub(super) annotations: Vec<Annotation>,
    pub(super) outputs: BTreeMap<String, String>,
}

/// All records of a job.
#[derive(Debug)]
pub(super) struct Timeline {
    set_up: Record,
    steps: Vec<Record>,
    complete: Record,
    phase: PhaseType,
    /// Whose the log is that comes next.
    current: Place,
    stopping: bool,
}

/// GitHub keeps so many of one record.
const MAX_ANNOTATIONS: usize = 10;

impl Timeline {
    pub(super) fn new(job: Uuid, outline: &Outline) -> Self {
        // Ids that are the same whenever the job is looked at again.
        let own = |salt: u128| Uuid::from_u128(job.as_u128() ^ salt);
        let record = |id, number, name: &str, kind: &str, action: &str| Record {
            id,
            number,
            name: name.to_owned(),
            kind: kind.to_owned(),
            action: action.to_owned(),
            state: State::Pending,
            annotations: Vec::new(),
            outputs: BTreeMap::new(),
        };
        let steps: Vec<Record> = (2..)
            .zip(&outline.steps)
            .map(|(number, step)| record(step.id, number, &step.name, &step.kind, &step.action))
            .collect();
        let last = steps.len() as u32 + 2;
        Self {
            set_up: record(own(1), 1, "Set up job", "runner", "setup_job"),
            steps,
            complete: record(own(2), last, "Complete job", "runner", "complete_job"),
            phase: PhaseType::Submitted,
            current: Place::SetUp,
            stopping: false,
        }
    }

    pub(super) const fn current(&self) -> Place {
        self.current
    }

    pub(super) fn record(&self, place: Place) -> Option<&Record> {
        match place {
            Place::SetUp => Some(&self.set_up),
            Place::Step(index) => self.steps.get(index),
            Place::Complete => Some(&self.complete),
        }
    }

    fn record_mut(&mut self, place: Place) -> Option<&mut Record> {
        match place {
            Place::SetUp => Some(&mut self.set_up),
            Place::Step(index) => self.steps.get_mut(index),
            Place::Complete => Some(&mut self.complete),
        }
    }

    /// Every record, in order.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let steps = (0..self.steps.len()).map(Place::Step);
        std::iter::once(Place::SetUp).chain(steps).chain(std::iter::once(Place::Complete))
    }

    /// The job is to end because somebody wants it to.
    pub(super) const fn stop(&mut self) {
        self.stopping = true;
    }

    /// What a build's event means.
    pub(super) fn event(&mut self, stored: &StoredEvent) -> Vec<Effect> {
        let at = stored.time;
        match &stored.event {
            Event::Submitted { .. } => self.open(Place::SetUp, at),
            Event::PhaseStarted { phase } => {
                self.phase = *phase;
                Vec::new()
            }
            Event::Phase { phase } => self.phase_ended(phase, at),
            Event::CommandStarted { index, finally: false, command } if self.phase == PhaseType::Build => {
                let step = Place::Step(*index as usize);
                let mut effects = self.close(Place::SetUp, at, Conclusion::Succeeded);
                effects.extend(self.open(step, at));
                effects.push(Effect::Announced(step, command.clone()));
                effects
            }
            Event::CommandEnded { index, finally: false, exit, .. } if self.phase == PhaseType::Build => {
                let step = Place::Step(*index as usize);
                let mut effects = Vec::new();
                if let Some(why) = self.failure(exit) {
                    effects.extend(self.fault(step, why));
                }
                let conclusion = if exit.is_success() {
                    Conclusion::Succeeded
                } else if matches!(exit, Exit::Ended(_)) && self.stopping {
                    Conclusion::Canceled
                } else {
                    Conclusion::Failed
                };
                effects.extend(self.close(step, at, conclusion));
                self.current = Place::Complete;
                effects
            }
            Event::Warning { message } => {
                let place = self.current;
                self.annotate(place, Level::Warning, message);
                vec![Effect::Line(place, format!("##[warning]{message}"))]
            }
            Event::Build { build } => self.ended(build, at),
            _ => Vec::new(),
        }
    }

    fn phase_ended(&mut self, phase: &BuildPhase, at: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        let failed = matches!(phase.phase_status, Some(Status::Failed | Status::Fault | Status::TimedOut));
        // A step says itself why it failed.
        if failed && (phase.phase_type != PhaseType::Build || self.steps.is_empty()) {
            for context in phase.contexts.iter().filter(|context| !context.message.is_empty()) {
                effects.extend(
                    self.fault(self.current, format!("{}: {}", context.status_code, context.message)),
                );
            }
        }
        if phase.phase_type == PhaseType::Build {
            effects.extend(self.close(Place::SetUp, at, Conclusion::Succeeded));
            effects.extend(self.open(Place::Complete, at));
        }
        effects
    }

    fn ended(&mut self, build: &Build, at: Timestamp) -> Vec<Effect> {
        let worst = match build.build_status {
            Status::Succeeded => Conclusion::Succeeded,
            _ if self.stopping => Conclusion::Canceled,
            _ => Conclusion::Failed,
        };
        let mut effects = self.close(Place::SetUp, at, worst);
        for index in 0..self.steps.len() {
            let step = Place::Step(index);
            match self.steps[index].state {
                State::Running { .. } => effects.extend(self.close(step, at, worst)),
                State::Pending => {
                    self.steps[index].state =
                        State::Ended { since: None, at, conclusion: Conclusion::Skipped };
                    effects.push(Effect::Closed(step));
                }
                State::Ended { .. } => {}
            }
        }
        effects.extend(self.open(Place::Complete, at));
        effects.extend(self.close(Place::Complete, at, Conclusion::Succeeded));
        effects
    }

    fn open(&mut self, place: Place, at: Timestamp) -> Vec<Effect> {
        match self.record_mut(place) {
            Some(record) if record.state == State::Pending => {
                record.state = State::Running { since: at };
                self.current = place;
                vec![Effect::Opened(place)]
            }
            _ => Vec::new(),
        }
    }

    fn close(&mut self, place: Place, at: Timestamp, conclusion: Conclusion) -> Vec<Effect> {
        match self.record_mut(place) {
            Some(record) if let State::Running { since } = record.state => {
                record.state = State::Ended { since: Some(since), at, conclusion };
                vec![Effect::Closed(place)]
            }
            _ => Vec::new(),
        }
    }

    /// Says what is wrong, in the log and beside it.
    fn fault(&mut self, place: Place, message: String) -> Vec<Effect> {
        self.annotate(place, Level::Failure, &message);
        vec![Effect::Line(place, format!("##[error]{message}"))]
    }

    fn annotate(&mut self, place: Place, level: Level, message: &str) {
        let Some(record) = self.record_mut(place) else { return };
        let so_far = record.annotations.iter().filter(|other| other.level == level).count();
        if so_far < MAX_ANNOTATIONS {
            record.annotations.push(Annotation::of(level, message, record.number));
        }
    }

    /// Why a command failed, in GitHub's words where it has some.
    fn failure(&self, exit: &Exit) -> Option<String> {
        Some(match exit {
            Exit::Status(0) => return None,
            Exit::Status(status) => format!("Process completed with exit code {status}."),
            // As a shell counts.
            Exit::Signal(signal) => format!("Process completed with exit code {}.", 128 + signal),
            Exit::OutOfMemory { .. } => "The process was killed for want of memory.".into(),
            Exit::Ended(_) if self.stopping => "The operation was canceled.".into(),
            Exit::Ended(_) => "The step's time is over.".into(),
            Exit::NotStarted(why) => format!("The process could not be started: {why}"),
        })
    }

    /// The line of a log at which an annotation without a file is shown.
    pub(super) fn place_annotations(&mut self, place: Place, line: u64) {
        let line = u32::try_from(line).unwrap_or(u32::MAX).max(1);
        for annotation in self.record_mut(place).into_iter().flat_map(|record| &mut record.annotations) {
            if annotation.start_line == 0 {
                annotation.start_line = line;
                annotation.end_line = line;
            }
        }
    }

    /// What is told at the job's end, texts passing through `hide`.
    pub(super) fn results(&self, hide: impl Fn(&str) -> String) -> Vec<StepResult> {
        let records = self.places().filter_map(|place| self.record(place));
        records
            .map(|record| {
                let (since, at, conclusion) = match record.state {
                    State::Ended { since, at, conclusion } => (since, Some(at), conclusion),
                    State::Running { since } => (Some(since), None, Conclusion::Canceled),
                    State::Pending => (None, None, Conclusion::Skipped),
                };
                let ran = conclusion != Conclusion::Skipped;
                StepResult {
                    external_id: record.id,
                    number: record.number,
                    name: hide(&record.name),
                    action_name: ran.then(|| record.action.clone()),
                    kind: ran.then(|| record.kind.clone()),
                    status: "completed".to_owned(),
                    conclusion,
                    started_at: since.or(at),
                    completed_at: at,
                    annotations: record
                        .annotations
                        .iter()
                        .map(|annotation| Annotation {
                            message: hide(&annotation.message),
                            ..annotation.clone()
                        })
                        .collect(),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use runspan_agent_protocol::StopReason;
    use runspan_engine::lifecycle::PhaseContext;

    use super::super::OutlinedStep;
    use super::*;

    fn outline(count: u128) -> Outline {
        let step = |n| OutlinedStep {
            id: Uuid::from_u128(n),
            name: format!("step {n}"),
            kind: "run".into(),
            action: "sh".into(),
        };
        Outline { steps: (1..=count).map(step).collect(), masks: Vec::new() }
    }

    struct Bench(Timeline, u64);

    impl Bench {
        fn new(steps: u128) -> Self {
            Self(Timeline::new(Uuid::from_u128(99), &outline(steps)), 0)
        }

        fn tell(&mut self, event: Event) -> Vec<Effect> {
            self.1 += 1;
            let time = Timestamp::from_second(self.1 as i64).unwrap();
            self.0.event(&StoredEvent { number: self.1, time, log_offset: 0, event })
        }

        fn started(&mut self, index: u32) -> Vec<Effect> {
            self.tell(Event::CommandStarted { index, finally: false, command: "x".into() })
        }

        fn ended(&mut self, index: u32, exit: Exit) -> Vec<Effect> {
            self.tell(Event::CommandEnded { index, finally: false, exit, duration_ms: 1 })
        }

        fn phase(&mut self, phase_type: PhaseType, status: Status, message: &str) -> Vec<Effect> {
            let contexts = vec![PhaseContext { status_code: "CODE".into(), message: message.into() }];
            self.tell(Event::Phase {
                phase: BuildPhase {
                    phase_type,
                    phase_status: Some(status),
                    start_time: Timestamp::UNIX_EPOCH,
                    end_time: None,
                    duration_in_seconds: None,
                    contexts,
                },
            })
        }

        fn conclusions(&self) -> Vec<Conclusion> {
            self.0.results(str::to_owned).into_iter().map(|result| result.conclusion).collect()
        }
    }

    /// The least of a record that ends a build.
    fn build(status: &str) -> Event {
        let json = serde_json::json!({"type": "build", "build": {
            "id": "p:u", "arn": "", "buildNumber": 1, "startTime": "2026-01-01T00:00:00Z", "currentPhase": "COMPLETED",
            "buildStatus": status, "projectName": "p", "phases": [], "source": {"type": "NO_SOURCE"},
            "cache": {}, "environment": {"type": "", "image": "", "computeType": "", "privilegedMode": false},
            "logs": {"groupName": "", "streamName": "", "deepLink": ""}, "timeoutInMinutes": 1,
            "queuedTimeoutInMinutes": 1, "buildComplete": true, "initiator": "",
            "autoRetryConfig": {"autoRetryLimit": 0, "autoRetryNumber": 0}, "debugSession": {"sessionEnabled": false},
        }});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_failed_step_skips_those_after_it() {
        use Conclusion::{Failed, Skipped, Succeeded};
        let mut bench = Bench::new(3);
        bench.tell(Event::PhaseStarted { phase: PhaseType::Build });
        assert_eq!(bench.started(0).first(), Some(&Effect::Opened(Place::Step(0))));
        bench.ended(0, Exit::Status(0));
        bench.started(1);
        let effects = bench.ended(1, Exit::Status(2));
        let line = "##[error]Process completed with exit code 2.".to_owned();
        assert_eq!(effects, [Effect::Line(Place::Step(1), line), Effect::Closed(Place::Step(1))]);
        bench.phase(PhaseType::Build, Status::Failed, "said already");
        bench.tell(build("FAILED"));
        assert_eq!(bench.conclusions(), [Skipped, Succeeded, Failed, Skipped, Succeeded]);
        let results = bench.0.results(str::to_owned);
        assert_eq!(results.iter().map(|result| result.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert!(results[3].kind.is_none() && results[2].kind.is_some());
        assert_eq!(results[2].annotations.len(), 1);
    }

    #[test]
    fn what_fails_before_the_first_step_fails_the_set_up() {
        let mut bench = Bench::new(1);
        bench.tell(build("IN_PROGRESS")); // of no matter: records that are pending end skipped
        let mut bench = Bench::new(1);
        bench.0.open(Place::SetUp, Timestamp::UNIX_EPOCH);
        let effects = bench.phase(PhaseType::Provisioning, Status::Fault, "no such image");
        assert_eq!(effects, [Effect::Line(Place::SetUp, "##[error]CODE: no such image".into())]);
        bench.tell(build("FAULT"));
        assert_eq!(bench.conclusions(), [Conclusion::Failed, Conclusion::Skipped, Conclusion::Succeeded]);
    }

    #[test]
    fn what_is_stopped_is_cancelled() {
        let mut bench = Bench::new(2);
        bench.tell(Event::PhaseStarted { phase: PhaseType::Build });
        bench.started(0);
        bench.0.stop();
        bench.ended(0, Exit::Ended(StopReason::Stopped));
        bench.tell(build("STOPPED"));
        assert_eq!(bench.conclusions()[1..3], [Conclusion::Canceled, Conclusion::Skipped]);
    }
}
