//! Statements as commands.

use super::flow::guarded_lines;
use std::ops::Range;

use runspan_buildspec::shell::quoted;

use super::{
    Translator,
    block::{Block, Command},
    scope::Meaning,
    word::is_name,
};
use crate::groovy::{Arg, Call, Closure, Expr, ExprKind, Name, Param, Stmt, StmtKind};

/// Statements that bodies of helpers may bring in, so that helpers that call each other twice end.
pub(super) const MOST_INLINED: usize = 2_000;

pub(super) const GROOVY: &str = "this is Groovy that the shell cannot do";

impl<'a> Translator<'a> {
    /// The commands of statements.
    pub(super) fn statements(&mut self, body: &'a [Stmt], path: &str) -> Block {
        let mut block = Block::default();
        for stmt in body {
            block.append(self.statement(stmt, path));
        }
        block
    }

    pub(super) fn statement(&mut self, stmt: &'a Stmt, path: &str) -> Block {
        let span = &stmt.span;
        let translated = match &stmt.kind {
            StmtKind::Expr(expr) => self.expression_statement(expr, span, path),
            StmtKind::Declare { annotations, names, unpacked: None, .. } => {
                if let Some(annotation) = annotations.iter().find(|it| it.name == "Library") {
                    self.library(&annotation.args, span);
                    return Block::default();
                }
                self.declaration(names, span, path)
            }
            StmtKind::If { condition, then, otherwise } => {
                self.conditional(condition, then, otherwise.as_deref(), span, path)
            }
            StmtKind::While { condition, body } => self.repeat_while(condition, body, span, path),
            StmtKind::ForIn { name, over, body } => self.each_of(name, over, body, span, path),
            StmtKind::For { init, condition: Some(condition), update, body } => {
                let mut block = self.statements(init, path);
                let Some(test) = self.condition(condition) else { return self.unknown(stmt, path) };
                let mut inner = self.statements(body, path);
                inner.append(self.statements(update, path));
                self.notes.exact(span, &format!("{path}.for"), "a loop of the shell");
                block.append(Block {
                    sets: true,
                    ..Block::of(format!("while {test}; do\n{}done", guarded_lines(&inner)))
                });
                Some(block)
            }
            StmtKind::Try { body, catches, finally } => {
                Some(self.attempt(body, catches, finally.as_deref(), span, path))
            }
            StmtKind::Return(None) | StmtKind::Break | StmtKind::Continue => self.jump(stmt, path),
            StmtKind::Return(Some(expr)) => match &expr.kind {
                // A value that nobody asks for.
                ExprKind::Call(_) => self.expression_statement(expr, span, path),
                _ => {
                    self.notes.exact(span, &format!("{path}.return"), "nothing: nobody uses the value");
                    Some(Block::default())
                }
            },
            StmtKind::Throw(_) => {
                self.notes.exact(span, &format!("{path}.throw"), "`exit 1`");
                Some(Block { ends: true, ..Block::of("exit 1") })
            }
            StmtKind::Assert(condition, message) => self.assertion(condition, message.as_ref(), span, path),
            StmtKind::Block(body) => {
                self.notes.exact(span, &format!("{path}.block"), "its commands");
                Some(self.statements(body, path))
            }
            StmtKind::Label(_, stmt) => return self.statement(stmt, path),
            StmtKind::Method { name, .. } => {
                self.notes.exact(span, name, "its commands where it is called");
                Some(Block::default())
            }
            StmtKind::Import { annotations, .. } => {
                match annotations.iter().find(|it| it.name == "Library") {
                    Some(annotation) => self.library(&annotation.args, span),
                    None => self.notes.exact(span, "import", "nothing: the shell has no classes"),
                }
                Some(Block::default())
            }
            StmtKind::Switch { value, cases } => self.choice(value, cases, span, path),
            _ => None,
        };
        match translated {
            Some(block) => block,
            None => self.unknown(stmt, path),
        }
    }

    /// What the shell cannot do: its text as a comment, and a command that fails.
    pub(super) fn unknown(&mut self, stmt: &'a Stmt, path: &str) -> Block {
        let what = match &stmt.kind {
            StmtKind::Class { .. } => "class",
            StmtKind::Expr(Expr { kind: ExprKind::Call(call), .. }) => {
                let name = name_of(call);
                let reason = match call.step() {
                    Some(step) if super::steps::is_known(step) => {
                        "a value in it is Groovy that the shell cannot hold"
                    }
                    Some(_) => "this step is of a plugin or a shared library, and not known here",
                    None => GROOVY,
                };
                return self.by_hand(&stmt.span, &format!("{path}.{name}"), reason, None, true);
            }
            _ => "groovy",
        };
        let fails = what != "class";
        self.by_hand(&stmt.span, &format!("{path}.{what}"), GROOVY, None, fails)
    }

    /// What is left to people.
    pub(super) fn by_hand(
        &mut self,
        span: &Range<usize>,
        construct: &str,
        reason: &str,
        suggestion: Option<String>,
        fails: bool,
    ) -> Block {
        let text = self.notes.quote(span, 12);
        let line = self.notes.line(span.start);
        let suggestion = suggestion
            .unwrap_or_else(|| format!("# do in the shell what this does\n# {}", text.replace('\n', "\n# ")));
        self.notes.manual(span, construct, reason, Some(suggestion));
        // Steps that are not there must not look as if they had succeeded.
        let command = if fails {
            format!(
                "echo {} >&2; exit 1",
                quoted(&format!("Line {line} of the Jenkinsfile is to be done by hand"))
            )
        } else {
            String::new()
        };
        Block {
            commands: vec![Command { text: command, comment: format!("TODO by hand ({reason}):\n{text}") }],
            ends: fails,
            ..Block::default()
        }
    }

    /// A call: a method of the file, a step, or a method of a value.
    pub(super) fn call(&mut self, call: &'a Call, span: &Range<usize>, path: &str) -> Option<Block> {
        let Name::Fixed(name) = &call.name else { return None };
        if let Some(object) = &call.object {
            return self.method(object, name, call, span, path);
        }
        if let Some(Meaning::Method(params, body)) = self.scope.get(name).cloned() {
            return self.inlined(name, params, body, call, span, path);
        }
        self.step(name, call, span, path)
    }

    /// The body of a method of the file, where it is called.
    pub(super) fn inlined(
        &mut self,
        name: &str,
        params: &'a [Param],
        body: &'a [Stmt],
        call: &'a Call,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        let construct = format!("{path}.{name}");
        if self.calls.contains(&name.to_owned()) || self.calls.len() > 8 || self.inlined > MOST_INLINED {
            return None;
        }
        self.inlined += body.len();
        let mut block = Block::default();
        let mut values = call.args.iter();
        for param in params {
            let value = match values.next() {
                Some(Arg::Value(value)) => value,
                Some(Arg::Named(_)) => return None,
                None => param.default.as_ref()?,
            };
            if let Some(items) = self.list(value) {
                self.scope.set(&param.name, Meaning::List(items));
                continue;
            }
            let word = self.value(value)?;
            if !is_name(&param.name) || super::RESERVED.contains(&param.name.as_str()) {
                return None;
            }
            match word.constant() {
                Some(text) => self.scope.set(&param.name, Meaning::Constant(text)),
                None => {
                    if word.as_variable() != Some(&param.name) {
                        block.append(Block::setting(format!("{}={}", param.name, word.argument())));
                    }
                    self.scope.set(&param.name, Meaning::Variable);
                }
            }
        }
        self.notes.exact(span, &construct, "the commands of the method");
        self.calls.push(name.to_owned());
        block.append(self.statements(body, &construct));
        self.calls.pop();
        Some(block)
    }

    pub(super) fn method(
        &mut self,
        object: &'a Expr,
        name: &str,
        call: &'a Call,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        if let Some(block) = self.docker(object, name, call, span, path) {
            return Some(block);
        }
        let construct = format!("{path}.{name}");
        match name {
            "each" | "eachWithIndex" if name == "each" => {
                let Closure { params, body } = call.block()?;
                let item = match params.as_deref() {
                    None | Some([]) => "it",
                    Some([param]) => param.name.as_str(),
                    Some(_) => return None,
                };
                self.each_of(item, object, body, span, path)
            }
            "times" => {
                let count = self.value(object)?;
                let body = &call.block()?.body;
                self.loops += 1;
                self.scope.set("it", Meaning::Variable);
                let block = self.statements(body, path);
                self.loops -= 1;
                self.notes.exact(span, &construct, "a loop of the shell");
                let text = format!(
                    "it=0\nwhile [ \"$it\" -lt {} ]; do\n{}it=$((it + 1))\ndone",
                    count.argument(),
                    guarded_lines(&block)
                );
                Some(Block::setting(text))
            }
            "echo" | "println" | "print" => {
                let word = self.value(super::scope::first(call)?)?;
                self.notes.exact(span, &construct, "`echo`");
                Some(Block::of(format!("echo {}", word.argument())))
            }
            // `steps.sh` and `this.sh` are `sh`.
            _ if matches!(&object.kind, ExprKind::Var(owner) if matches!(owner.as_str(), "steps" | "script" | "this")) => {
                self.step(name, call, span, path)
            }
            _ => None,
        }
    }

    /// A name that nothing else of the file has.
    pub(super) fn fresh(&mut self, name: &str) -> String {
        let made = self.made.entry(name.to_owned()).or_insert(0);
        *made += 1;
        if *made == 1 { name.into() } else { format!("{name}_{made}") }
    }
}

pub(super) fn name_of(call: &Call) -> String {
    match &call.name {
        Name::Fixed(name) => name.clone(),
        Name::Dynamic(_) => "call".into(),
    }
}
