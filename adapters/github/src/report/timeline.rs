//! From a build's events to steps. Pure: what is to be said to whom is `reporter`'s.

use std::collections::BTreeMap;

use jiff::Timestamp;
use runspan_agent_protocol::{self as protocol, Stage, StepEnd, StepId, StepResult as Outcome};
use runspan_engine::Event;
use runspan_engine::build::Build;
use runspan_engine::journal::StoredEvent;
use runspan_engine::lifecycle::{BuildPhase, PhaseType, Status};
use uuid::Uuid;

use super::Outline;
use super::record::{Record, State};
use crate::run_service::{Conclusion, Level, StepResult};

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
    /// It ended.
    Closed(Place),
    /// It has a summary.
    Summary(Place, String),
}

/// All records of a job.
#[derive(Debug)]
pub(super) struct Timeline {
    set_up: Record,
    /// The job's own, and then the later parts of actions as they come.
    steps: Vec<Record>,
    own: usize,
    /// Where the parts of actions that stand in no list are.
    parts: BTreeMap<(u32, u8), usize>,
    complete: Record,
    /// What the job gives to others.
    pub(super) outputs: BTreeMap<String, String>,
    phase: PhaseType,
    /// Whose the log is that comes next.
    current: Place,
    stopping: bool,
}

impl Timeline {
    pub(super) fn new(job: Uuid, outline: &Outline) -> Self {
        // Ids that are the same whenever the job is looked at again.
        let own = |salt: u128| Uuid::from_u128(job.as_u128() ^ salt);
        let steps: Vec<Record> = (2..)
            .zip(&outline.steps)
            .map(|(number, step)| Record {
                script: step.script.clone(),
                ..Record::new(step.id, number, &step.name, &step.kind, &step.action)
            })
            .collect();
        let last = steps.len() as u32 + 2;
        Self {
            set_up: Record::new(own(1), 1, "Set up job", "runner", "setup_job"),
            own: steps.len(),
            steps,
            parts: BTreeMap::new(),
            complete: Record::new(own(2), last, "Complete job", "runner", "complete_job"),
            outputs: BTreeMap::new(),
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
            Event::StepStarted { step, name } if self.phase == PhaseType::Build => {
                self.step_started(*step, name, at)
            }
            Event::StepEnded { step, name, end } if self.phase == PhaseType::Build => {
                self.step_ended(*step, name, end, at)
            }
            Event::Annotation { step, annotation } if self.phase == PhaseType::Build => {
                let place = self.place(*step, "");
                self.remark(place, annotation)
            }
            Event::StepSummary { step, text } if self.phase == PhaseType::Build => {
                vec![Effect::Summary(self.place(*step, ""), text.clone())]
            }
            Event::JobOutputs { outputs } => {
                self.outputs.clone_from(outputs);
                Vec::new()
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

    /// Where a step is told of; parts of actions have places of their own, behind the job's steps.
    fn place(&mut self, step: StepId, name: &str) -> Place {
        let stage = match step.stage {
            Stage::Main => return Place::Step(step.index as usize),
            Stage::Pre => 0,
            Stage::Post => 1,
        };
        if let Some(index) = self.parts.get(&(step.index, stage)) {
            return Place::Step(*index);
        }
        let index = self.steps.len();
        let of = self.steps.get(step.index as usize);
        let (kind, action) = of.map(|of| (of.kind.clone(), of.action.clone())).unwrap_or_default();
        // What is no step's, as the starting of services, is the job's.
        let of_id = of.map_or(self.complete.id, |of| of.id);
        let id = Uuid::from_u128(of_id.as_u128() ^ (u128::from(stage) + 4));
        // As GitHub numbers them: behind as many places as the job has steps.
        let number = (self.own + index + 2) as u32;
        self.steps.push(Record {
            id,
            number,
            name: name.to_owned(),
            kind,
            action,
            script: None,
            state: State::Pending,
            annotations: Vec::new(),
        });
        self.complete.number = number + 1;
        self.parts.insert((step.index, stage), index);
        Place::Step(index)
    }

    fn step_started(&mut self, step: StepId, name: &str, at: Timestamp) -> Vec<Effect> {
        let place = self.place(step, name);
        let mut effects = self.close(Place::SetUp, at, Conclusion::Succeeded);
        effects.extend(self.open(place, at));
        if let Some(record) = self.record_mut(place) {
            record.rename(name);
        }
        let Some(record) = self.record(place) else { return effects };
        let title = if record.name.starts_with("Run ") || record.name.starts_with("Post ") {
            record.name.clone()
        } else {
            format!("Run {}", first_line(record.script.as_deref().unwrap_or(&record.action)))
        };
        let mut head = vec![format!("##[group]{title}")];
        let script = record.script.as_deref().unwrap_or_default().trim_end();
        head.extend(script.lines().map(|line| format!("\x1b[36;1m{line}\x1b[0m")));
        head.push("##[endgroup]".to_owned());
        effects.extend(head.into_iter().map(|line| Effect::Line(place, line)));
        effects
    }

    fn step_ended(&mut self, step: StepId, name: &str, end: &StepEnd, at: Timestamp) -> Vec<Effect> {
        let place = self.place(step, name);
        if let Some(record) = self.record_mut(place) {
            record.rename(name);
        }
        let conclusion = match end.conclusion {
            Outcome::Success => Conclusion::Succeeded,
            Outcome::Failure => Conclusion::Failed,
            Outcome::Cancelled => Conclusion::Canceled,
            Outcome::Skipped => Conclusion::Skipped,
        };
        let effects = match self.record_mut(place) {
            Some(record) if record.state == State::Pending => {
                record.state = State::Ended { since: None, at, conclusion };
                vec![Effect::Closed(place)]
            }
            _ => self.close(place, at, conclusion),
        };
        if self.current == place {
            self.current = Place::Complete;
        }
        effects
    }

    fn remark(&mut self, place: Place, said: &protocol::Annotation) -> Vec<Effect> {
        let Some(record) = self.record_mut(place) else { return Vec::new() };
        record.remark(said);
        // What commands say is in the log already; what the engine says of a step that ended is not.
        let is_engines = said.file.is_none() && said.level == protocol::Level::Error;
        match is_engines && said.message.starts_with("Process completed with exit code") {
            true => vec![Effect::Line(place, format!("##[error]{}", said.message))],
            false => Vec::new(),
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
        if let Some(record) = self.record_mut(place) {
            record.annotate(level, message);
        }
    }

    /// The line of a log at which an annotation without a file is shown.
    pub(super) fn place_annotations(&mut self, place: Place, line: u64) {
        if let Some(record) = self.record_mut(place) {
            record.place_annotations(line);
        }
    }

    /// What is told at the job's end, texts passing through `hide`.
    pub(super) fn results(&self, hide: impl Fn(&str) -> String) -> Vec<StepResult> {
        self.places().filter_map(|place| self.record(place)).map(|record| record.result(&hide)).collect()
    }
}

fn first_line(text: &str) -> &str {
    text.trim_start().lines().next().unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use runspan_engine::lifecycle::PhaseContext;

    use super::super::OutlinedStep;
    use super::*;

    fn outline(count: u128) -> Outline {
        let step = |n| OutlinedStep {
            id: Uuid::from_u128(n),
            name: format!("step {n}"),
            kind: "run".into(),
            action: "sh".into(),
            script: Some("make".into()),
        };
        Outline { steps: (1..=count).map(step).collect(), masks: Vec::new() }
    }

    const fn main(index: u32) -> StepId {
        StepId { index, stage: Stage::Main }
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
            self.tell(Event::StepStarted { step: main(index), name: "x".into() })
        }

        fn ended(&mut self, step: StepId, conclusion: Outcome) -> Vec<Effect> {
            let end = StepEnd { outcome: conclusion, conclusion, outputs: BTreeMap::new(), duration_ms: 1 };
            self.tell(Event::StepEnded { step, name: "x".into(), end })
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
        let effects = bench.started(0);
        assert_eq!(effects[0], Effect::Opened(Place::Step(0)));
        assert_eq!(effects[1], Effect::Line(Place::Step(0), "##[group]Run make".into()));
        bench.ended(main(0), Outcome::Success);
        bench.started(1);
        let annotation = protocol::Annotation {
            message: "Process completed with exit code 2.".into(),
            ..protocol::Annotation::default()
        };
        let effects = bench.tell(Event::Annotation { step: main(1), annotation });
        let line = "##[error]Process completed with exit code 2.".to_owned();
        assert_eq!(effects, [Effect::Line(Place::Step(1), line)]);
        assert_eq!(bench.ended(main(1), Outcome::Failure), [Effect::Closed(Place::Step(1))]);
        bench.ended(main(2), Outcome::Skipped);
        bench.phase(PhaseType::Build, Status::Failed, "said already");
        bench.tell(build("FAILED"));
        assert_eq!(bench.conclusions(), [Skipped, Succeeded, Failed, Skipped, Succeeded]);
        let results = bench.0.results(str::to_owned);
        assert_eq!(results.iter().map(|result| result.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert!(results[3].kind.is_none() && results[2].kind.is_some());
        assert_eq!(results[2].annotations.len(), 1);
    }

    #[test]
    fn later_parts_of_actions_stand_behind_as_many_places_as_there_are_steps() {
        let mut bench = Bench::new(2);
        bench.tell(Event::PhaseStarted { phase: PhaseType::Build });
        bench.started(0);
        bench.ended(main(0), Outcome::Success);
        bench.ended(main(1), Outcome::Skipped);
        let post = StepId { index: 0, stage: Stage::Post };
        bench.tell(Event::StepStarted { step: post, name: "Post step 1".into() });
        bench.ended(post, Outcome::Success);
        bench.tell(build("SUCCEEDED"));
        let results = bench.0.results(str::to_owned);
        let told: Vec<_> = results.iter().map(|result| (result.number, result.name.as_str())).collect();
        assert_eq!(
            told,
            [(1, "Set up job"), (2, "step 1"), (3, "step 2"), (6, "Post step 1"), (7, "Complete job")]
        );
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
        bench.ended(main(0), Outcome::Cancelled);
        bench.tell(build("STOPPED"));
        assert_eq!(bench.conclusions()[1..3], [Conclusion::Canceled, Conclusion::Skipped]);
    }
}
