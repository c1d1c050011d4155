//! What the functions do.

use std::sync::Arc;

use super::{Error, ErrorKind, Expr, Function, Value, evaluate::Evaluation, value::upper};

/// Why a function has no value.
pub(super) enum Failure {
    /// Itself.
    Of(ErrorKind),
    /// One of its values has none.
    Inside(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Inside(error)
    }
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        Self::Of(kind)
    }
}

pub(super) fn call(
    function: Function,
    values: &[Expr],
    evaluation: &mut Evaluation<'_>,
) -> Result<Value, Failure> {
    match function {
        Function::Case => case(values, evaluation),
        Function::Format => format(values, evaluation),
        Function::Success | Function::Failure | Function::Always | Function::Cancelled => {
            Ok(evaluation.contexts.status(function).map_err(ErrorKind::Host)?.into())
        }
        Function::HashFiles => {
            let patterns = all(values, evaluation)?;
            let patterns: Vec<_> = patterns.iter().map(|value| value.to_text().to_string()).collect();
            Ok(evaluation.contexts.hash_files(&patterns).map_err(ErrorKind::Host)?.into())
        }
        _ => {
            let values = all(values, evaluation)?;
            let [first, rest @ ..] = values.as_slice() else { return Ok(Value::Null) };
            let second = rest.first();
            Ok(match function {
                Function::Contains => contains(first, second.unwrap_or(&Value::Null)).into(),
                Function::StartsWith => {
                    edge(first, second, |text, part| text.len() >= part.len() && text.starts_with(part))
                        .into()
                }
                Function::EndsWith => {
                    edge(first, second, |text, part| text.len() >= part.len() && text.ends_with(part)).into()
                }
                Function::Join => join(first, second),
                Function::ToJson => first.to_json().into(),
                _ => from_json(first, evaluation)?,
            })
        }
    }
}

fn all(values: &[Expr], evaluation: &mut Evaluation<'_>) -> Result<Vec<Value>, Error> {
    values.iter().map(|value| evaluation.value(value)).collect()
}

/// Values are evaluated only as far as they decide.
fn case(values: &[Expr], evaluation: &mut Evaluation<'_>) -> Result<Value, Failure> {
    let mut pairs = values.chunks_exact(2);
    for pair in &mut pairs {
        let Value::Boolean(holds) = evaluation.value(&pair[0])? else {
            return Err(ErrorKind::CasePredicate.into());
        };
        if holds {
            return Ok(evaluation.value(&pair[1])?);
        }
    }
    match pairs.remainder().first() {
        Some(otherwise) => Ok(evaluation.value(otherwise)?),
        None => Ok(Value::Null),
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match whole {
        Value::Array(array) => array.items.iter().any(|item| item.loosely_equals(part)),
        Value::Object(_) => false,
        _ if !part.is_primitive() => false,
        _ => folded(&whole.to_text()).contains(&folded(&part.to_text())),
    }
}

fn edge(whole: &Value, part: Option<&Value>, holds: impl Fn(&str, &str) -> bool) -> bool {
    let part = part.unwrap_or(&Value::Null);
    whole.is_primitive() && part.is_primitive() && holds(&folded(&whole.to_text()), &folded(&part.to_text()))
}

fn folded(text: &str) -> String {
    text.chars().map(upper).collect()
}

fn join(values: &Value, separator: Option<&Value>) -> Value {
    let separator = match separator {
        Some(separator) if separator.is_primitive() => separator.to_text(),
        _ => Arc::from(","),
    };
    match values {
        Value::Array(array) => {
            array.items.iter().map(Value::to_text).collect::<Vec<_>>().join(&separator).into()
        }
        Value::Object(_) => "".into(),
        primitive => Value::String(primitive.to_text()),
    }
}

fn from_json(value: &Value, evaluation: &Evaluation<'_>) -> Result<Value, ErrorKind> {
    let text = value.to_text();
    if !evaluation.has_room(text.len()) {
        return Err(ErrorKind::OutOfMemory);
    }
    if text.trim().is_empty() {
        return Err(ErrorKind::InvalidJson("the text is empty".into()));
    }
    Value::from_json(&text).map_err(|error| ErrorKind::InvalidJson(error.to_string()))
}

/// Values are evaluated only when the text names them.
fn format(values: &[Expr], evaluation: &mut Evaluation<'_>) -> Result<Value, Failure> {
    let [pattern, arguments @ ..] = values else { return Ok(Value::Null) };
    let pattern = evaluation.value(pattern)?.to_text();
    let mut known: Vec<Option<Arc<str>>> = vec![None; arguments.len()];
    let mut out = String::new();
    let mut rest: &str = &pattern;
    let invalid = || Failure::Of(ErrorKind::InvalidFormat(pattern.to_string()));
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            out.push_str(brace);
            rest = after;
            continue;
        }
        let end = rest.find('}').filter(|_| brace == "{").ok_or_else(invalid)?;
        let number = &rest[..end];
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        rest = &rest[end + 1..];
        let slot = number.parse::<usize>().ok().filter(|index| *index < arguments.len());
        let index = slot.ok_or_else(|| ErrorKind::MissingFormatArgument(pattern.to_string()))?;
        let text = match &known[index] {
            Some(text) => text.clone(),
            None => {
                let text = evaluation.value(&arguments[index])?.to_text();
                known[index] = Some(text.clone());
                text
            }
        };
        out.push_str(&text);
        if !evaluation.has_room(out.len()) {
            return Err(ErrorKind::OutOfMemory.into());
        }
    }
    out.push_str(rest);
    Ok(out.into())
}
