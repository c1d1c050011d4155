//! Pieces of the source as Jenkins' AST has them.

use crate::groovy::{Arg, Entry, Expr, ExprKind, Stmt, StmtKind};

/// An expression as Jenkins quotes it: binary ones are put together from their sides, and some nodes of Groovy's
/// own tree cover their operator or arguments only.
pub(super) fn of_expr(expr: &Expr, source: &str) -> String {
    match &expr.kind {
        ExprKind::Binary { op, left, right } => of_expr(left, source) + op + &of_expr(right, source),
        ExprKind::Assign { op, target, value } => of_expr(target, source) + op + &of_expr(value, source),
        ExprKind::Index { object, args } => {
            let args: Vec<_> = args.iter().map(|arg| of_expr(arg, source)).collect();
            of_expr(object, source) + "[" + &args.join(",")
        }
        ExprKind::Ternary { .. } if !source[..expr.span.start].trim_end().ends_with('(') => "?".into(),
        ExprKind::Unary { op, .. } => (*op).into(),
        ExprKind::Call(call) => {
            let after_name = source[call.name_span.end..expr.span.end].trim_start();
            let start = match call.args.first() {
                Some(Arg::Value(first)) if !after_name.starts_with(['(', '{']) => first.span.start,
                Some(Arg::Named(Entry { key: Some(key), .. })) if !after_name.starts_with(['(', '{']) => {
                    key.span.start
                }
                _ => expr.span.start,
            };
            source[start..expr.span.end].trim().to_owned()
        }
        _ => source[expr.span.clone()].trim().to_owned(),
    }
}

/// A string as Jenkins quotes it where it is assigned: a comment behind it belongs to it.
pub(super) fn with_comment(expr: &Expr, source: &str) -> String {
    source[expr.span.start..comment_end(expr.span.end, source)].trim().to_owned()
}

/// Where the comment ends that follows on the same line.
fn comment_end(at: usize, source: &str) -> usize {
    let rest = &source[at..];
    let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
    if line.trim_start().starts_with("//") { at + line.len() } else { at }
}

/// A block's statements as Jenkins quotes them.
pub(super) fn of_block(body: &[Stmt], source: &str) -> String {
    match (body.first(), body.last()) {
        (Some(first), Some(last)) => {
            let assigned =
                matches!(&last.kind, StmtKind::Expr(expr) if matches!(expr.kind, ExprKind::Assign { .. }));
            let end = if assigned { comment_end(last.span.end, source) } else { last.span.end };
            source[first.span.start..end].trim().to_owned()
        }
        _ => String::new(),
    }
}
