//! From the tree to the model. What has not the form of Declarative Pipeline is a fault.

mod directives;
mod matrix;
mod stages;

use std::collections::HashSet;
use std::ops::Range;

use super::{Key, Pipeline};
use crate::groovy::{Arg, Call, Closure, Entry, Expr, ExprKind, Fault, Stmt, StmtKind};

/// A script read as Declarative Pipeline.
#[derive(Clone, Debug, Default)]
pub struct Read<'a> {
    /// Nothing when the script has no `pipeline` block.
    pub pipeline: Option<Pipeline<'a>>,
    /// What has not the form that it must have.
    pub faults: Vec<Fault>,
}

/// Looks for `pipeline { … }`: at the top, in a method `call`, or in a `try` at the top.
pub fn read<'a>(script: &'a [Stmt], source: &str) -> Read<'a> {
    let mut reader = Reader { source, faults: Vec::new() };
    let pipeline = find(script).map(|(stmt, closure)| reader.pipeline(stmt, closure));
    if pipeline.is_none() {
        script.iter().for_each(|stmt| reader.no_pipeline_inside(stmt, true));
    }
    Read { pipeline, faults: reader.faults }
}

fn find(script: &[Stmt]) -> Option<(&Stmt, &Closure)> {
    let top = |body: &'_ [Stmt]| body.iter().position(|stmt| pipeline_block(stmt).is_some());
    if let Some(at) = top(script) {
        return pipeline_block(&script[at]).map(|closure| (&script[at], closure));
    }
    let in_call = script.iter().find_map(|stmt| match &stmt.kind {
        StmtKind::Method { name, body, .. } if name == "call" => inside(body),
        _ => None,
    });
    in_call.or_else(|| match &script.first()?.kind {
        StmtKind::Try { body, .. } => top(body).and_then(|at| Some((&body[at], pipeline_block(&body[at])?))),
        _ => None,
    })
}

/// The first `pipeline` block among statements and their bodies.
fn inside(body: &[Stmt]) -> Option<(&Stmt, &Closure)> {
    body.iter().find_map(|stmt| {
        if let Some(closure) = pipeline_block(stmt)
            && !closure.body.iter().any(|stmt| pipeline_block(stmt).is_some())
        {
            return Some((stmt, closure));
        }
        match &stmt.kind {
            StmtKind::If { then, otherwise, .. } => {
                inside(then).or_else(|| otherwise.as_deref().and_then(inside))
            }
            StmtKind::Try { body, catches, finally } => inside(body)
                .or_else(|| catches.iter().find_map(|catch| inside(&catch.body)))
                .or_else(|| finally.as_deref().and_then(inside)),
            StmtKind::Block(body) | StmtKind::While { body, .. } | StmtKind::ForIn { body, .. } => {
                inside(body)
            }
            StmtKind::Switch { cases, .. } => cases.iter().find_map(|case| inside(&case.body)),
            StmtKind::Expr(_) => inside(&block_of(stmt)?.body),
            _ => None,
        }
    })
}

fn pipeline_block(stmt: &Stmt) -> Option<&Closure> {
    call_of(stmt).filter(|call| call.step() == Some("pipeline"))?.block()
}

/// The call that a statement is.
fn call_of(stmt: &Stmt) -> Option<&Call> {
    match &stmt.kind {
        StmtKind::Expr(Expr { kind: ExprKind::Call(call), .. }) => Some(call),
        _ => None,
    }
}

/// The block of a call of the script's own method.
fn block_of(stmt: &Stmt) -> Option<&Closure> {
    call_of(stmt).filter(|call| call.step().is_some())?.block()
}

/// The arguments as Groovy has them: all names are one map, which comes first.
enum Given<'a> {
    Names(Vec<&'a Entry>),
    Value(&'a Expr),
}

fn given(call: &Call) -> Vec<Given<'_>> {
    let names: Vec<_> = call
        .args
        .iter()
        .filter_map(|arg| match arg {
            Arg::Named(entry) => Some(entry),
            Arg::Value(_) => None,
        })
        .collect();
    let mut given: Vec<_> = if names.is_empty() { Vec::new() } else { vec![Given::Names(names)] };
    given.extend(call.args.iter().filter_map(|arg| match arg {
        Arg::Value(value) => Some(Given::Value(value)),
        Arg::Named(_) => None,
    }));
    given
}

struct Reader<'s> {
    source: &'s str,
    faults: Vec<Fault>,
}

impl<'a> Reader<'_> {
    fn fault(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.faults.push(Fault { span: span.clone(), message: message.into() });
    }

    fn text(&self, span: &Range<usize>) -> String {
        let text = &self.source[span.clone()];
        let line = text.lines().next().unwrap_or_default();
        if line.len() == text.len() { line.to_owned() } else { format!("{line} …") }
    }

    fn no_pipeline_inside(&mut self, stmt: &Stmt, top: bool) {
        let Some(call) = call_of(stmt) else { return };
        if call.step() == Some("pipeline") && !top && call.block().is_some() {
            self.fault(&stmt.span, "`pipeline` must stand at the top, not within another block");
        }
        if let Some(block) = block_of(stmt) {
            block.body.iter().for_each(|stmt| self.no_pipeline_inside(stmt, false));
        }
    }

    /// The name of a call that must be one of the script's own methods.
    fn name_of(&mut self, call: &'a Call, span: &Range<usize>) -> &'a str {
        if let Some(name) = call.step() {
            return name;
        }
        let of_variable = matches!(call.object.as_ref().map(|object| &object.kind), Some(ExprKind::Var(_)));
        self.fault(
            span,
            if of_variable {
                "methods of objects can only be called in `script` blocks"
            } else {
                "expected a name here; line breaks separate the entries of a block"
            },
        );
        "error"
    }

    /// The call that a section is.
    fn section(&mut self, stmt: &'a Stmt) -> Option<&'a Call> {
        let call = call_of(stmt);
        if call.is_none() {
            let text = self.text(&stmt.span);
            self.fault(&stmt.span, format!("`{text}` is not a section; it lacks a block or a value"));
        }
        call
    }

    /// Whether a section stands here for the first time.
    fn first(&mut self, seen: &mut HashSet<&'a str>, name: &'a str, span: &Range<usize>) {
        if !seen.insert(name) {
            self.fault(span, format!("the section `{name}` stands more than once"));
        }
    }

    fn block(&mut self, stmt: &'a Stmt, what: &str) -> &'a [Stmt] {
        if let Some(closure) = block_of(stmt) {
            return &closure.body;
        }
        self.fault(&stmt.span, format!("`{what}` needs a block: `{what} {{ … }}`"));
        &[]
    }

    fn arguments(&mut self, args: &'a [Arg]) {
        for arg in args {
            match arg {
                Arg::Value(value) => self.value(value),
                Arg::Named(entry) => {
                    if let Some(key) = &entry.key {
                        self.literal(key);
                    }
                    self.value(&entry.value);
                }
            }
        }
    }

    /// Values that Declarative Pipeline cannot hold.
    fn value(&mut self, value: &Expr) {
        match &value.kind {
            ExprKind::BigInt(_) => self.fault(&value.span, "this number does not fit 64 bits"),
            // `$` before a block is a call of a method of that name.
            ExprKind::Call(call) if call.step() == Some("$") && call.block().is_some() => {
                let text = self.text(&value.span);
                self.fault(&value.span, format!("`{text}` is no value by itself: put it in double quotes"));
            }
            _ => {}
        }
    }

    fn literal(&mut self, expr: &Expr) -> String {
        match &expr.bare().kind {
            ExprKind::Text(text) | ExprKind::Var(text) if !text.is_empty() => text.clone(),
            ExprKind::Text(_) => "error".into(),
            _ => {
                self.fault(&expr.span, "expected a string without values in it");
                "error".into()
            }
        }
    }

    fn key(&mut self, expr: &Expr) -> Key {
        Key { text: self.literal(expr), span: expr.span.clone() }
    }

    fn key_of_call(&mut self, call: &'a Call, span: &Range<usize>) -> Key {
        Key { text: self.name_of(call, span).to_owned(), span: call.name_span.clone() }
    }

    fn flag(&mut self, call: &Call, span: &Range<usize>) -> Option<bool> {
        match call.args.first() {
            Some(Arg::Value(Expr { kind: ExprKind::Bool(value), .. })) => Some(*value),
            _ => {
                let name = call.step().unwrap_or_default();
                self.fault(span, format!("`{name}` is `true` or `false`"));
                None
            }
        }
    }

    /// The one value of a field.
    fn single(&mut self, call: &'a Call, key: &Key) -> Option<&'a Expr> {
        match given(call).as_slice() {
            [Given::Value(value)] => return Some(value),
            [Given::Names(entries)] => {
                let span = entries[0].value.span.clone();
                self.fault(&span, format!("`{}` takes a value, not named arguments", key.text));
            }
            [] => self.fault(&key.span, format!("`{}` needs a value", key.text)),
            _ => self.fault(&key.span, format!("`{}` takes one value", key.text)),
        }
        None
    }
}

fn is_constant(expr: &Expr) -> bool {
    matches!(
        expr.bare().kind,
        ExprKind::Text(_)
            | ExprKind::Int(_)
            | ExprKind::BigInt(_)
            | ExprKind::Decimal(_)
            | ExprKind::Bool(_)
            | ExprKind::Null
    )
}
