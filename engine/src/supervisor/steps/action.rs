//! Steps that use actions.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use runspan_agent_protocol::{Annotation, Event as AgentEvent, Level, StepResult};
use runspan_buildspec::Step;
use runspan_expressions::Value;

use super::load::Loaded;
use super::run::{Done, Running};
use super::{Frame, Steps, Stop};
use crate::steps::{ActionRef, JobStatus, Records, Runs, Uses, Variables};

/// Actions in actions, as at GitHub.
pub(super) const DEEPEST: usize = 9;
/// What a step hands to an action.
pub(super) struct Handed {
    pub(super) inputs: IndexMap<String, String>,
    /// Members of `github` that say where the action is.
    place: Vec<(&'static str, String)>,
}

impl Handed {
    /// As variables of the action's processes.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let name = |name: &str| format!("INPUT_{}", name.replace(' ', "_").to_uppercase());
        let place =
            self.place.iter().map(|(name, value)| (format!("GITHUB_{}", name.to_uppercase()), value.clone()));
        self.inputs.iter().map(|(key, value)| (name(key), value.clone())).chain(place).collect()
    }
}

/// Saved state as variables.
pub(super) fn state(saved: &[(String, String)]) -> impl Iterator<Item = (String, String)> {
    saved.iter().map(|(name, value)| (format!("STATE_{name}"), value.clone()))
}

impl Steps<'_> {
    /// A step that uses an action.
    pub(super) async fn uses(
        &mut self,
        frame: &Frame,
        running: &Running,
        step: &Step,
        uses: &str,
        with: &IndexMap<String, String>,
    ) -> Result<Done, Stop> {
        let parsed = Uses::parse(uses).map_err(Stop::Fault)?;
        if self.is_own_source(&parsed, with) {
            return self.own_source(running).await;
        }
        let (loaded, handed) = match &parsed {
            Uses::Image(image) => {
                let given = self.given(frame, &running.env, with).await?;
                return self.image(frame, running, image, &given).await;
            }
            Uses::Local(path) => {
                let root = &self.driver.dirs.primary;
                let directory = if path.is_empty() { root.clone() } else { format!("{root}/{path}") };
                // An earlier step may have changed it.
                self.loaded.remove(uses);
                let loaded = self.load(uses.to_owned(), directory).await?;
                let handed = self.hand(frame, running, &loaded, with, None).await?;
                (loaded, handed)
            }
            Uses::Repository(action) => {
                let loaded = self.load_repository(action).await?;
                let handed = self.hand(frame, running, &loaded, with, Some(action)).await?;
                (loaded, handed)
            }
        };
        match &loaded.manifest.runs {
            Runs::Composite(steps) => self.composite(frame, running, &loaded, steps, handed).await,
            Runs::Node(node) => self.javascript(frame, running, step, &parsed, &loaded, node, &handed).await,
            Runs::Docker(docker) => {
                let inputs = handed.inputs.clone();
                self.docker_action(frame, running, &loaded, docker, inputs, handed.variables()).await
            }
        }
    }

    /// `with`, its expressions evaluated.
    async fn given(
        &mut self,
        frame: &Frame,
        env: &Variables,
        with: &IndexMap<String, String>,
    ) -> Result<IndexMap<String, String>, Stop> {
        let mut given = IndexMap::new();
        for (name, text) in with {
            given.insert(name.clone(), self.text(frame, env, text).await?);
        }
        Ok(given)
    }

    /// Inputs of an action: what is given, else its defaults.
    pub(super) async fn hand(
        &mut self,
        frame: &Frame,
        running: &Running,
        loaded: &Loaded,
        with: &IndexMap<String, String>,
        from: Option<&ActionRef>,
    ) -> Result<Handed, Stop> {
        let given = self.given(frame, &running.env, with).await?;
        let mut inputs = IndexMap::new();
        let known = &loaded.manifest.inputs;
        for (name, input) in known {
            let own = given.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            let value = match (own, &input.default) {
                (Some((_, value)), _) => {
                    if let Some(text) = &input.deprecated {
                        self.warn(frame, format!("Input '{name}' has been deprecated with message: {text}"));
                    }
                    value.clone()
                }
                (None, Some(default)) => self.text(frame, &running.env, default).await?,
                (None, None) => String::new(),
            };
            inputs.insert(name.clone(), value);
        }
        let is_docker = matches!(loaded.manifest.runs, Runs::Docker(_));
        let mut unknown = Vec::new();
        for (name, value) in given {
            if known.keys().any(|key| key.eq_ignore_ascii_case(&name)) {
                continue;
            }
            if !(is_docker && matches!(name.as_str(), "args" | "entrypoint")) {
                unknown.push(format!("'{name}'"));
            }
            inputs.insert(name, value);
        }
        if !unknown.is_empty() {
            let valid: Vec<String> = known.keys().map(|name| format!("'{name}'")).collect();
            let text = format!(
                "Unexpected input(s) {}, valid inputs are [{}]",
                unknown.join(", "),
                valid.join(", ")
            );
            self.warn(frame, text);
        }
        let mut place = vec![("action_path", loaded.directory.clone())];
        if let Some(action) = from {
            place.push(("action_repository", format!("{}/{}", action.owner, action.name)));
            place.push(("action_ref", action.version.clone()));
        }
        Ok(Handed { inputs, place })
    }

    fn warn(&mut self, frame: &Frame, message: String) {
        let annotation = Annotation { level: Level::Warning, message, ..Annotation::default() };
        self.pending.push(AgentEvent::Annotated { step: frame.id, annotation });
    }

    /// The steps of an action, one by one.
    async fn composite(
        &mut self,
        frame: &Frame,
        running: &Running,
        loaded: &Loaded,
        steps: &[Step],
        handed: Handed,
    ) -> Result<Done, Stop> {
        if frame.depth >= DEEPEST {
            return Err(Stop::Fault(format!("Composite action depth exceeded max depth {DEEPEST}")));
        }
        let mut overlay = running.env.clone();
        // What the job has, it may set anew while the action runs.
        overlay.retain(|name, value| self.job.env.get(name) != Some(value));
        let inputs = handed.inputs.iter().map(|(name, value)| (name.as_str(), Value::from(value.as_str())));
        let mut inner = Frame {
            id: frame.id,
            nested: true,
            depth: frame.depth + 1,
            records: Records::new(),
            inputs: Some(Value::object(inputs)),
            overlay,
            status: JobStatus::Success,
            action: handed.place,
            deadline: running.deadline,
        };
        let mut failed = None;
        for step in steps {
            let conclusion = self.step(&mut inner, step).await?;
            if conclusion == StepResult::Failure {
                let name = step.name.clone().or_else(|| step.id.clone());
                failed.get_or_insert(name.map_or_else(
                    || "a step of the action failed".to_owned(),
                    |name| format!("step `{name}` of the action failed"),
                ));
            }
        }
        let mut outputs = BTreeMap::new();
        for (name, text) in &loaded.manifest.outputs {
            let env = self.env(&inner);
            outputs.insert(name.clone(), self.text(&inner, &env, text).await?);
        }
        let outcome = match inner.status {
            JobStatus::Success => StepResult::Success,
            JobStatus::Failure => StepResult::Failure,
            JobStatus::Cancelled => StepResult::Cancelled,
        };
        Ok(Done { outcome, outputs, reason: failed })
    }
}
