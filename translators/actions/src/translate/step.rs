//! Steps as commands, or as steps that the engine runs.

use std::cell::RefCell;

use indexmap::IndexMap;
use runspan_buildspec::{
    Fidelity, Shell, Step, StepAction,
    shell::{Interpreter, Script, quoted},
    yaml,
};

use super::{
    Context,
    assemble::{Draft, Piece},
    github,
    interpreter::interpreter,
    ledger::Ledger,
    lower::{Findings, Lowerer, Needed, Outputs, Scene},
    rewrite::{expression, rewrite},
    script::script,
    shell::{Lowered, variable_name},
};
use crate::{
    expressions::Value,
    model::{self, Runs, Text, Work},
    native::{self, Inputs, Native},
};

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

/// What is known of an action before its inputs are.
enum Known {
    Native(native::Handler),
    Image(String),
    Local(String),
    Engine,
}

fn known(uses: &str, context: &Context<'_>) -> Known {
    if let Some(image) = uses.strip_prefix("docker://") {
        return Known::Image(image.to_owned());
    }
    if let Some(path) = uses.strip_prefix("./") {
        return match local(path, context) {
            Some(text) => Known::Local(text),
            None => Known::Engine,
        };
    }
    let name = uses.split('@').next().unwrap_or_default();
    native::handler(name).map_or(Known::Engine, Known::Native)
}

/// The text of a local action.
fn local(path: &str, context: &Context<'_>) -> Option<String> {
    let path = path.split('@').next().unwrap_or_default().trim_end_matches('/');
    let file = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    (context.read)(&file("action.yml")).or_else(|| (context.read)(&file("action.yaml")))
}

/// Whether a step's action can only be run by the engine.
pub(crate) fn needs_engine(steps: &[model::Step<'_>], context: &Context<'_>, depth: usize) -> bool {
    steps.iter().any(|step| {
        let Work::Uses { uses, .. } = &step.work else { return false };
        match known(uses.source().trim(), context) {
            Known::Native(_) | Known::Image(_) => false,
            Known::Engine => true,
            Known::Local(text) => {
                let Ok(tree) = yaml::read(&text) else { return true };
                let (action, _) = model::action(&text, &tree);
                match action.runs {
                    Runs::Composite(inner) => depth >= DEEPEST || needs_engine(&inner, context, depth + 1),
                    _ => true,
                }
            }
        }
    })
}

pub(crate) struct Maker<'a, 'f> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) needed: &'a RefCell<Needed>,
    pub(crate) draft: Draft,
    pub(crate) defaults: Defaults<'f>,
    /// Local actions that are being gone through.
    pub(crate) stack: Vec<String>,
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
            .filter(|(name, word)| *word != format!("\"${name}\""))
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
        let mut own = scene.clone();
        let mut frame = Frame { id: step.id.as_ref().map(|id| id.source().to_owned()), ..Frame::default() };
        for variable in &step.env {
            let lowerer = Lowerer::new(scene, self.needed);
            let lowered = lowerer.template(&variable.value.template);
            ledger.by(&variable.value.field, "a variable of the step", lowerer.findings());
            own.env.insert(variable.name.clone(), lowered.clone());
            own.local.insert(variable.name.clone());
            frame.env.push((variable.name.clone(), lowered));
        }
        if let Some(id) = &step.id {
            ledger.exact(&id.field, "part of the names of its outputs");
        }
        if let Some(name) = &step.name {
            ledger.exact(&name.field, "a comment");
            frame.piece.comment = name.source().split_whitespace().collect::<Vec<_>>().join(" ");
        }
        let runs = self.condition(step, &own, &mut frame.piece, ledger);
        self.tolerance(step, &own, &mut frame, ledger);
        let minutes = self.minutes(step, &own, ledger);
        if !runs {
            // Its parts are accounted for, but leave nothing behind.
            let mut aside = Maker {
                context: self.context,
                needed: &RefCell::default(),
                draft: Draft {
                    keeps_steps: self.draft.keeps_steps,
                    bash: self.draft.bash,
                    ..Draft::default()
                },
                defaults: self.defaults.clone(),
                stack: self.stack.clone(),
            };
            aside.work(step, frame, minutes, &mut own, ledger);
            return;
        }
        self.work(step, frame, minutes, &mut own, ledger);
        scene.steps = own.steps;
    }

    fn work(
        &mut self,
        step: &model::Step<'_>,
        frame: Frame,
        minutes: Option<String>,
        scene: &mut Scene,
        ledger: &mut Ledger,
    ) {
        match &step.work {
            Work::Run { run, shell, working_directory } => {
                let texts = (run, shell.as_ref(), working_directory.as_ref());
                self.run(step, texts, frame, minutes, scene, ledger);
            }
            Work::Uses { uses, with } => self.uses(step, uses, with, frame, scene, ledger),
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
        let answer = lowerer.template(&text.template).test();
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
        let run = matches!(step.work, Work::Run { .. });
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
            scene.steps.insert(id, Outputs::Script);
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
            scene.steps.insert(id, Outputs::Engine);
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
                Some(crate::expressions::Segment::Expression { text, .. }) => {
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

    fn uses(
        &mut self,
        step: &model::Step<'_>,
        uses: &Text<'_>,
        with: &[model::Variable<'_>],
        frame: Frame,
        scene: &mut Scene,
        ledger: &mut Ledger,
    ) {
        let name = uses.source().trim().to_owned();
        match known(&name, self.context) {
            Known::Native(handler) => {
                let lowerer = Lowerer::new(scene, self.needed);
                let entries: Vec<(String, Lowered, Findings)> = with
                    .iter()
                    .map(|variable| {
                        let lowered = lowerer.template(&variable.value.template);
                        (variable.name.clone(), lowered, lowerer.findings())
                    })
                    .collect();
                let version = name.split_once('@').map_or("", |(_, version)| version);
                let lowered = entries.iter().map(|(name, lowered, _)| (name.clone(), lowered.clone()));
                let mut inputs = Inputs::new(version, lowered);
                let Some(native) = handler(&mut inputs) else {
                    let reason = "it is given less than it needs, or other than is understood";
                    self.unclear(uses, with, frame, reason, ledger);
                    return;
                };
                let declarative = native.commands.is_empty();
                let native = match (Self::handed_on(&name, &entries, scene), self.draft.keeps_steps) {
                    (Some(handed), false) => handed,
                    _ => native,
                };
                if self.draft.keeps_steps && !declarative {
                    return self.engine(step, uses, with, frame, scene, ledger);
                }
                for (variable, (_, _, mut findings)) in with.iter().zip(entries) {
                    match inputs.used(&variable.name) {
                        Ok(()) => {}
                        Err(why) => findings.differences.extend([match why {
                            Some(why) => format!("no effect: {why}"),
                            None => "no counterpart: it is left out".to_owned(),
                        }]),
                    }
                    ledger.by(&variable.value.field, "an input", findings);
                }
                self.native(uses, native, frame, scene, ledger);
            }
            Known::Image(image) if !self.draft.keeps_steps => {
                self.image(uses, &image, with, frame, scene, ledger)
            }
            Known::Local(text) if !self.draft.keeps_steps => {
                self.composite(uses, &text, with, frame, scene, ledger);
            }
            Known::Image(_) | Known::Local(_) | Known::Engine => {
                self.engine(step, uses, with, frame, scene, ledger);
            }
        }
    }

    /// An artifact of a build before this one.
    fn handed_on(uses: &str, inputs: &[(String, Lowered, Findings)], scene: &Scene) -> Option<Native> {
        if !uses.to_ascii_lowercase().starts_with("actions/download-artifact@") {
            return None;
        }
        let of = |name: &str| {
            inputs.iter().find(|(other, ..)| other.eq_ignore_ascii_case(name)).map(|(_, value, _)| value)
        };
        let path = of("path").map_or_else(|| ".".into(), Lowered::inside);
        let wanted = match of("name") {
            Some(Lowered::Known(name)) => Some(name.to_text()),
            Some(_) => return None,
            None if of("pattern").is_some() => return None,
            None => None,
        };
        let mut commands = Vec::new();
        for (name, (identifier, root)) in &scene.uploads {
            // Without a name each artifact gets a directory of its own.
            let target = match &wanted {
                Some(wanted) if **wanted == **name => path.clone(),
                Some(_) => continue,
                None => format!("{path}/{name}"),
            };
            let from = format!("$CODEBUILD_SRC_DIR_{identifier}{root}");
            commands.push(format!("mkdir -p \"{target}\""));
            commands.push(format!("cp -R \"{from}/.\" \"{target}/\""));
        }
        let output = Lowered::Text(super::shell::ShellText::new(path));
        let difference = "runspan gives a build the artifacts of those before it as secondary sources, AWS needs S3 for it";
        (!commands.is_empty())
            .then(|| Native::commands(commands).differs(difference).output("download-path", output))
    }

    fn native(
        &mut self,
        uses: &Text<'_>,
        native: Native,
        mut frame: Frame,
        scene: &mut Scene,
        ledger: &mut Ledger,
    ) {
        match native.difference {
            Some(difference) => ledger.approximate(&uses.field, native.became, difference),
            None => ledger.exact(&uses.field, native.became),
        }
        let mut findings = Findings::default();
        for text in native.commands.iter().chain(&native.install) {
            self.host_variables(text, &mut findings);
        }
        for command in native.install {
            if !self.draft.install.contains(&command) {
                self.draft.install.push(command);
            }
        }
        for (runtime, version) in native.runtimes {
            self.draft.runtimes.insert(runtime.to_owned(), version);
        }
        native.cache.into_iter().for_each(|cache| self.draft.add_cache(cache));
        self.draft.artifacts.extend(native.artifacts);
        for (name, report) in native.reports {
            let mut unique = name.clone();
            let mut number = 2;
            while self.draft.reports.contains_key(&unique) {
                unique = format!("{name}-{number}");
                number += 1;
            }
            self.draft.reports.insert(unique, report);
        }
        self.draft.privileged |= native.privileged;
        if let Some(id) = frame.id.take() {
            scene.steps.insert(id, Outputs::Native(native.outputs));
        }
        frame.piece.commands = native.commands;
        if !frame.env.is_empty() && !frame.piece.commands.is_empty() {
            let script = Script {
                text: frame.piece.commands.join("\n"),
                interpreter: Interpreter::Sh("-e".into()),
                env: frame.words(),
                ..Script::default()
            };
            frame.piece.commands = script.commands(self.shell());
        }
        self.draft.pieces.push(frame.piece);
    }

    /// A step that cannot be translated although it is known.
    fn unclear(
        &mut self,
        uses: &Text<'_>,
        with: &[model::Variable<'_>],
        mut frame: Frame,
        reason: &str,
        ledger: &mut Ledger,
    ) {
        ledger.manual(&uses.field, reason, None);
        for variable in with {
            ledger.manual(&variable.value.field, reason, None);
        }
        frame.piece.commands =
            vec![format!("echo {}", quoted(&format!("To be done by hand: {}", uses.source())))];
        self.draft.pieces.push(frame.piece);
    }

    /// `docker://`.
    fn image(
        &mut self,
        uses: &Text<'_>,
        image: &str,
        with: &[model::Variable<'_>],
        mut frame: Frame,
        scene: &mut Scene,
        ledger: &mut Ledger,
    ) {
        let lowerer = Lowerer::new(scene, self.needed);
        let mut command =
            String::from("docker run --rm -v \"$CODEBUILD_SRC_DIR:/github/workspace\" -w /github/workspace");
        let mut arguments = String::new();
        for (name, lowered) in &frame.env {
            command.push_str(&format!(" -e \"{name}={}\"", lowered.inside()));
        }
        for variable in with {
            let lowered = lowerer.template(&variable.value.template);
            match variable.name.to_ascii_lowercase().as_str() {
                "args" => arguments = format!(" {}", lowered.words()),
                "entrypoint" => command.push_str(&format!(" --entrypoint {}", lowered.word())),
                name => {
                    command.push_str(&format!(" -e \"INPUT_{}={}\"", name.to_uppercase(), lowered.inside()))
                }
            }
            ledger.by(&variable.value.field, "an argument of `docker run`", lowerer.findings());
        }
        frame.piece.commands = vec![format!("{command} {}{arguments}", quoted(image))];
        self.draft.privileged = true;
        self.draft.pieces.push(frame.piece);
        ledger.exact(&uses.field, "`docker run`");
    }

    /// The steps of a local action in its place.
    fn composite(
        &mut self,
        uses: &Text<'_>,
        text: &str,
        with: &[model::Variable<'_>],
        frame: Frame,
        scene: &mut Scene,
        ledger: &mut Ledger,
    ) {
        let name = uses.source().trim();
        if self.stack.len() >= DEEPEST || self.stack.iter().any(|outer| outer == name) {
            return self.unclear(
                uses,
                with,
                frame,
                "the action uses itself, or actions are nested too deeply",
                ledger,
            );
        }
        let Ok(tree) = yaml::read(text) else {
            return self.unclear(uses, with, frame, "its action.yml is not YAML", ledger);
        };
        let (action, diagnostics) = model::action(text, &tree);
        let fault = diagnostics.iter().find(|fault| fault.severity() == runspan_buildspec::Severity::Error);
        if let Some(fault) = fault {
            return self.unclear(uses, with, frame, &format!("its action.yml:{fault}"), ledger);
        }
        let Runs::Composite(steps) = &action.runs else {
            return self.unclear(uses, with, frame, "it is no composite action", ledger);
        };
        let lowerer = Lowerer::new(scene, self.needed);
        let mut inner = scene.clone();
        inner.inputs.clear();
        for (input, default) in &action.inputs {
            let lowered = default.as_ref().map(|default| lowerer.template(&default.template));
            inner.inputs.insert(input.to_ascii_lowercase(), lowered.unwrap_or(Lowered::Known("".into())));
        }
        drop(lowerer.findings());
        for variable in with {
            let lowered = lowerer.template(&variable.value.template);
            ledger.by(&variable.value.field, "an input", lowerer.findings());
            // Inputs of actions are text, whatever they were.
            let lowered = match lowered {
                Lowered::Known(value) => Lowered::Known(Value::String(value.to_text())),
                other => other,
            };
            inner.inputs.insert(variable.name.to_ascii_lowercase(), lowered);
        }
        inner.steps.clear();
        inner.prefix = format!("{}{}_", scene.prefix, frame.id.as_deref().unwrap_or("action"));
        self.stack.push(name.to_owned());
        let before = self.draft.pieces.len();
        let ((), notes) = ledger.aside(|ledger| self.steps(steps, &mut inner, ledger));
        self.stack.pop();
        for piece in &mut self.draft.pieces[before..] {
            if let Some(test) = &frame.piece.test {
                let tests = [Some(test.clone()), piece.test.take()];
                piece.test =
                    Some(super::shell::Test::joined(&tests.into_iter().flatten().collect::<Vec<_>>(), "&&"));
            }
            piece.always |= frame.piece.always;
            if piece.tolerated.is_none() && frame.piece.tolerated.is_some() {
                piece.tolerated = Some(None);
            }
        }
        if let Some(id) = &frame.id {
            let lowerer = Lowerer::new(&inner, self.needed);
            let outputs = action.outputs.iter();
            let outputs =
                outputs.map(|output| (output.name.clone(), lowerer.template(&output.value.template)));
            scene.steps.insert(id.clone(), Outputs::Native(outputs.collect()));
        }
        let manual: Vec<_> = notes
            .iter()
            .filter(|note| matches!(note.fidelity, Fidelity::Manual { .. }))
            .map(|note| format!("{name}:{} {}", note.span.line, note.construct))
            .collect();
        let became = format!("its {} steps in its place", steps.len());
        match manual.as_slice() {
            [] => ledger.exact(&uses.field, became),
            some => ledger.approximate(
                &uses.field,
                became,
                format!("to be done by hand there: {}", some.join(", ")),
            ),
        }
    }

    /// A step that the engine runs.
    fn engine(
        &mut self,
        step: &model::Step<'_>,
        uses: &Text<'_>,
        with: &[model::Variable<'_>],
        mut frame: Frame,
        scene: &mut Scene,
        ledger: &mut Ledger,
    ) {
        let name = uses.source().trim().to_owned();
        let lowerer = Lowerer::new(scene, self.needed);
        let mut values = IndexMap::new();
        for variable in with {
            values.insert(variable.name.clone(), rewrite(&variable.value.template, &lowerer));
            ledger.by(&variable.value.field, "an input of the step", lowerer.findings());
        }
        let action = StepAction::Uses { uses: name.clone(), with: values };
        let mut findings = Findings::default();
        frame.piece.step = Some(self.engine_step(step, action, &frame, None, scene, &mut findings));
        let bound = native::bound_to_github(name.split('@').next().unwrap_or_default());
        match bound {
            Some(reason) => ledger.manual(&uses.field, reason, None),
            None => ledger.approximate(
                &uses.field,
                "a step that runspan's engine runs",
                "the action is fetched from GitHub; CodeBuild's own steps are of uncertain support",
            ),
        }
        if let Some(id) = frame.id {
            scene.steps.insert(id, Outputs::Engine);
        }
        self.draft.pieces.push(frame.piece);
    }
}

/// Whether a condition is `success()` and nothing else.
fn only_success(template: &crate::expressions::Template) -> bool {
    use crate::expressions::{Function, Kind};
    let is = |expr: &crate::expressions::Expr| matches!(&expr.kind, Kind::Call(Function::Success, values) if values.is_empty());
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
