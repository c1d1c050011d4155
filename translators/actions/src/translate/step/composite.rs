//! Local actions made of steps.

use runspan_buildspec::{Fidelity, Severity, yaml};
use runspan_expressions::Value;

use super::{
    super::{
        TOO_MUCH,
        ledger::Ledger,
        lower::{Lowerer, Outputs, Scene},
        shell::{Lowered, Test},
    },
    DEEPEST, Defaults, Frame, Maker,
};
use crate::model::{self, Runs, Text};

impl Maker<'_, '_> {
    /// The steps of a local action in its place.
    pub(super) fn composite(
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
        if !self.work.charge(text) {
            return self.unclear(uses, with, frame, TOO_MUCH, ledger);
        }
        let Ok(tree) = yaml::read(text) else {
            return self.unclear(uses, with, frame, "its action.yml is not YAML", ledger);
        };
        let (action, diagnostics) = model::action(text, &tree);
        let fault = diagnostics.iter().find(|fault| fault.severity() == Severity::Error);
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
        let container = self.defaults.container;
        let defaults = std::mem::replace(&mut self.defaults, Defaults { container, ..Defaults::default() });
        let around = std::mem::replace(&mut self.around, frame.env.clone());
        let before = self.draft.pieces.len();
        let ((), notes) = ledger.aside(|ledger| self.steps(steps, &mut inner, ledger));
        self.stack.pop();
        self.defaults = defaults;
        self.around = around;
        for piece in &mut self.draft.pieces[before..] {
            if let Some(test) = &frame.piece.test {
                let tests = [Some(test.clone()), piece.test.take()];
                piece.test = Some(Test::joined(&tests.into_iter().flatten().collect::<Vec<_>>(), "&&"));
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
            scene.steps.insert(id.to_ascii_lowercase(), Outputs::Native(outputs.collect()));
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
}
