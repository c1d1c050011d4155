//! `pipeline`, `stages` and what a stage is made of.

use std::collections::HashSet;
use std::ops::Range;

use super::super::{Branch, Directives, Pipeline, Stage, Stages, Step, StepKind};
use super::{Reader, call_of};
use crate::groovy::{Arg, Call, Closure, Expr, ExprKind, Stmt};

impl<'a> Reader<'_> {
    pub(super) fn pipeline(&mut self, stmt: &'a Stmt, closure: &'a Closure) -> Pipeline<'a> {
        let mut out = Pipeline { span: stmt.span.clone(), ..Pipeline::default() };
        let mut seen = HashSet::new();
        for stmt in &closure.body {
            let Some(call) = self.section(stmt) else { continue };
            let span = &stmt.span;
            let name = self.name_of(call, span);
            self.first(&mut seen, name, span);
            match name {
                "stages" => out.stages = Some(self.stages(stmt, "stages")),
                "environment" => out.environment = Some(self.environment(stmt)),
                "post" => out.post = Some(self.post(stmt)),
                "agent" => out.agent = Some(self.agent(stmt)),
                "tools" => out.tools = Some(self.tools(stmt)),
                "options" => out.options = Some(self.items(stmt, "options", "option")),
                "parameters" => out.parameters = Some(self.items(stmt, "parameters", "parameter")),
                "triggers" => out.triggers = Some(self.items(stmt, "triggers", "trigger")),
                "libraries" => out.libraries = Some(self.libraries(stmt)),
                "error" if call.step().is_none() => {}
                "properties" | "wrappers" | "jobProperties" => {
                    self.fault(span, format!("the section `{name}` is now called `options`"));
                }
                "notifications" | "postBuild" => {
                    self.fault(span, format!("the section `{name}` is now called `post`"));
                }
                _ => self.fault(span, format!("`{name}` is not a section of `pipeline`")),
            }
        }
        out
    }

    pub(super) fn stages(&mut self, stmt: &'a Stmt, what: &str) -> Stages<'a> {
        let body = self.block(stmt, what);
        Stages { span: stmt.span.clone(), stages: body.iter().filter_map(|stmt| self.stage(stmt)).collect() }
    }

    fn stage(&mut self, stmt: &'a Stmt) -> Option<Stage<'a>> {
        let Some(call) = call_of(stmt).filter(|call| call.step() == Some("stage") && call.block().is_some())
        else {
            self.fault(&stmt.span, "expected a stage: `stage('name') { … }`");
            return None;
        };
        let mut out = Stage { span: stmt.span.clone(), ..Stage::default() };
        match (call.args.first(), call.args.get(1)) {
            (Some(Arg::Value(name)), Some(Arg::Value(Expr { kind: ExprKind::Closure(closure), .. }))) => {
                out.name = self.literal(name);
                self.stage_body(closure, &mut out);
            }
            (Some(Arg::Value(Expr { kind: ExprKind::Closure(_), .. })) | None, _) => {
                self.fault(&stmt.span, "a stage needs a name: `stage('name') { … }`");
            }
            _ => self.fault(&stmt.span, "a stage takes a name and a block: `stage('name') { … }`"),
        }
        Some(out)
    }

    fn stage_body(&mut self, closure: &'a Closure, out: &mut Stage<'a>) {
        let mut seen = HashSet::new();
        for stmt in &closure.body {
            let Some(call) = self.section(stmt) else { continue };
            let span = &stmt.span;
            let name = self.name_of(call, span);
            self.first(&mut seen, name, span);
            if self.directive(name, stmt, &mut out.directives) {
                continue;
            }
            match name {
                "steps" => {
                    out.steps_span = Some(span.clone());
                    self.steps(stmt, out);
                }
                "parallel" => out.parallel = Some(self.stages(stmt, "parallel")),
                "stages" => out.stages = Some(self.stages(stmt, "stages")),
                "matrix" => out.matrix = Some(self.matrix(stmt)),
                "failFast" => {
                    out.fail_fast = self.flag(call, span);
                    out.fail_fast_span = Some(span.clone());
                }
                "error" if call.step().is_none() => {}
                _ => self.fault(
                    span,
                    format!("`{name}` is not a section of a stage; steps stand in a `steps` block"),
                ),
            }
        }
    }

    /// What a stage and a matrix have in common.
    pub(super) fn directive(&mut self, name: &str, stmt: &'a Stmt, out: &mut Directives<'a>) -> bool {
        match name {
            "agent" => out.agent = Some(self.agent(stmt)),
            "when" => out.when = Some(self.when(stmt)),
            "post" => out.post = Some(self.post(stmt)),
            "options" => out.options = Some(self.items(stmt, "options", "option")),
            "input" => out.input = Some(self.input(stmt)),
            "tools" => out.tools = Some(self.tools(stmt)),
            "environment" => out.environment = Some(self.environment(stmt)),
            _ => return false,
        }
        true
    }

    fn steps(&mut self, stmt: &'a Stmt, out: &mut Stage<'a>) {
        let body = self.block(stmt, "steps");
        if let [only] = body
            && let Some(call) = call_of(only)
            && call.step() == Some("parallel")
        {
            out.parallel_step_span = Some(only.span.clone());
            return self.parallel_step(call, out);
        }
        out.branches.push(self.branch("default", body, &stmt.span));
    }

    /// The step `parallel a: { … }, b: { … }`, alone in `steps`.
    fn parallel_step(&mut self, call: &'a Call, out: &mut Stage<'a>) {
        for arg in &call.args {
            let Arg::Named(entry) = arg else { continue };
            let Some(key) = &entry.key else { continue };
            match (&entry.value.kind, key.as_text()) {
                (ExprKind::Bool(value), Some("failFast")) => out.fail_fast = Some(*value),
                (_, Some("failFast")) => self.fault(&key.span, "`failFast` is `true` or `false`"),
                (ExprKind::Closure(closure), _) => {
                    let name = self.literal(key);
                    out.branches.push(self.branch(&name, &closure.body, &entry.value.span));
                }
                _ => self.fault(&key.span, "expected a block or `failFast`"),
            }
        }
    }

    pub(super) fn branch(&mut self, name: &str, body: &'a [Stmt], span: &Range<usize>) -> Branch<'a> {
        let steps = body.iter().map(|stmt| self.step(stmt)).collect();
        Branch { span: span.clone(), name: name.to_owned(), body, steps }
    }

    pub(super) fn step(&mut self, stmt: &'a Stmt) -> Step<'a> {
        let Some(call) = call_of(stmt) else {
            self.fault(&stmt.span, "expected a step; other Groovy stands in a `script` block");
            return Step { span: stmt.span.clone(), name: "error".into(), kind: StepKind::Code(&[]) };
        };
        let name = self.name_of(call, &stmt.span);
        let kind = match (name, call.block()) {
            ("script" | "expression", Some(closure)) => StepKind::Code(&closure.body),
            ("script" | "expression", None) => {
                self.fault(&stmt.span, format!("`{name}` needs a block: `{name} {{ … }}`"));
                StepKind::Code(&[])
            }
            (_, Some(closure)) if call.step().is_some() => {
                self.arguments(&call.args[..call.args.len() - 1]);
                StepKind::Tree(call, closure.body.iter().map(|stmt| self.step(stmt)).collect())
            }
            _ => {
                self.arguments(&call.args);
                StepKind::Plain(call)
            }
        };
        Step { span: stmt.span.clone(), name: name.to_owned(), kind }
    }
}
