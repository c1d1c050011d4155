//! What the names of a pipeline stand for.

use std::collections::{HashMap, HashSet};

use super::word::Word;
use crate::groovy::{Arg, Call, Expr, ExprKind, Name, Param, Stmt, StmtKind};

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Meaning<'a> {
    /// A variable of the environment.
    Variable,
    /// `true` or `false` in a variable of the environment.
    Flag,
    /// A text that never changes.
    Constant(String),
    /// A list of values.
    List(Vec<Word>),
    /// An image of Docker, by name.
    Image(Word),
    /// A method of the file.
    Method(&'a [Param], &'a [Stmt]),
    /// The exception of a `catch`.
    Exception,
    /// Something that the shell cannot hold.
    Opaque,
}

/// Every name that is known, and how often each is assigned.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope<'a> {
    names: HashMap<String, Meaning<'a>>,
    reassigned: HashSet<String>,
}

impl<'a> Scope<'a> {
    /// Methods of the script are known everywhere, before anything runs.
    pub(super) fn of(script: &'a [Stmt]) -> Self {
        let mut scope = Self::default();
        let assigned = std::cell::RefCell::new(HashMap::<&str, usize>::new());
        let count = |name: &'a str, times| *assigned.borrow_mut().entry(name).or_insert(0) += times;
        let declared = &mut |stmt: &'a Stmt| {
            if let StmtKind::Declare { names, .. } = &stmt.kind {
                // A name without a value gets one later.
                names.iter().for_each(|(name, value)| count(name, if value.is_some() { 1 } else { 2 }));
            }
        };
        let set = &mut |expr: &'a Expr| match &expr.kind {
            ExprKind::Assign { op, target: other, .. }
            | ExprKind::Postfix { op, operand: other }
            | ExprKind::Unary { op: op @ ("++" | "--"), operand: other } => {
                if let ExprKind::Var(name) = &other.kind {
                    count(name, if *op == "=" { 1 } else { 2 });
                }
            }
            _ => {}
        };
        visit(script, declared, set);
        scope.reassigned = assigned
            .into_inner()
            .into_iter()
            .filter(|(_, times)| *times > 1)
            .map(|(name, _)| name.to_owned())
            .collect();
        for stmt in script {
            if let StmtKind::Method { name, params, body, .. } = &stmt.kind {
                scope.names.insert(name.clone(), Meaning::Method(params, body));
            }
        }
        scope
    }

    pub(super) fn get(&self, name: &str) -> Option<&Meaning<'a>> {
        self.names.get(name)
    }

    pub(super) fn set(&mut self, name: &str, meaning: Meaning<'a>) {
        self.names.insert(name.to_owned(), meaning);
    }

    /// Whether a name keeps the first value that it gets.
    pub(super) fn is_fixed(&self, name: &str) -> bool {
        !self.reassigned.contains(name)
    }
}

/// The value of a named argument.
pub(super) fn named<'a>(call: &'a Call, name: &str) -> Option<&'a Expr> {
    named_in(&call.args, name)
}

pub(super) fn named_in<'a>(args: &'a [Arg], name: &str) -> Option<&'a Expr> {
    args.iter().find_map(|arg| match arg {
        Arg::Named(entry) if entry.key.as_ref().and_then(Expr::as_text) == Some(name) => Some(&entry.value),
        Arg::Value(Expr { kind: ExprKind::Map(entries), .. }) => entries
            .iter()
            .find(|entry| entry.key.as_ref().and_then(Expr::as_text) == Some(name))
            .map(|entry| &entry.value),
        _ => None,
    })
}

/// The first argument without a name.
pub(super) fn first(call: &Call) -> Option<&Expr> {
    call.args.iter().find_map(|arg| match arg {
        Arg::Value(value) if !matches!(value.kind, ExprKind::Map(_) | ExprKind::Closure(_)) => Some(value),
        _ => None,
    })
}

/// A named argument, or the only one that has no name.
pub(super) fn argument<'a>(call: &'a Call, name: &str) -> Option<&'a Expr> {
    named(call, name).or_else(|| first(call))
}

/// Walks over statements and expressions, from outside to inside.
pub(super) fn visit<'a>(body: &'a [Stmt], stmts: &mut dyn FnMut(&'a Stmt), exprs: &mut dyn FnMut(&'a Expr)) {
    for stmt in body {
        stmts(stmt);
        match &stmt.kind {
            StmtKind::Expr(expr) | StmtKind::Return(Some(expr)) | StmtKind::Throw(expr) => {
                visit_expr(expr, stmts, exprs);
            }
            StmtKind::Declare { names, unpacked, .. } => {
                for value in names.iter().filter_map(|(_, value)| value.as_ref()).chain(unpacked) {
                    visit_expr(value, stmts, exprs);
                }
            }
            StmtKind::Method { body, .. } | StmtKind::Class { body, .. } | StmtKind::Block(body) => {
                visit(body, stmts, exprs);
            }
            StmtKind::If { condition, then, otherwise } => {
                visit_expr(condition, stmts, exprs);
                visit(then, stmts, exprs);
                visit(otherwise.as_deref().unwrap_or_default(), stmts, exprs);
            }
            StmtKind::While { condition: expr, body } | StmtKind::ForIn { over: expr, body, .. } => {
                visit_expr(expr, stmts, exprs);
                visit(body, stmts, exprs);
            }
            StmtKind::For { init, condition, update, body } => {
                visit(init, stmts, exprs);
                condition.iter().for_each(|condition| visit_expr(condition, stmts, exprs));
                visit(update, stmts, exprs);
                visit(body, stmts, exprs);
            }
            StmtKind::Try { body, catches, finally } => {
                visit(body, stmts, exprs);
                catches.iter().for_each(|catch| visit(&catch.body, stmts, exprs));
                visit(finally.as_deref().unwrap_or_default(), stmts, exprs);
            }
            StmtKind::Switch { value, cases } => {
                visit_expr(value, stmts, exprs);
                for case in cases {
                    case.value.iter().for_each(|value| visit_expr(value, stmts, exprs));
                    visit(&case.body, stmts, exprs);
                }
            }
            StmtKind::Assert(condition, message) => {
                visit_expr(condition, stmts, exprs);
                message.iter().for_each(|message| visit_expr(message, stmts, exprs));
            }
            StmtKind::Label(_, stmt) => visit(std::slice::from_ref(stmt), stmts, exprs),
            StmtKind::Import { .. } | StmtKind::Return(None) | StmtKind::Break | StmtKind::Continue => {}
        }
    }
}

pub(super) fn visit_expr<'a>(
    expr: &'a Expr,
    stmts: &mut dyn FnMut(&'a Stmt),
    exprs: &mut dyn FnMut(&'a Expr),
) {
    exprs(expr);
    match &expr.kind {
        ExprKind::GString(pieces) => {
            for piece in pieces {
                match piece {
                    crate::groovy::Piece::Text(_) => {}
                    crate::groovy::Piece::Value(value) => visit_expr(value, stmts, exprs),
                    crate::groovy::Piece::Code(code) => visit(code, stmts, exprs),
                }
            }
        }
        ExprKind::List(items) | ExprKind::Tuple(items) => {
            items.iter().for_each(|item| visit_expr(item, stmts, exprs));
        }
        ExprKind::Map(entries) => entries.iter().for_each(|entry| {
            entry.key.iter().for_each(|key| visit_expr(key, stmts, exprs));
            visit_expr(&entry.value, stmts, exprs);
        }),
        ExprKind::Closure(closure) => visit(&closure.body, stmts, exprs),
        ExprKind::Property { object, name, .. } => {
            visit_expr(object, stmts, exprs);
            if let Name::Dynamic(name) = name {
                visit_expr(name, stmts, exprs);
            }
        }
        ExprKind::Index { object, args } => {
            visit_expr(object, stmts, exprs);
            args.iter().for_each(|arg| visit_expr(arg, stmts, exprs));
        }
        ExprKind::Call(call) => {
            call.object.iter().for_each(|object| visit_expr(object, stmts, exprs));
            visit_args(&call.args, stmts, exprs);
        }
        ExprKind::New { args, body, .. } => {
            visit_args(args, stmts, exprs);
            visit(body.as_deref().unwrap_or_default(), stmts, exprs);
        }
        ExprKind::Unary { operand, .. } | ExprKind::Postfix { operand, .. } => {
            visit_expr(operand, stmts, exprs)
        }
        ExprKind::Binary { left, right, .. } => {
            visit_expr(left, stmts, exprs);
            visit_expr(right, stmts, exprs);
        }
        ExprKind::Assign { target, value, .. } => {
            visit_expr(target, stmts, exprs);
            visit_expr(value, stmts, exprs);
        }
        ExprKind::Ternary { condition, then, otherwise } => {
            [condition, then, otherwise].into_iter().for_each(|part| visit_expr(part, stmts, exprs));
        }
        ExprKind::Elvis { value, otherwise } => {
            visit_expr(value, stmts, exprs);
            visit_expr(otherwise, stmts, exprs);
        }
        ExprKind::Cast { value, .. }
        | ExprKind::InstanceOf { value, .. }
        | ExprKind::Spread(value)
        | ExprKind::Paren(value) => visit_expr(value, stmts, exprs),
        _ => {}
    }
}

fn visit_args<'a>(args: &'a [Arg], stmts: &mut dyn FnMut(&'a Stmt), exprs: &mut dyn FnMut(&'a Expr)) {
    for arg in args {
        match arg {
            Arg::Value(value) => visit_expr(value, stmts, exprs),
            Arg::Named(entry) => visit_expr(&entry.value, stmts, exprs),
        }
    }
}
