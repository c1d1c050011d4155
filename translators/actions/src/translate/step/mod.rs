//! Steps as commands, or as steps that the engine runs.

mod composite;
mod uses;

pub(crate) use uses::needs_engine;

use std::cell::RefCell;

use indexmap::IndexMap;
use runspan_buildspec::{
    Shell, Step, StepAction,
    shell::{Interpreter, Script},
};

use super::{
    Work,
    assemble::{Draft, Piece},
    github,
    interpreter::interpreter,
    ledger::Ledger,
    lower::{Findings, Lowerer, Needed, Outputs, Scene},
    rewrite::{expression, rewrite},
    script::script,
    shell::{Lowered, is_name, variable_name},
};
use crate::model::{self, Text, Work as Act};

/// Composite actions inside of composite actions, as GitHub allows them.
const DEEPEST: usize = 9;

/// What scripts have that say nothing else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults<'a> {
    shell: Option<Text<'a>>,
    directory: Option<Text<'a>>,
    /// In a container the shell is `sh`.
    container: bool,
}

impl<'a> Defaults<'a> {
    pub(crate) fn of(workflow: &model::Workflow<'a>, job: &model::Job<'a>) -> Self {
        let of_job = job.defaults.shell.is_some() || job.defaults.working_directory.is_some();
        let defaults = if of_job { &job.defaults } else { &workflow.defaults };
        Self {
            shell: defaults.shell.clone(),
            directory: defaults.working_directory.clone(),
            container: job.container.is_some(),
        }
    }
}

pub(crate) struct Maker<'a, 'f> {
    pub(crate) work: &'a Work<'a>,
    pub(crate) needed: &'a RefCell<Needed>,
    pub(crate) draft: Draft,
    pub(crate) defaults: Defaults<'f>,
    /// Local actions that are being gone through.
    pub(crate) stack: Vec<String>,
    /// Variables of the steps that use them.
    pub(crate) around: Vec<(String, Lowered)>,
}

/// What all steps have.
#[derive(Clone, Debug, Default)]
struct Frame {
    piece: Piece,
    env: Vec<(String, Lowered)>,
    id: Option<String>,
}

impl Frame {
    /// Variables of the step alone; one that has its value already needs none.
    fn words(&self) -> Vec<(String, String)> {
        self.env
            .iter()
            .map(|(name, lowered)| (name.clone(), lowered.word()))
            .filter(|(name, word)| is_name(name) && *word != format!("\"${name}\""))
            .collect()
    }
}

impl Maker<'_, '_> {
    /// Of the buildspec.
    const fn shell(&self) -> Shell {
        if self.draft.bash { Shell::Bash } else { Shell::Sh }
    }

    pub(crate) fn steps(&mut self, steps: &[model::Step<'_>], scene: &mut Scene, ledger: &mut Ledger) {
        for step in steps {
            self.step(step, scene, ledger);
        }
    }

    fn step(&mut self, step: &model::Step<'_>, scene: &mut Scene, ledger: &mut Ledger) {
        let id = step.id.as_ref().map(|id| id.source().to_owned());
        let mut frame = Frame { id, env: self.around.clone(), ..Frame::default() };
        for variable in &step.env {
            let lowerer = Lowerer::new(scene, self.needed);
            let lowered = lowerer.template(&variable.value.template);
            ledger.variable(variable, "a variable of the step", lowerer.findings());
            frame.env.push((variable.name.clone(), lowered));
        }
        // Of the step alone: what was there comes back behind it.
        let hidden: Vec<(String, Option<Lowered>)> = frame
            .env
            .iter()
            .map(|(name, lowered)| (name.clone(), scene.env.insert(name.clone(), lowered.clone())))
            .collect();
        let outer =
            std::mem::replace(&mut scene.local, frame.env.iter().map(|(name, _)| name.clone()).collect());
        if let Some(id) = &step.id {
            ledger.exact(&id.field, "part of the names of its outputs");
        }
        if let Some(name) = &step.name {
            ledger.exact(&name.field, "a comment");
            frame.piece.comment = name.source().split_whitespace().collect::<Vec<_>>().join(" ");
        }
        let runs = self.condition(step, scene, &mut frame.piece, ledger);
        self.tolerance(step, scene, &mut frame, ledger);
        let minutes = self.minutes(step, scene, ledger);
        if runs {
            self.act(step, frame, minutes, scene, ledger);
        } else {
            // Its parts are accounted for, but leave nothing behind.
            let draft =
                Draft { keeps_steps: self.draft.keeps_steps, bash: self.draft.bash, ..Draft::default() };
            let mut aside = Maker {
                work: self.work,
                needed: &RefCell::default(),
                draft,
                defaults: self.defaults.clone(),
                stack: self.stack.clone(),
                around: self.around.clone(),
            };
            aside.act(step, frame, minutes, scene, ledger);
        }
        scene.local = outer;
        for (name, value) in hidden.into_iter().rev() {
            match value {
                Some(value) => drop(scene.env.insert(name, value)),
                None => drop(scene.env.shift_remove(&name)),
            }
        }
    }

    fn act(
        &mut self,
        step: &model::Step<'_>,
        frame: Frame,
        minutes: Option<String>,
        scene: &mut Scene,
        ledger: &mut Ledger,
    ) {
        match &step.work {
            Act::Run { run, shell, working_directory } => {
                let texts = (run, shell.as_ref(), working_directory.as_ref());
                self.run(step, texts, frame, minutes, scene, ledger);
            }
            Act::Uses { uses, with } => self.uses(step, uses, with, frame, scene, ledger),
        }
    }

    /// Whether the step can run at all.
    fn condition(
        &self,
        step: &model::Step<'_>,
        scene: &Scene,
        piece: &mut Piece,
        ledger: &mut Ledger,
    ) -> bool {
        let Some(condition) = &step.condition else { return true };
        let lowerer = Lowerer::new(scene, self.needed);
        let answer = lowerer.condition(&condition.template);
        let findings = lowerer.findings();
        piece.always = condition.template.asks_status() && !only_success(&condition.template);
        match answer {
            Ok(test) if only_success(&condition.template) => {
                let _ = test;
                ledger.by(&condition.field, "nothing: every step needs success", findings);
                true
            }
            Ok(test) => {
                ledger.by(&condition.field, format!("`if {}`", test.text), findings);
                piece.test = Some(test);
                true
            }
            Err(true) => {
                let became =
                    if piece.always { "a command of `post_build`" } else { "nothing: it always holds" };
                ledger.by(&condition.field, became, findings);
                true
            }
            Err(false) => {
                ledger.by(&condition.field, "nothing: the step never runs", findings);
                false
            }
        }
    }

    fn tolerance(&self, step: &model::Step<'_>, scene: &Scene, frame: &mut Frame, ledger: &mut Ledger) {
        let Some(text) = &step.continue_on_error else { return };
        let lowerer = Lowerer::new(scene, self.needed);
        let answer = lowerer.condition(&text.template);
        let mut findings = lowerer.findings();
        if answer != Err(false) {
            let variable =
                |id: &String| format!("STEP_{}_OUTCOME", variable_name(&format!("{}{id}", scene.prefix)));
            frame.piece.tolerated = Some(frame.id.as_ref().map(variable));
        }
        if answer.is_ok() {
            findings.differences.insert("a failure is tolerated whatever the condition says".into());
        }
        ledger.by(&text.field, "the status is not looked at", findings);
    }

    fn minutes(&self, step: &model::Step<'_>, scene: &Scene, ledger: &mut Ledger) -> Option<String> {
        let text = step.timeout_minutes.as_ref()?;
        let lowerer = Lowerer::new(scene, self.needed);
        let minutes = lowerer.template(&text.template).word();
        let run = matches!(step.work, Act::Run { .. });
        if !run && !self.draft.keeps_steps {
            lowerer.differs("only scripts have a limit of their own");
        }
        ledger.by(&text.field, format!("`timeout {minutes}m`"), lowerer.findings());
        Some(minutes)
    }

    fn run(
        &mut self,
        step: &model::Step<'_>,
        (run, shell, directory): (&Text<'_>, Option<&Text<'_>>, Option<&Text<'_>>),
        mut frame: Frame,
        minutes: Option<String>,
        scene: &mut Scene,
        ledger: &mut Ledger,
    ) {
        let lowerer = Lowerer::new(scene, self.needed);
        let default_shell = self.defaults.shell.clone();
        let shell_text = shell.or(default_shell.as_ref()).map(|shell| lowerer.template(&shell.template));
        let (interpreter, difference) = match &shell_text {
            Some(Lowered::Known(value)) => interpreter(&value.to_text()),
            Some(_) => (Interpreter::Bash("-e".into()), Some("the shell is only known in the run")),
            None if self.defaults.container => (Interpreter::Sh("-e".into()), None),
            None => (Interpreter::Bash("-e".into()), None),
        };
        let mut of_shell = lowerer.findings();
        of_shell.differences.extend(difference.map(str::to_owned));
        if let Some(shell) = shell {
            ledger.by(&shell.field, "how the script is run", of_shell);
        }
        let default_directory = self.defaults.directory.clone();
        let place =
            directory.or(default_directory.as_ref()).map(|text| lowerer.template(&text.template).word());
        let of_directory = lowerer.findings();
        if let Some(directory) = directory {
            ledger.by(&directory.field, "`cd`", of_directory);
        }
        lowerer.by_name.set(true);
        let mut text = script(&run.template, &lowerer);
        let mut findings = lowerer.findings();
        self.draft.privileged |= github::has_word(&text, "docker");
        if text.contains("::set-output name=") {
            text = with_output_file(&text);
        }
        self.host_variables(&text, &mut findings);
        let writes = ["GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH"].iter().any(|name| text.contains(name));
        if writes || text.contains("GITHUB_STEP_SUMMARY") {
            self.needed.borrow_mut().files = true;
        }
        if text.contains("GITHUB_EVENT_PATH") {
            findings.unknown.insert(
                "the event's file is only on GitHub: give it as the variable GITHUB_EVENT_PATH".into(),
            );
        }
        if text.contains("GITHUB_STEP_SUMMARY") {
            findings.differences.insert("the summary stays in a file".into());
        }
        if text.contains("::add-mask::") {
            findings.differences.insert("the value is not masked: give it as a secret".into());
        }
        if matches!(interpreter, Interpreter::Bash(_)) && self.defaults.container {
            findings.differences.insert("bash must be in the image".into());
        }
        if self.draft.keeps_steps {
            self.run_step(step, (text, shell_text, place), frame, minutes, scene, &mut findings);
            ledger.by(&run.field, "a step", findings);
            return;
        }
        let script = Script {
            text,
            interpreter,
            directory: place.filter(|place| place != "."),
            env: frame.words(),
            wrapper: minutes.map(|minutes| format!("timeout {minutes}m")),
        };
        let whole = frame.piece.test.is_some() || frame.piece.tolerated.is_some() || frame.piece.always;
        frame.piece.commands =
            if whole { vec![script.command(self.shell())] } else { script.commands(self.shell()) };
        if writes {
            let prefix = frame.id.as_ref().map(|id| variable_name(&format!("step_{}{id}", scene.prefix)));
            let prefix = prefix.unwrap_or_else(|| "STEP".to_owned());
            frame.piece.commands.push(format!(". /tmp/github-files.sh {prefix}"));
        }
        if let Some(id) = frame.id {
            scene.steps.insert(id.to_ascii_lowercase(), Outputs::Script);
        }
        let count = frame.piece.commands.len();
        self.draft.pieces.push(frame.piece);
        ledger.by(
            &run.field,
            if count == 1 { "a command".into() } else { format!("{count} commands") },
            findings,
        );
    }

    /// GitHub's variables that a text asks for are set before the steps.
    fn host_variables(&self, text: &str, findings: &mut Findings) {
        for given in github::in_text(text) {
            self.needed.borrow_mut().github.insert(given.variable);
            findings.differences.extend(given.difference.map(str::to_owned));
            if given.value.is_empty() {
                self.needed.borrow_mut().given.insert(given.variable.to_owned());
                findings.differences.insert(format!(
                    "the secret {} must be given as a variable of the build",
                    given.variable
                ));
            }
        }
        self.needed.borrow_mut().sudo |= github::has_word(text, "sudo");
        if github::has_word(text, "GITHUB_WORKFLOW") {
            self.needed.borrow_mut().github.insert("GITHUB_WORKFLOW");
        }
    }

    fn run_step(
        &mut self,
        step: &model::Step<'_>,
        (text, shell, place): (String, Option<Lowered>, Option<String>),
        mut frame: Frame,
        minutes: Option<String>,
        scene: &mut Scene,
        findings: &mut Findings,
    ) {
        let shell = shell.map(|shell| shell.inside());
        let action =
            StepAction::Run {
                run: text,
                shell: Some(shell.unwrap_or_else(|| {
                    if self.defaults.container { "sh".into() } else { "bash -e {0}".into() }
                })),
                working_directory: place.map(|place| place.trim_matches(['"', '\'']).to_owned()),
            };
        frame.piece.step = Some(self.engine_step(step, action, &frame, minutes, scene, findings));
        if let Some(id) = frame.id {
            scene.steps.insert(id.to_ascii_lowercase(), Outputs::Engine);
        }
        self.draft.pieces.push(frame.piece);
    }

    /// A step in GitHub's own words, in terms of the environment.
    fn engine_step(
        &self,
        step: &model::Step<'_>,
        action: StepAction,
        frame: &Frame,
        minutes: Option<String>,
        scene: &Scene,
        findings: &mut Findings,
    ) -> Step {
        let lowerer = Lowerer::new(scene, self.needed);
        let mut env = IndexMap::new();
        for variable in &step.env {
            env.insert(variable.name.clone(), rewrite(&variable.value.template, &lowerer));
        }
        let condition = step.condition.as_ref().and_then(|condition| {
            let expr = condition.template.expression()?;
            match condition.template.segments.first() {
                Some(runspan_expressions::Segment::Expression { text, .. }) => {
                    Some(expression(expr, text, &lowerer))
                }
                _ => None,
            }
        });
        let found = lowerer.findings();
        findings.differences.extend(found.differences);
        Step {
            id: frame.id.clone(),
            condition,
            name: (!frame.piece.comment.is_empty())
                .then(|| step.name.as_ref().map(|name| rewrite(&name.template, &lowerer)))
                .flatten(),
            action,
            env,
            continue_on_error: frame.piece.tolerated.is_some().then(|| "true".to_owned()),
            timeout_minutes: minutes.map(|minutes| minutes.trim_matches(['"', '\'']).to_owned()),
        }
    }
}

/// Whether a condition is `success()` and nothing else.
fn only_success(template: &runspan_expressions::Template) -> bool {
    use runspan_expressions::{Function, Kind};
    let is = |expr: &runspan_expressions::Expr| matches!(&expr.kind, Kind::Call(Function::Success, values) if values.is_empty());
    template.expression().is_some_and(is)
}

/// The old way to give an output, in terms of the new.
fn with_output_file(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        match line.split_once("::set-output name=") {
            Some((before, rest)) if rest.contains("::") => {
                let (name, value) = rest.split_once("::").unwrap_or((rest, ""));
                lines.push(format!("{before}{name}={value} >> \"$GITHUB_OUTPUT\""));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}
