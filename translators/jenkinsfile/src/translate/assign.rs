//! Assignments.

use std::ops::Range;

use super::{
    Translator,
    block::Block,
    scope::{Meaning, argument, named},
    value::{RESULT, is_true, whole},
    word::{Word, is_name},
};
use crate::groovy::{Expr, ExprKind, Name};

impl<'a> Translator<'a> {
    pub(super) fn expression_statement(
        &mut self,
        expr: &'a Expr,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        match &expr.kind {
            ExprKind::Call(call) => self.call(call, span, path),
            ExprKind::Assign { op: "=", target, value } => self.assignment(target, value, span, path),
            ExprKind::Assign { op: "+=", target, value } => {
                let name = self.target(target)?;
                let number = matches!(value.kind, ExprKind::Int(_))
                    && !matches!(self.scope.get(&name), Some(Meaning::Constant(_)));
                let text = if number {
                    format!("{name}=$(({name} + {}))", whole(value)?)
                } else {
                    let word = Word::variable(&name).then(self.value(value)?);
                    format!("{name}={}", word.argument())
                };
                self.notes.exact(span, &format!("{path}.{name}"), "an assignment of the shell");
                Some(Block::setting(text))
            }
            ExprKind::Postfix { op, operand } | ExprKind::Unary { op: op @ ("++" | "--"), operand } => {
                let name = self.target(operand)?;
                let sign = if *op == "++" { '+' } else { '-' };
                self.notes.exact(span, &format!("{path}.{name}"), "arithmetic of the shell");
                Some(Block::setting(format!("{name}=$(({name} {sign} 1))")))
            }
            ExprKind::Text(_)
            | ExprKind::GString(_)
            | ExprKind::Bool(_)
            | ExprKind::Var(_)
            | ExprKind::Null
            | ExprKind::Int(_) => {
                self.notes.exact(span, &format!("{path}.value"), "nothing: nobody uses the value");
                Some(Block::default())
            }
            ExprKind::Paren(inner) => self.expression_statement(inner, span, path),
            _ => None,
        }
    }

    /// The variable that is assigned.
    pub(super) fn target(&self, target: &Expr) -> Option<String> {
        let name = match &target.kind {
            ExprKind::Var(name) => name,
            ExprKind::Property { object, name: Name::Fixed(name), .. } => match &object.kind {
                ExprKind::Var(owner) if owner == "env" => name,
                _ => return None,
            },
            ExprKind::Index { object, args } => match (&object.kind, args.as_slice()) {
                (ExprKind::Var(owner), [Expr { kind: ExprKind::Text(name), .. }]) if owner == "env" => name,
                _ => return None,
            },
            _ => return None,
        };
        is_name(name).then(|| name.clone())
    }

    pub(super) fn declaration(
        &mut self,
        names: &'a [(String, Option<Expr>)],
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        let mut block = Block::default();
        for (name, value) in names {
            match value {
                Some(value) => block.append(self.set(name, value, span, path, true)?),
                None => {
                    if is_name(name) {
                        self.scope.set(name, Meaning::Variable);
                    }
                    self.notes.exact(
                        span,
                        &format!("{path}.{name}"),
                        "nothing: the shell declares no variables",
                    );
                }
            }
        }
        Some(block)
    }

    pub(super) fn assignment(
        &mut self,
        target: &'a Expr,
        value: &'a Expr,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        if let ExprKind::Property { object, name: Name::Fixed(name), .. } = &target.kind
            && let ExprKind::Var(owner) = &object.kind
            && owner == "currentBuild"
        {
            return self.set_build(name, value, span, path);
        }
        let name = self.target(target)?;
        let of_env = !matches!(target.kind, ExprKind::Var(_));
        self.set(&name, value, span, path, !of_env)
    }

    /// `currentBuild.name = value`.
    pub(super) fn set_build(
        &mut self,
        name: &str,
        value: &'a Expr,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        let construct = format!("{path}.currentBuild.{name}");
        match name {
            "result" => {
                let result = self.value(value)?;
                self.results = true;
                self.fails_late |= !matches!(result.constant().as_deref(), Some("SUCCESS" | "UNSTABLE"));
                self.notes.approximate(
                    span,
                    &construct,
                    format!("the variable {RESULT}"),
                    "a build of CodeBuild is SUCCEEDED or FAILED; the variable is looked at by `post` and at the end",
                );
                let constant = result.constant();
                let result =
                    if constant.as_deref() == Some("SUCCESS") { String::new() } else { result.argument() };
                Some(Block::setting(format!("{RESULT}={result}")))
            }
            "displayName" | "description" => {
                let text = self.value(value).map(|word| format!("echo {}", word.argument()));
                self.notes.approximate(
                    span,
                    &construct,
                    "a line of the log",
                    "builds of CodeBuild have neither a name nor a description of their own",
                );
                Some(text.map_or_else(Block::default, Block::of))
            }
            _ => None,
        }
    }

    pub(super) fn set(
        &mut self,
        name: &str,
        value: &'a Expr,
        span: &Range<usize>,
        path: &str,
        local: bool,
    ) -> Option<Block> {
        let construct = format!("{path}.{name}");
        if let Some(items) = self.list(value).filter(|_| {
            local
                && matches!(
                    value.bare().kind,
                    ExprKind::List(_) | ExprKind::Call(_) | ExprKind::Binary { .. }
                )
        }) {
            self.scope.set(name, Meaning::List(items));
            self.notes.exact(span, &construct, "its items where it is used");
            return Some(Block::default());
        }
        if let Some(image) = self.built_image(value, span, &construct) {
            let (image, block) = image;
            self.scope.set(name, Meaning::Image(image));
            return Some(block);
        }
        if !is_name(name) || (local && super::RESERVED.contains(&name)) {
            return None;
        }
        // A status: the script may fail without an end of the build.
        if let ExprKind::Call(call) = &value.bare().kind
            && call.step() == Some("sh")
            && named(call, "returnStatus").is_some_and(is_true)
        {
            let script = self.value(argument(call, "script")?)?;
            let command = self.own_shell(&script);
            self.scope.set(name, Meaning::Variable);
            self.notes.exact(span, &construct, "the status of the script in a variable");
            return Some(Block::setting(format!("{name}=0\n{command} || {name}=$?")));
        }
        let Some(word) = self.value(value) else {
            // A condition kept in a variable.
            if let Some(test) = Some(value).filter(|it| is_condition(it)).and_then(|it| self.condition(it)) {
                self.scope.set(name, Meaning::Flag);
                self.notes.exact(span, &construct, "`true` or `false` in a variable");
                return Some(Block::setting(format!("if {test}; then {name}=true; else {name}=false; fi")));
            }
            self.scope.set(name, Meaning::Opaque);
            return None;
        };
        let known = self.scope.get(name).is_some();
        let constant =
            word.constant().filter(|_| local && !known && self.scope.is_fixed(name) && self.loops == 0);
        if let Some(text) = constant {
            // Scripts in single quotes cannot see it, so its value stands where Groovy uses it.
            self.scope.set(name, Meaning::Constant(text));
            self.notes.exact(span, &construct, "its value where it is used");
            return Some(Block::default());
        }
        let flag = matches!(value.bare().kind, ExprKind::Bool(_));
        self.scope.set(name, if flag { Meaning::Flag } else { Meaning::Variable });
        let from_output = word
            .0
            .iter()
            .any(|part| matches!(part, super::word::Part::Expand(text) if text.starts_with("$(")));
        let became =
            if from_output { "the output of a command in a variable" } else { "a variable of the shell" };
        self.notes.exact(span, &construct, became);
        Some(Block::setting(format!("{name}={}", word.argument())))
    }
}

pub(super) fn is_condition(expr: &Expr) -> bool {
    match &expr.bare().kind {
        ExprKind::Binary { op, .. } => !matches!(*op, "+" | "-" | "*" | "/" | "%"),
        ExprKind::Unary { op: "!", .. } => true,
        ExprKind::Call(call) => matches!(
            &call.name,
            Name::Fixed(name) if matches!(name.as_str(), "contains" | "startsWith" | "endsWith" | "matches" | "equals" | "isEmpty" | "equalsIgnoreCase")
        ),
        _ => false,
    }
}
