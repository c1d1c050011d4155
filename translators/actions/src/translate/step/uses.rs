//! Steps that use actions.

use indexmap::IndexMap;
use runspan_buildspec::{
    StepAction,
    shell::{Interpreter, Script, quoted},
    yaml,
};

use super::{
    super::{
        Work,
        ledger::Ledger,
        lower::{Findings, Lowerer, Outputs, Scene},
        rewrite::rewrite,
        shell::{Lowered, ShellText},
    },
    DEEPEST, Frame, Maker,
};
use crate::{
    model::{self, Runs, Text, Work as Act},
    native::{self, Inputs, Native},
};

/// What is known of an action before its inputs are.
enum Known {
    Native(native::Handler),
    Image(String),
    Local(String),
    Engine,
}

fn known(uses: &str, work: &Work<'_>) -> Known {
    if let Some(image) = uses.strip_prefix("docker://") {
        return Known::Image(image.to_owned());
    }
    if let Some(path) = uses.strip_prefix("./") {
        return match local(path, work) {
            Some(text) => Known::Local(text),
            None => Known::Engine,
        };
    }
    let name = uses.split('@').next().unwrap_or_default();
    native::handler(name).map_or(Known::Engine, Known::Native)
}

/// The text of a local action.
fn local(path: &str, work: &Work<'_>) -> Option<String> {
    let path = path.split('@').next().unwrap_or_default().trim_end_matches('/');
    let file = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    (work.context.read)(&file("action.yml")).or_else(|| (work.context.read)(&file("action.yaml")))
}

/// Whether a step's action can only be run by the engine.
pub(crate) fn needs_engine(steps: &[model::Step<'_>], work: &Work<'_>, depth: usize) -> bool {
    steps.iter().any(|step| {
        let Act::Uses { uses, .. } = &step.work else { return false };
        match known(uses.source().trim(), work) {
            Known::Native(_) | Known::Image(_) => false,
            Known::Engine => true,
            Known::Local(text) => {
                let name = uses.source().trim().to_owned();
                let before = work.engine.borrow().get(&name).copied();
                if let Some(known) = before {
                    return known;
                }
                // While it is looked at, an action that uses itself adds nothing.
                work.engine.borrow_mut().insert(name.clone(), false);
                let needs = needs_engine_itself(&text, work, depth);
                work.engine.borrow_mut().insert(name, needs);
                needs
            }
        }
    })
}

fn needs_engine_itself(text: &str, work: &Work<'_>, depth: usize) -> bool {
    let Ok(tree) = yaml::read(text) else { return true };
    let (action, _) = model::action(text, &tree);
    match action.runs {
        Runs::Composite(inner) => depth >= DEEPEST || needs_engine(&inner, work, depth + 1),
        _ => true,
    }
}

impl Maker<'_, '_> {
    pub(super) fn uses(
        &mut self,
        step: &model::Step<'_>,
        uses: &Text<'_>,
        with: &[model::Variable<'_>],
        frame: Frame,
        scene: &mut Scene,
        ledger: &mut Ledger,
    ) {
        let name = uses.source().trim().to_owned();
        match known(&name, self.work) {
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
        for (name, (identifier, root)) in scene.uploads.iter() {
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
        let output = Lowered::Text(ShellText::new(path));
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
            scene.steps.insert(id.to_ascii_lowercase(), Outputs::Native(native.outputs));
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
    pub(super) fn unclear(
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
        match native::bound_to_github(name.split('@').next().unwrap_or_default()) {
            Some(reason) => ledger.manual(&uses.field, reason, None),
            None => ledger.approximate(
                &uses.field,
                "a step that runspan runs itself",
                "CodeBuild runs no actions: for it, write commands",
            ),
        }
        if let Some(id) = frame.id {
            scene.steps.insert(id.to_ascii_lowercase(), Outputs::Engine);
        }
        self.draft.pieces.push(frame.piece);
    }
}
