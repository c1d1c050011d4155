//! What of a step can be evaluated before the first of them.

use runspan_buildspec::{Step, StepAction, Work};

use super::context::Known;
use super::job::Job;
use crate::expressions::{Function, Kind, Scope, Template};

/// Contexts that are the same from the job's start to its end. Secrets are not among them: they are not to stand in a
/// buildspec.
const FIXED: &[&str] = &["github", "inputs", "matrix", "needs", "strategy", "vars", "env"];

impl Job {
    /// Puts values in the place of those expressions that have one already; the rest stay.
    pub fn settle(&mut self) {
        let Some(phase) = &mut self.buildspec.phases.build else { return };
        let Work::Steps(steps) = &mut phase.work else { return };
        for step in steps {
            settle_step(step, &self.contexts);
        }
    }
}

fn settle_step(step: &mut Step, known: &Known) {
    let settle = |text: &mut String| {
        if let Some(value) = settled(text, known) {
            *text = value;
        }
    };
    let Step { name, action, env, continue_on_error, timeout_minutes, .. } = step;
    name.iter_mut().chain(continue_on_error).chain(timeout_minutes).for_each(settle);
    env.values_mut().for_each(settle);
    match action {
        StepAction::Run { run, shell, working_directory } => {
            std::iter::once(run).chain(shell).chain(working_directory).for_each(settle);
        }
        StepAction::Uses { with, .. } => with.values_mut().for_each(settle),
    }
}

fn settled(text: &str, known: &Known) -> Option<String> {
    let template = Template::parse(text, Scope::STEP).ok()?;
    if template.literal().is_some() || !template.contexts().iter().all(|name| FIXED.contains(&name.as_str()))
    {
        return None;
    }
    let mut asks = false;
    for expr in template.expressions() {
        expr.visit(&mut |expr| {
            asks |= matches!(&expr.kind, Kind::Call(function, _) if function.is_status() || *function == Function::HashFiles);
        });
    }
    let says_token = text.to_ascii_lowercase().contains("token");
    if asks || says_token {
        return None;
    }
    template.evaluate(known).ok().map(|value| value.to_text().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expressions::Value;

    #[test]
    fn what_is_fixed_is_settled_and_nothing_else() {
        let matrix = Value::object([("os", Value::from("debian"))]);
        let known = Known::from_iter([("matrix".to_owned(), matrix)]);
        assert_eq!(settled("echo ${{ matrix.os }}!", &known).as_deref(), Some("echo debian!"));
        for text in [
            "plain",
            "${{ steps.a.outputs.b }}",
            "${{ secrets.X }}",
            "${{ hashFiles('x') }}",
            "${{ github.token }}",
        ] {
            assert_eq!(settled(text, &known), None, "{text}");
        }
    }
}
