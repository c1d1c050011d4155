//! What a build's events tell of its steps, put together.

use std::collections::BTreeMap;

use runspan_agent_protocol::{Annotation, StepId, StepResult};
use serde::Serialize;

use crate::event::Event;
use crate::lifecycle::PhaseType;

/// A step as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRecord {
    /// The phase it is in.
    pub phase: PhaseType,
    /// Which of its steps.
    #[serde(flatten)]
    pub step: StepId,
    /// Its name.
    pub name: String,
    /// Before `continue-on-error`; none while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<StepResult>,
    /// After it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<StepResult>,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// What it set, secrets masked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
    /// What it said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Annotation>,
    /// Its summary, in Markdown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub summary: String,
}

/// The steps of a build, in the order in which they began or were skipped.
pub fn steps_of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<StepRecord> {
    let mut phase = PhaseType::Submitted;
    let mut steps: Vec<StepRecord> = Vec::new();
    // What is told of a step belongs to the last of its kind: an action in an action ends with a part of its own.
    let last = |steps: &mut Vec<StepRecord>, phase: PhaseType, step: StepId| {
        steps.iter().rposition(|record| record.phase == phase && record.step == step)
    };
    let begun = |phase, step, name: &str| StepRecord {
        phase,
        step,
        name: name.to_owned(),
        outcome: None,
        conclusion: None,
        duration_ms: 0,
        outputs: BTreeMap::new(),
        annotations: Vec::new(),
        summary: String::new(),
    };
    for event in events {
        match event {
            Event::PhaseStarted { phase: started } => phase = *started,
            Event::StepStarted { step, name } => steps.push(begun(phase, *step, name)),
            Event::StepEnded { step, name, end } => {
                let running = last(&mut steps, phase, *step).filter(|at| steps[*at].outcome.is_none());
                let at = running.unwrap_or_else(|| {
                    steps.push(begun(phase, *step, name));
                    steps.len() - 1
                });
                let record = &mut steps[at];
                (record.outcome, record.conclusion) = (Some(end.outcome), Some(end.conclusion));
                record.duration_ms = end.duration_ms;
                record.outputs.clone_from(&end.outputs);
            }
            Event::Annotation { step, annotation } => {
                if let Some(at) = last(&mut steps, phase, *step) {
                    steps[at].annotations.push(annotation.clone());
                }
            }
            Event::StepSummary { step, text } => {
                if let Some(at) = last(&mut steps, phase, *step) {
                    steps[at].summary.push_str(text);
                }
            }
            _ => {}
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use runspan_agent_protocol::{Stage, StepEnd};

    use super::*;

    #[test]
    fn events_make_steps() {
        let step = |index| StepId { index, stage: Stage::Main };
        let end =
            |outcome, conclusion| StepEnd { outcome, conclusion, outputs: BTreeMap::new(), duration_ms: 5 };
        let annotation = Annotation { message: "bad".into(), ..Annotation::default() };
        let events = [
            Event::PhaseStarted { phase: PhaseType::Build },
            Event::StepStarted { step: step(0), name: "a".into() },
            Event::Annotation { step: step(0), annotation },
            Event::StepSummary { step: step(0), text: "# x".into() },
            Event::StepEnded {
                step: step(0),
                name: "a".into(),
                end: end(StepResult::Failure, StepResult::Success),
            },
            Event::StepEnded {
                step: step(1),
                name: "b".into(),
                end: end(StepResult::Skipped, StepResult::Skipped),
            },
            Event::StepStarted { step: step(2), name: "c".into() },
        ];
        let steps = steps_of(&events);
        let seen: Vec<_> =
            steps.iter().map(|step| (step.name.as_str(), step.outcome, step.conclusion)).collect();
        assert_eq!(
            seen,
            [
                ("a", Some(StepResult::Failure), Some(StepResult::Success)),
                ("b", Some(StepResult::Skipped), Some(StepResult::Skipped)),
                ("c", None, None),
            ]
        );
        assert_eq!((steps[0].annotations.len(), steps[0].summary.as_str()), (1, "# x"));
    }
}
