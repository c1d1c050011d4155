//! JavaScript actions, in their three parts.

use std::time::Instant;

use runspan_agent_protocol::{Event as AgentEvent, Stage, StepId, StepResult};
use runspan_buildspec::{Step, StepAction};

use super::action::{Handed, state};
use super::checkout::is_checkout;
use super::load::Loaded;
use super::process::Process;
use super::run::{Done, Running};
use super::{Frame, Steps, Stop};
use crate::plan::PlannedPhase;
use crate::steps::{NodeAction, Post, PostWork, Runs, Uses, condition};
use crate::supervisor::session::Interrupt;

impl Steps<'_> {
    #[expect(clippy::too_many_arguments, reason = "a step, its action, and where both are")]
    pub(super) async fn javascript(
        &mut self,
        frame: &Frame,
        running: &Running,
        step: &Step,
        uses: &Uses,
        loaded: &Loaded,
        node: &NodeAction,
        handed: &Handed,
    ) -> Result<Done, Stop> {
        let program = match self.node(node.version).await {
            Err(Stop::Fault(missing)) if is_checkout(uses) => {
                return self.checkout(frame, running, &handed.inputs, &missing).await;
            }
            program => program?,
        };
        let mut environment = handed.variables();
        let action_name = step.id.clone().unwrap_or_else(|| context_name(uses));
        environment.push(("GITHUB_ACTION".into(), action_name));
        let mut saved = Vec::new();
        let remote_pre = matches!(uses, Uses::Repository(_)).then_some(node.pre.as_ref()).flatten();
        if !frame.nested {
            saved = self.states.get(&frame.id.index).cloned().unwrap_or_default();
        } else if let Some(pre) = remote_pre
            && self.pre_holds(frame, running, node).await?
        {
            // Nobody saw this action before it is due.
            let file = format!("{}/{pre}", loaded.directory);
            let process =
                self.part(&format!("Pre {}", running.name), &program, file, environment.clone(), running);
            let finished = self.process(frame, &running.env, process).await?;
            if let Some(failure) = finished.failure {
                return Ok(Done::of(Vec::new(), Some(failure)));
            }
            saved = finished.report.state;
        }
        self.register(frame, running, loaded, node, &environment, &saved);
        environment.extend(state(&saved));
        let file = format!("{}/{}", loaded.directory, node.main);
        let process = self.part(&running.name, &program, file, environment, running);
        let finished = self.process(frame, &running.env, process).await;
        if let (Ok(finished), Some(post)) = (&finished, self.post_of(frame, node, loaded)) {
            post.state.extend(finished.report.state.iter().cloned());
        }
        let finished = finished?;
        Ok(Done::of(finished.report.outputs, finished.failure))
    }

    fn part(
        &self,
        title: &str,
        program: &str,
        file: String,
        environment: Vec<(String, String)>,
        running: &Running,
    ) -> Process {
        Process {
            title: title.to_owned(),
            commands: vec![vec![program.to_owned(), file]],
            script: None,
            environment,
            directory: None,
            deadline: running.deadline,
            may_fail: running.may_fail,
            is_action: true,
        }
    }

    async fn pre_holds(&mut self, frame: &Frame, running: &Running, node: &NodeAction) -> Result<bool, Stop> {
        let holds = condition(node.pre_if.as_deref(), "always()").map_err(Stop::Fault)?;
        Ok(self.evaluate(frame, &running.env, &holds).await?.is_truthy())
    }

    /// The last part of an action is due from the moment that its first begins.
    fn register(
        &mut self,
        frame: &Frame,
        running: &Running,
        loaded: &Loaded,
        node: &NodeAction,
        environment: &[(String, String)],
        saved: &[(String, String)],
    ) {
        let Some(post) = &node.post else { return };
        if !frame.nested && !self.registered.insert(frame.id.index) {
            return;
        }
        let step_env = running.env.iter().filter(|(name, value)| self.job.env.get(*name) != Some(*value));
        let step_env = step_env.map(|(name, value)| (name.clone(), value.clone()));
        self.job.posts.push(Post {
            index: frame.id.index,
            name: running.name.clone(),
            condition: node.post_if.clone(),
            work: PostWork::Node { version: node.version, file: format!("{}/{post}", loaded.directory) },
            environment: step_env.chain(environment.iter().cloned()).collect(),
            state: saved.to_vec(),
        });
    }

    /// The registered last part of an action that runs.
    fn post_of(&mut self, frame: &Frame, node: &NodeAction, loaded: &Loaded) -> Option<&mut Post> {
        let file = format!("{}/{}", loaded.directory, node.post.as_ref()?);
        let index = frame.id.index;
        let is_it = |post: &&mut Post| {
            post.index == index && matches!(&post.work, PostWork::Node { file: other, .. } if *other == file)
        };
        self.job.posts.iter_mut().rev().find(is_it)
    }

    /// The first parts of actions, before all steps.
    pub(super) async fn pre_steps(
        &mut self,
        root: &mut Frame,
        planned: &PlannedPhase,
    ) -> Result<(), Interrupt> {
        for (index, step) in (0..).zip(&planned.steps) {
            let StepAction::Uses { uses, with } = &step.action else { continue };
            let Ok(Uses::Repository(action)) = Uses::parse(uses) else { continue };
            let parsed = Uses::Repository(action.clone());
            if self.is_own_source(&parsed, with) {
                continue;
            }
            let Some(loaded) = self.loaded.get(&action.to_string()).cloned() else { continue };
            let Runs::Node(node) = &loaded.manifest.runs else { continue };
            let Some(pre) = &node.pre else { continue };
            root.id = StepId { index, stage: Stage::Pre };
            let begin = Instant::now();
            let name = step.name.clone().unwrap_or_else(|| format!("Run {uses}"));
            let tried = self.try_pre(root, step, &name, &parsed, &loaded, node, pre).await;
            let done = self.settled(root, tried).await?;
            self.conclude_part(root.id, format!("Pre {name}"), begin, done);
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a step, its action, and where both are")]
    async fn try_pre(
        &mut self,
        root: &Frame,
        step: &Step,
        name: &str,
        uses: &Uses,
        loaded: &Loaded,
        node: &NodeAction,
        pre: &str,
    ) -> Result<Done, Stop> {
        let StepAction::Uses { with, .. } = &step.action else { return Ok(Done::ended(StepResult::Skipped)) };
        let mut env = self.env(root);
        for (variable, text) in &step.env {
            let value = self.text(root, &env.clone(), text).await?;
            env.insert(variable.clone(), value);
        }
        let running = Running { name: name.to_owned(), env, deadline: None, may_fail: false };
        if !self.pre_holds(root, &running, node).await? {
            return Ok(Done::ended(StepResult::Skipped));
        }
        let title = format!("Pre {name}");
        self.pending.push(AgentEvent::StepStarted { step: root.id, name: title.clone() });
        let from = match uses {
            Uses::Repository(action) => Some(action),
            Uses::Local(_) | Uses::Image(_) => None,
        };
        let handed = self.hand(root, &running, loaded, with, from).await?;
        let program = self.node(node.version).await?;
        let mut environment = handed.variables();
        environment.push(("GITHUB_ACTION".into(), step.id.clone().unwrap_or_else(|| context_name(uses))));
        self.register(root, &running, loaded, node, &environment, &[]);
        let process =
            self.part(&title, &program, format!("{}/{pre}", loaded.directory), environment, &running);
        let finished = self.process(root, &running.env, process).await?;
        if let Some(post) = self.post_of(root, node, loaded) {
            post.state.extend(finished.report.state.iter().cloned());
        }
        self.states.insert(root.id.index, finished.report.state);
        Ok(Done::of(Vec::new(), finished.failure))
    }
}

/// `github.action` of a step without an id.
fn context_name(uses: &Uses) -> String {
    let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "_");
    match uses {
        Uses::Local(_) => "__self".into(),
        Uses::Image(image) => format!("__{}", plain(image)),
        Uses::Repository(action) => format!("__{}_{}", plain(&action.owner), plain(&action.name)),
    }
}
