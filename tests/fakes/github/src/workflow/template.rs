//! Text with `${{ }}` in it.

use github_actions_expressions::{Expr, SpannedExpr, call::Function};

use super::{ExpressionError, Node, NodeKind, Scope, coercion, evaluate};
use crate::Value;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// An expression, without its braces.
    Expression(String),
}

/// The parts of a text. A `}}` within an expression's string does not end it.
///
/// # Errors
/// An expression has no end.
pub fn pieces(text: &str) -> Result<Vec<Piece>, ExpressionError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        let end = end_of_expression(after).ok_or_else(|| ExpressionError {
            message: "The expression is not closed. An unescaped ${{ sequence was found, but the closing }} sequence was not found".to_owned(),
            expression: text.to_owned(),
        })?;
        pieces.push(Piece::Expression(after[..end].trim().to_owned()));
        rest = &after[end + 2..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

fn end_of_expression(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quoted = false;
    (0..bytes.len()).find(|&at| {
        quoted ^= bytes[at] == b'\'';
        !quoted && bytes[at..].starts_with(b"}}")
    })
}

/// The value of a text: of a lone expression its own, else text.
///
/// # Errors
/// One of its expressions has no value.
pub fn interpolate(text: &str, scope: &Scope) -> Result<Value, ExpressionError> {
    let pieces = pieces(text)?;
    if let [Piece::Expression(expression)] = pieces.as_slice() {
        return evaluate(expression, scope);
    }
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(&text),
            Piece::Expression(expression) => out.push_str(&coercion::text(&evaluate(&expression, scope)?)),
        }
    }
    Ok(Value::String(out))
}

/// The value of a node with all of its expressions evaluated.
///
/// # Errors
/// One of them has no value.
pub fn resolve(node: &Node, scope: &Scope) -> Result<Value, ExpressionError> {
    Ok(match &node.kind {
        NodeKind::String(text) => interpolate(text, scope)?,
        NodeKind::Sequence(items) => {
            let mut array = Vec::new();
            for item in items {
                match (&item.kind, resolve(item, scope)?) {
                    // A list that an expression makes is part of the list it stands in.
                    (NodeKind::String(_), Value::Array(more)) => array.extend(more),
                    (_, value) => array.push(value),
                }
            }
            Value::Array(array)
        }
        NodeKind::Mapping(entries) => {
            let mut object = crate::Object::new();
            for (key, value) in entries {
                let key = key.text().unwrap_or_default();
                match (is_insert(&key), resolve(value, scope)?) {
                    (true, Value::Object(more)) => object.extend(more),
                    (true, _) => {
                        return Err(ExpressionError {
                            message: "Expected a mapping".to_owned(),
                            expression: key,
                        });
                    }
                    (false, value) => {
                        object.insert(coercion::text(&interpolate(&key, scope)?), value);
                    }
                }
            }
            Value::Object(object)
        }
        _ => node.value(),
    })
}

/// Whether a key stands for the members of its value.
fn is_insert(key: &str) -> bool {
    let expression = key.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}"));
    expression.is_some_and(|expression| expression.trim() == "insert")
}

/// Whether an expression calls one of the status functions.
pub fn mentions_status(expression: &str) -> bool {
    fn any(expression: &SpannedExpr<'_>) -> bool {
        match &expression.inner {
            Expr::Call(call) => {
                matches!(
                    call.func,
                    Function::Always | Function::Cancelled | Function::Failure | Function::Success
                ) || call.args.iter().any(any)
            }
            Expr::Context(context) => context.parts.iter().any(any),
            Expr::Index(inner) => any(inner),
            Expr::BinExpr(binary) => any(&binary.lhs) || any(&binary.rhs),
            Expr::UnExpr { expr, .. } => any(expr),
            Expr::Literal(_) | Expr::Star | Expr::Identifier(_) => false,
        }
    }
    Expr::parse(expression.trim()).is_ok_and(|parsed| any(&parsed))
}

/// The expression of an `if`, which may stand without braces.
pub(crate) fn condition(text: &str) -> Result<String, ExpressionError> {
    let pieces = pieces(text.trim())?;
    Ok(match pieces.as_slice() {
        [Piece::Expression(expression)] => expression.clone(),
        [Piece::Text(text)] => text.trim().to_owned(),
        [] => String::new(),
        _ => crate::message::formatted(&pieces),
    })
}

/// The condition as GitHub sends and evaluates it: a status function is put before one that has none.
pub(crate) fn guarded(condition: &str) -> String {
    if condition.is_empty() {
        "success()".to_owned()
    } else if mentions_status(condition) {
        condition.to_owned()
    } else {
        format!("success() && ({condition})")
    }
}
