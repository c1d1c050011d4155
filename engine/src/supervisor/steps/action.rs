//! Steps that use actions.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use indexmap::IndexMap;
use runspan_agent_protocol::{
    Annotation, Event as AgentEvent, Level, Reply, Stage, StepEnd, StepId, StepResult, Verb, layout,
};
use runspan_buildspec::{Step, StepAction};
use runspan_expressions::Value;

use super::checkout::is_checkout;
use super::process::Process;
use super::run::{Done, Running};
use super::{Frame, Steps, Stop};
use crate::lifecycle::PhaseOutcome;
use crate::plan::PlannedPhase;
use crate::project::SourceType;
use crate::steps::{
    ActionRef, DockerAction, JobStatus, Manifest, NodeAction, Post, PostWork, Records, Runs, Uses, Variables,
    condition, read,
};
use crate::supervisor::session::Interrupt;

/// Actions in actions, as at GitHub.
const DEEPEST: usize = 9;
/// A larger file describes no action.
const MOST_MANIFEST: u64 = 1 << 20;

/// An action that is in the container.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Its directory.
    pub(super) directory: String,
    pub(super) manifest: Manifest,
}

/// What a step hands to an action.
struct Handed {
    inputs: IndexMap<String, String>,
    /// Members of `github` that say where the action is.
    place: Vec<(&'static str, String)>,
}

impl Handed {
    /// As variables of the action's processes.
    fn variables(&self) -> Vec<(String, String)> {
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
            return self.own_source(frame, running).await;
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

    /// Whether an action is a checkout of what the build has as its source anyway.
    pub(super) fn is_own_source(&self, uses: &Uses, with: &IndexMap<String, String>) -> bool {
        let own = |name: &str| {
            let given = with.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
            match (name, given) {
                (_, None) => true,
                ("repository", Some(text)) => text.replace(' ', "") == "${{github.repository}}",
                ("ref", Some(text)) => {
                    matches!(text.replace(' ', "").as_str(), "${{github.ref}}" | "${{github.sha}}")
                }
                ("path", Some(text)) => matches!(text, "." | "./"),
                _ => true,
            }
        };
        is_checkout(uses)
            && self.driver.request.source.kind != SourceType::NoSource
            && ["repository", "ref", "path"].into_iter().all(own)
    }

    async fn own_source(&mut self, frame: &Frame, running: &Running) -> Result<Done, Stop> {
        let directory = self.driver.dirs.primary.clone();
        let commit = self.driver.build.resolved_source_version.clone();
        let of = commit.as_ref().map_or_else(String::new, |commit| format!(" at {commit}"));
        self.tell_pending().await?;
        let line = format!("{}: the build's source is in {directory} already{of}", running.name);
        self.driver.say(self.session, [line]).await?;
        let _same = frame;
        let outputs = commit.map(|commit| ("commit".to_owned(), commit)).into_iter().collect();
        Ok(Done::of(outputs, None))
    }

    /// Fetches an action and all it is made of.
    pub(super) fn preload<'s>(
        &'s mut self,
        uses: &'s Uses,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<(), Stop>> + Send + 's>> {
        Box::pin(async move {
            let Uses::Repository(action) = uses else { return Ok(()) };
            if depth > DEEPEST {
                return Err(Stop::Fault(format!("Composite action depth exceeded max depth {DEEPEST}")));
            }
            let loaded = self.load_repository(action).await?;
            if let Runs::Composite(steps) = &loaded.manifest.runs {
                for step in steps {
                    if let StepAction::Uses { uses, with } = &step.action
                        && let Ok(inner) = Uses::parse(uses)
                        && !self.is_own_source(&inner, with)
                    {
                        self.preload(&inner, depth + 1).await?;
                    }
                }
            }
            Ok(())
        })
    }

    async fn load_repository(&mut self, action: &ActionRef) -> Result<Arc<Loaded>, Stop> {
        let key = action.repository();
        let top = match self.job.provided.get(&key) {
            Some(directory) => directory.clone(),
            None => {
                let ActionRef { owner, name, version, .. } = action;
                let directory = format!("{}/{owner}/{name}/{version}", layout::STEPS_ACTIONS);
                self.provide(action, &directory).await?;
                self.job.provided.insert(key, directory.clone());
                directory
            }
        };
        let directory = if action.path.is_empty() { top } else { format!("{top}/{}", action.path) };
        self.load(action.to_string(), directory).await
    }

    async fn provide(&mut self, action: &ActionRef, directory: &str) -> Result<(), Stop> {
        let source = Arc::clone(&self.driver.supervisor.actions);
        let known = self.contexts.actions.get(&action.repository()).cloned();
        let fetched = self.driver.interruptible(source.action(action, known.as_ref())).await;
        let archive = ended_early(fetched)?.map_err(|error| Stop::Fault(error.to_string()))?;
        self.driver
            .say(self.session, [format!("Download action repository '{}'", action.repository())])
            .await?;
        let send = Box::new(move |to: &mut dyn std::io::Write| super::archive::send_action(&archive, to));
        self.driver.send_tar(self.session, directory, false, send).await.map(drop).map_err(|interrupt| {
            match interrupt {
                Interrupt::Failed(message) => Stop::Fault(format!("action `{action}`: {message}")),
                other => other.into(),
            }
        })
    }

    /// Reads what an action says of itself.
    async fn load(&mut self, name: String, directory: String) -> Result<Arc<Loaded>, Stop> {
        if let Some(loaded) = self.loaded.get(&name) {
            return Ok(Arc::clone(loaded));
        }
        let mut manifest = None;
        for file in ["action.yml", "action.yaml"] {
            if let Some(bytes) = self.read(&format!("{directory}/{file}")).await? {
                let text = String::from_utf8_lossy(&bytes);
                let read = read(&text).map_err(|error| Stop::Fault(format!("{name}: {file}: {error}")))?;
                manifest = Some(read);
                break;
            }
        }
        if manifest.is_none() {
            for file in ["Dockerfile", "dockerfile"] {
                if self.read(&format!("{directory}/{file}")).await?.is_some() {
                    let docker = DockerAction { image: file.to_owned(), ..DockerAction::default() };
                    manifest = Some(Manifest { runs: Runs::Docker(docker), ..Manifest::default() });
                    break;
                }
            }
        }
        let manifest = manifest.ok_or_else(|| {
            Stop::Fault(format!(
                "Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '{directory}'. \
                 Did you forget to run actions/checkout before running your local action?"
            ))
        })?;
        let loaded = Arc::new(Loaded { directory, manifest });
        self.loaded.insert(name, Arc::clone(&loaded));
        Ok(loaded)
    }

    async fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, Stop> {
        let verb = Verb::ReadFile { path: path.to_owned(), max_bytes: MOST_MANIFEST };
        match self.session.call(self.driver, verb).await? {
            Reply::File(file) => Ok(file),
            other => Err(self.session.unexpected(&other).into()),
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
    async fn hand(
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

    #[expect(clippy::too_many_arguments, reason = "a step, its action, and where both are")]
    async fn javascript(
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
            let done = match self.try_pre(root, step, &name, &parsed, &loaded, node, pre).await {
                Ok(done) => done,
                Err(Stop::Fault(message)) => {
                    self.driver.say(self.session, [message.clone()]).await?;
                    self.annotate(root, &message);
                    Done::of(Vec::new(), Some(message))
                }
                Err(Stop::Interrupt(interrupt)) => {
                    self.cancel(interrupt)?;
                    Done::ended(StepResult::Cancelled)
                }
            };
            let duration_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
            let outcome = done.outcome;
            let end = StepEnd { outcome, conclusion: outcome, outputs: BTreeMap::new(), duration_ms };
            self.conclude(root.id, format!("Pre {name}"), end, done.reason);
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

/// What cuts a fetch short.
pub(super) fn ended_early<T>(result: Result<T, PhaseOutcome>) -> Result<T, Stop> {
    use runspan_agent_protocol::StopReason;
    result.map_err(|outcome| {
        let reason =
            if outcome == PhaseOutcome::TimedOut { StopReason::TimedOut } else { StopReason::Stopped };
        Stop::Interrupt(Interrupt::Ended(reason))
    })
}

/// `github.action` of a step without an id.
pub(super) fn context_name(uses: &Uses) -> String {
    let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "_");
    match uses {
        Uses::Local(_) => "__self".into(),
        Uses::Image(image) => format!("__{}", plain(image)),
        Uses::Repository(action) => format!("__{}_{}", plain(&action.owner), plain(&action.name)),
    }
}
