//! The items of a pipeline, in their order.

use std::collections::HashMap;

use indexmap::IndexMap;
use runspan_buildspec::{Code, Job};

use crate::artifacts::{Producer, fetch, identifier};
use crate::draft::{Command, Draft};
use crate::field::Field;
use crate::file::Translator;
use crate::shell_text::word;

/// A pipeline with more is a mistake; Bitbucket takes fewer.
const MOST_STEPS: usize = 500;

/// A pipeline as it grows.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) jobs: Vec<Job>,
    pub(crate) fast_fail: bool,
    producers: Vec<Producer>,
    /// Identifiers, with how often each was wanted.
    taken: HashMap<String, usize>,
    /// What the next item waits for.
    last: Vec<String>,
    /// Whether somebody has to start what comes now.
    waits: bool,
    variables: IndexMap<String, String>,
    checks: Vec<Command>,
}

/// What a group of steps gives each of its own.
#[derive(Clone, Copy, Default)]
struct Group<'f, 'a> {
    /// Position and number of a parallel step.
    parallel: Option<(usize, usize)>,
    stage: Option<&'f Field<'a>>,
}

impl<'a> Translator<'a> {
    /// Reads a pipeline that stands at this place.
    pub(crate) fn pipeline(&mut self, pipeline: &Field<'a>, place: &str) -> Line {
        let mut line = Line::default();
        self.import(pipeline, place, &mut line);
        if pipeline.get("import").is_none() {
            self.extend(pipeline, place, &mut line);
        }
        line
    }

    /// Puts the items of a pipeline behind what is there.
    pub(crate) fn extend(&mut self, pipeline: &Field<'a>, place: &str, line: &mut Line) {
        for item in pipeline.items() {
            self.item(&item, place, line);
        }
        if line.jobs.len() > MOST_STEPS {
            let message = format!("the pipeline has more than {MOST_STEPS} steps");
            self.account.fault(Code::TooMany, pipeline, message, "Bitbucket takes 100");
        }
    }

    fn item(&mut self, item: &Field<'a>, place: &str, line: &mut Line) {
        // Lost indentation: the keys of the step stand beside `step`.
        if item.get("script").is_some() && item.get("step").is_none_or(|step| step.is_null()) {
            for (key, field) in item.entries() {
                if key == "step" {
                    self.account.approximate(
                        &field,
                        "a build of the batch",
                        "its keys are not indented below it",
                    );
                }
            }
            let draft = self.step_of(item, line, Group::default());
            line.last = vec![put(draft, place, line)];
            return;
        }
        for (key, field) in item.entries() {
            match key {
                "step" | "final" => {
                    if key == "final" {
                        let difference = "it does not run after a failed step";
                        self.account.approximate(&field, "the last build of the batch", difference);
                    } else {
                        self.account.exact(&field, "a build of the batch");
                    }
                    let draft = self.step_of(&field, line, Group::default());
                    line.last = vec![put(draft, place, line)];
                }
                "parallel" => self.parallel(&field, place, line),
                "stage" => self.stage(&field, place, line),
                "variables" => self.variables(&field, line),
                _ => self.unknown(&field, "a pipeline"),
            }
        }
    }

    fn parallel(&mut self, field: &Field<'a>, place: &str, line: &mut Line) {
        self.account.exact(field, "builds that wait for the same ones");
        let mut steps = field.clone();
        if field.is_map() {
            for (key, part) in field.entries() {
                match key {
                    "steps" => {
                        self.account.exact(&part, "builds that wait for the same ones");
                        steps = part;
                    }
                    "fail-fast" if part.is_true() => {
                        line.fast_fail = true;
                        self.account.approximate(&part, "`fast-fail: true`", "it ends the whole batch");
                    }
                    "fail-fast" => self.account.exact(&part, "nothing: it is so"),
                    "on-fail" => self.account.manual(&part, "of a group of steps", None),
                    _ => self.unknown(&part, "parallel"),
                }
            }
        }
        let items = steps.items();
        let (producers, waits) = (line.producers.clone(), line.waits);
        let (mut after, mut waits_after) = (producers.clone(), waits);
        let mut made = Vec::new();
        for (index, item) in items.iter().enumerate() {
            for (key, step) in item.entries() {
                if key != "step" {
                    self.unknown(&step, "parallel");
                    continue;
                }
                self.account.exact(&step, "a build of the batch");
                let group = Group { parallel: Some((index, items.len())), stage: None };
                let draft = self.step_of(&step, line, group);
                made.push(put(draft, place, line));
                // Those at its side neither wait for it nor get what it makes.
                after.extend(line.producers.drain(producers.len()..));
                waits_after |= std::mem::replace(&mut line.waits, waits);
            }
        }
        (line.producers, line.waits) = (after, waits_after);
        if !made.is_empty() {
            line.last = made;
        }
    }

    fn stage(&mut self, stage: &Field<'a>, place: &str, line: &mut Line) {
        self.account.exact(stage, "builds one after the other");
        let mut scratch = Draft::default();
        for (key, part) in stage.entries() {
            match key {
                "name" => self.account.approximate(
                    &part,
                    "nothing",
                    "a batch has no stages, and so no names for them",
                ),
                "steps" => self.account.exact(&part, "builds one after the other"),
                "trigger" => self.trigger(&part, &mut scratch),
                "deployment" | "environment" => self.deployment(&part, &mut scratch),
                "condition" => self.condition(&part, &mut scratch),
                "on-fail" => self.on_fail(&part, &mut scratch),
                _ => self.unknown(&part, "a stage"),
            }
        }
        let steps = stage.get("steps").map(|steps| steps.items()).unwrap_or_default();
        for (key, step) in steps.iter().flat_map(|item| item.entries()) {
            match key {
                "step" => {
                    self.account.exact(&step, "a build of the batch");
                    let group = Group { parallel: None, stage: Some(stage) };
                    let draft = self.step_of(&step, line, group);
                    line.last = vec![put(draft, place, line)];
                }
                "parallel" => self.parallel(&step, place, line),
                _ => self.unknown(&step, "a stage"),
            }
        }
    }

    /// `variables` of a pipeline that somebody starts.
    pub(crate) fn variables(&mut self, field: &Field<'a>, line: &mut Line) {
        self.account.exact(field, "variables of every build");
        for variable in field.items() {
            let Some(name) = variable.get("name").and_then(|name| name.text()) else { continue };
            let default = variable.get("default");
            for (key, part) in variable.entries() {
                match key {
                    "name" if default.is_some() => self.account.exact(&part, "`env.variables`"),
                    "name" => self.account.approximate(&part, "a variable", "to be given with --env"),
                    "default" => self.account.exact(&part, "`env.variables`, which --env beats"),
                    "description" => self.account.exact(&part, "nothing: it is for people"),
                    "allowed-values" => {
                        let allowed: Vec<String> = part.texts().iter().map(|value| word(value)).collect();
                        let text = format!(
                            "case \"${name}\" in {}) ;; *) echo \"{name} cannot be '${name}'\" >&2; exit 1 ;; esac",
                            allowed.join("|")
                        );
                        line.checks.push(Command::plain(text));
                        self.account.exact(&part, "a check before the script");
                    }
                    _ => self.unknown(&part, "a variable"),
                }
            }
            if let Some(default) = default {
                line.variables.insert(name.to_owned(), default.text().unwrap_or_default().to_owned());
            }
        }
    }

    fn step_of(&mut self, step: &Field<'a>, line: &Line, group: Group<'_, 'a>) -> Draft {
        let mut draft = self.step(step);
        for (name, value) in &line.variables {
            draft.variables.entry(name.clone()).or_insert_with(|| value.clone());
        }
        if let Some((index, count)) =
            group.parallel.filter(|_| draft.used.contains("BITBUCKET_PARALLEL_STEP"))
        {
            draft.variables.insert("BITBUCKET_PARALLEL_STEP".into(), index.to_string());
            draft.variables.insert("BITBUCKET_PARALLEL_STEP_COUNT".into(), count.to_string());
        }
        if let Some(stage) = group.stage {
            for (key, part) in stage.entries() {
                match key {
                    "trigger" => self.trigger(&part, &mut draft),
                    "deployment" | "environment" => self.deployment(&part, &mut draft),
                    "condition" => self.condition(&part, &mut draft),
                    "on-fail" => self.on_fail(&part, &mut draft),
                    _ => {}
                }
            }
        }
        draft
    }
}

/// Puts a step behind what is there; its identifier.
fn put(mut draft: Draft, place: &str, line: &mut Line) -> String {
    if line.jobs.len() > MOST_STEPS {
        return String::new();
    }
    let number = line.jobs.len() + 1;
    let name = draft.name.clone().unwrap_or_else(|| format!("step {number}"));
    let identifier = free_identifier(&name, &mut line.taken);
    let fetched = fetch(&draft, &line.producers);
    draft.before.splice(0..0, line.checks.iter().cloned());
    draft.before.extend(fetched);
    line.waits |= draft.on_demand;
    draft.on_demand = line.waits;
    if draft.artifacts.as_ref().is_some_and(|artifacts| !artifacts.primary.files.is_empty()) {
        line.producers.push(Producer { identifier: identifier.clone(), names: draft.shared.clone() });
    }
    line.jobs.push(draft.job(place, identifier.clone(), name, line.last.clone()));
    identifier
}

/// The identifier of a step that is called so.
fn free_identifier(name: &str, taken: &mut HashMap<String, usize>) -> String {
    let wanted = Some(identifier(name)).filter(|name| !name.is_empty()).unwrap_or_else(|| "step".into());
    let mut candidate = wanted.clone();
    while taken.contains_key(&candidate) {
        let count = taken.entry(wanted.clone()).or_insert(1);
        *count += 1;
        candidate = format!("{wanted}_{count}");
    }
    taken.insert(candidate.clone(), 1);
    candidate
}
