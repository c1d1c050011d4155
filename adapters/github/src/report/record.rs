//! A record of the job's page: how it stands, and what is said beside it.

use jiff::Timestamp;
use runspan_agent_protocol as protocol;
use uuid::Uuid;

use crate::run_service::{Annotation, Conclusion, Level, StepResult};

/// GitHub keeps so many of one record and level.
const MAX_ANNOTATIONS: usize = 10;

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
    pub(super) kind: String,
    pub(super) action: String,
    /// What it runs, as far as that is known.
    pub(super) script: Option<String>,
    pub(super) state: State,
    pub(super) annotations: Vec<Annotation>,
}

impl Record {
    pub(super) fn new(id: Uuid, number: u32, name: &str, kind: &str, action: &str) -> Self {
        Self {
            id,
            number,
            name: name.to_owned(),
            kind: kind.to_owned(),
            action: action.to_owned(),
            script: None,
            state: State::Pending,
            annotations: Vec::new(),
        }
    }

    /// The name with its expressions evaluated, where it had some that could not be before.
    pub(super) fn rename(&mut self, name: &str) {
        if (self.name.is_empty() || self.name.contains("${{")) && !name.contains("${{") {
            name.clone_into(&mut self.name);
        }
    }

    /// Keeps what a command said.
    pub(super) fn remark(&mut self, said: &protocol::Annotation) {
        let level = match said.level {
            protocol::Level::Notice => Level::Notice,
            protocol::Level::Warning => Level::Warning,
            protocol::Level::Error => Level::Failure,
        };
        let mut annotation = Annotation::of(level, &said.message, self.number);
        annotation.title.clone_from(&said.title);
        if let Some(file) = &said.file {
            annotation.path = Some(file.clone());
            annotation.start_line = said.line.unwrap_or(1).max(1);
            annotation.end_line = said.end_line.unwrap_or(annotation.start_line).max(1);
            annotation.start_column = said.column;
            annotation.end_column = said.end_column;
        }
        self.keep(annotation);
    }

    pub(super) fn annotate(&mut self, level: Level, message: &str) {
        self.keep(Annotation::of(level, message, self.number));
    }

    fn keep(&mut self, annotation: Annotation) {
        let so_far = self.annotations.iter().filter(|other| other.level == annotation.level).count();
        if so_far < MAX_ANNOTATIONS {
            self.annotations.push(annotation);
        }
    }

    /// The line of the log at which an annotation without a file is shown.
    pub(super) fn place_annotations(&mut self, line: u64) {
        let line = u32::try_from(line).unwrap_or(u32::MAX).max(1);
        for annotation in self.annotations.iter_mut().filter(|annotation| annotation.start_line == 0) {
            annotation.start_line = line;
            annotation.end_line = line;
        }
    }

    /// What is told of it at the job's end, texts passing through `hide`.
    pub(super) fn result(&self, hide: impl Fn(&str) -> String) -> StepResult {
        let (since, at, conclusion) = match self.state {
            State::Ended { since, at, conclusion } => (since, Some(at), conclusion),
            State::Running { since } => (Some(since), None, Conclusion::Canceled),
            State::Pending => (None, None, Conclusion::Skipped),
        };
        let ran = conclusion != Conclusion::Skipped;
        let hidden =
            |annotation: &Annotation| Annotation { message: hide(&annotation.message), ..annotation.clone() };
        StepResult {
            external_id: self.id,
            number: self.number,
            name: hide(&self.name),
            action_name: ran.then(|| self.action.clone()),
            kind: ran.then(|| self.kind.clone()),
            status: "completed".to_owned(),
            conclusion,
            started_at: since.or(at),
            completed_at: at,
            annotations: self.annotations.iter().map(hidden).collect(),
        }
    }
}
