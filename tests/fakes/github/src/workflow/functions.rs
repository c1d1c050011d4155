//! The functions of expressions.

use github_actions_expressions::call::Function;

use super::coercion::{equal, text, upper};
use crate::Value;

pub(super) fn call(function: Function, arguments: Vec<Value>) -> Result<Value, String> {
    let argument = |index: usize| arguments.get(index).cloned().unwrap_or_default();
    let simple = |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_));
    let upper = |value: &Value| upper(&text(value));
    Ok(match function {
        Function::Contains => Value::Bool(match argument(0) {
            Value::Array(items) => items.iter().any(|item| equal(item, &argument(1))),
            Value::Object(_) => false,
            simple_text => simple(&argument(1)) && upper(&simple_text).contains(&upper(&argument(1))),
        }),
        Function::StartsWith => Value::Bool(
            simple(&argument(0))
                && simple(&argument(1))
                && upper(&argument(0)).starts_with(&upper(&argument(1))),
        ),
        Function::EndsWith => Value::Bool(
            simple(&argument(0))
                && simple(&argument(1))
                && upper(&argument(0)).ends_with(&upper(&argument(1))),
        ),
        Function::Format => Value::String(format(&text(&argument(0)), &arguments[1..])?),
        Function::Join => {
            let separator =
                arguments.get(1).filter(|value| simple(value)).map_or_else(|| ",".to_owned(), text);
            match argument(0) {
                Value::Array(items) => {
                    Value::String(items.iter().map(text).collect::<Vec<_>>().join(&separator))
                }
                Value::Object(_) => Value::String(String::new()),
                simple => Value::String(text(&simple)),
            }
        }
        Function::ToJSON => {
            Value::String(serde_json::to_string_pretty(&argument(0)).map_err(|error| error.to_string())?)
        }
        Function::FromJSON => serde_json::from_str(&text(&argument(0)))
            .map_err(|error| format!("Error reading JSON: {error}"))?,
        Function::HashFiles => return Err("hashFiles is only known on a runner".to_owned()),
        other => return Err(format!("Unrecognized function: '{other:?}'")),
    })
}

fn format(pattern: &str, arguments: &[Value]) -> Result<String, String> {
    let invalid = || format!("The following format string is invalid: {pattern}");
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '{' | '}' if rest.peek() == Some(&c) => {
                rest.next();
                out.push(c);
            }
            '{' => {
                let mut index = String::new();
                loop {
                    match rest.next() {
                        Some('}') => break,
                        Some(c) => index.push(c),
                        None => return Err(invalid()),
                    }
                }
                let index: usize = index.parse().map_err(|_| invalid())?;
                let argument = arguments.get(index).ok_or_else(|| {
                    format!(
                        "The following format string references more arguments than were supplied: {pattern}"
                    )
                })?;
                out.push_str(&text(argument));
            }
            '}' => return Err(invalid()),
            _ => out.push(c),
        }
    }
    Ok(out)
}
