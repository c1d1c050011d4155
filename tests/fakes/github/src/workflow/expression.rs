//! Evaluation of expressions; the reading of them is a public crate's.

use std::cmp::Ordering;

use github_actions_expressions::{
    Expr, SpannedExpr, call::Function, context::Context, literal::Literal, op::BinOp,
};

use super::{coercion, functions};
use crate::Value;

/// Steps of the longest walk.
const MAX_DEPTH: usize = 50;

/// What an expression may refer to.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The contexts by name, an object.
    pub contexts: Value,
    /// What the status functions answer.
    pub status: Status,
}

/// The state of what came before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Everything succeeded.
    #[default]
    Success,
    /// Something failed.
    Failure,
    /// Something was skipped, nothing failed.
    Skipped,
    /// The run is cancelled.
    Cancelled,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}. Located within expression: {expression}")]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// The expression.
    pub expression: String,
}

/// The value of an expression, without its `${{ }}`.
///
/// # Errors
/// It is not an expression, or a function refuses its arguments.
pub fn evaluate(expression: &str, scope: &Scope) -> Result<Value, ExpressionError> {
    let fault = |message: String| ExpressionError { message, expression: expression.trim().to_owned() };
    if expression.trim().is_empty() {
        return Ok(Value::Null);
    }
    let parsed = Expr::parse(expression.trim()).map_err(|error| fault(error.to_string()))?;
    value(&parsed, scope).map_err(fault)
}

fn value(expression: &SpannedExpr<'_>, scope: &Scope) -> Result<Value, String> {
    match &expression.inner {
        Expr::Literal(literal) => Ok(constant(literal)),
        Expr::Context(context) => walk(context, scope),
        Expr::Identifier(name) => named(name.as_str(), scope),
        Expr::Index(inner) => value(inner, scope),
        Expr::Star => Err("Unexpected symbol: '*'".to_owned()),
        Expr::UnExpr { expr, .. } => Ok(Value::Bool(!coercion::truthy(&value(expr, scope)?))),
        Expr::BinExpr(binary) => {
            let left = value(&binary.lhs, scope)?;
            match binary.op {
                BinOp::And if !coercion::truthy(&left) => return Ok(left),
                BinOp::Or if coercion::truthy(&left) => return Ok(left),
                _ => {}
            }
            let right = value(&binary.rhs, scope)?;
            let order = || coercion::compare(&left, &right);
            let equal = || coercion::equal(&left, &right);
            Ok(Value::Bool(match binary.op {
                BinOp::And | BinOp::Or => return Ok(right),
                BinOp::Eq => equal(),
                BinOp::Neq => !equal(),
                BinOp::Gt => order() == Some(Ordering::Greater),
                BinOp::Lt => order() == Some(Ordering::Less),
                BinOp::Ge => equal() || order() == Some(Ordering::Greater),
                BinOp::Le => equal() || order() == Some(Ordering::Less),
            }))
        }
        Expr::Call(call) => {
            let status = |wanted| Ok(Value::Bool(scope.status == wanted));
            match call.func {
                Function::Always => return Ok(Value::Bool(true)),
                Function::Success => return status(Status::Success),
                Function::Failure => return status(Status::Failure),
                Function::Cancelled => return status(Status::Cancelled),
                Function::Case => {
                    let (pairs, default) = call.args.as_chunks::<2>();
                    for [condition, result] in pairs {
                        match value(condition, scope)? {
                            Value::Bool(true) => return value(result, scope),
                            Value::Bool(false) => {}
                            _ => return Err("case takes truth values as conditions".to_owned()),
                        }
                    }
                    return default.first().map_or(Ok(Value::Null), |default| value(default, scope));
                }
                _ => {}
            }
            let arguments =
                call.args.iter().map(|argument| value(argument, scope)).collect::<Result<_, _>>()?;
            functions::call(call.func, arguments)
        }
    }
}

fn constant(literal: &Literal<'_>) -> Value {
    match literal {
        Literal::Null => Value::Null,
        Literal::Boolean(truth) => Value::Bool(*truth),
        Literal::Number(number) => Value::Number(*number),
        Literal::String(text) => Value::String(text.to_string()),
    }
}

fn named(name: &str, scope: &Scope) -> Result<Value, String> {
    scope.contexts.member(name).cloned().ok_or_else(|| format!("Unrecognized named-value: '{name}'"))
}

/// What a walk along `.name`, `[index]` and `*` has reached.
enum Reached {
    One(Value),
    /// After a `*`: every further step is taken in each.
    Many(Vec<Value>),
}

fn walk(context: &Context<'_>, scope: &Scope) -> Result<Value, String> {
    if context.parts.len() > MAX_DEPTH {
        return Err("Exceeded max expression depth 50".to_owned());
    }
    let mut parts = context.parts.iter();
    let Some(head) = parts.next() else { return Ok(Value::Null) };
    let mut reached = Reached::One(value(head, scope)?);
    for part in parts {
        reached = match (&part.inner, reached) {
            (Expr::Star, Reached::One(value)) => Reached::Many(children(value)),
            (Expr::Star, Reached::Many(values)) => {
                Reached::Many(values.into_iter().flat_map(children).collect())
            }
            (_, reached) => {
                let key = match &part.inner {
                    Expr::Identifier(name) => Value::from(name.as_str()),
                    Expr::Index(inner) if matches!(inner.inner, Expr::Star) => Value::Null,
                    _ => value(part, scope)?,
                };
                let star = matches!(&part.inner, Expr::Index(inner) if matches!(inner.inner, Expr::Star));
                match reached {
                    Reached::One(value) if star => Reached::Many(children(value)),
                    Reached::Many(values) if star => {
                        Reached::Many(values.into_iter().flat_map(children).collect())
                    }
                    Reached::One(value) => Reached::One(step(&value, &key).unwrap_or_default()),
                    Reached::Many(values) => {
                        Reached::Many(values.iter().filter_map(|value| step(value, &key)).collect())
                    }
                }
            }
        };
    }
    Ok(match reached {
        Reached::One(value) => value,
        Reached::Many(values) => Value::Array(values),
    })
}

fn children(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Object(members) => members.into_values().collect(),
        _ => Vec::new(),
    }
}

fn step(value: &Value, key: &Value) -> Option<Value> {
    match value {
        Value::Object(_) if matches!(key, Value::Array(_) | Value::Object(_)) => None,
        Value::Object(_) => value.member(&coercion::text(key)).cloned(),
        Value::Array(items) => {
            let index = coercion::number(key).floor();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked not negative"
            )]
            let index = (index >= 0.0).then_some(index as usize)?;
            items.get(index).cloned()
        }
        _ => None,
    }
}
