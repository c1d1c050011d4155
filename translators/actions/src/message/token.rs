//! Template tokens: YAML whose expressions are still to be evaluated.

use serde_json::Value as Json;

use super::MessageError;
use runspan_expressions::{Contexts, Error, Scope, Template, Value};

/// Levels of the deepest template.
const MAX_DEPTH: usize = 50;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// The text of an expression, without `${{ }}`.
    Expression(String),
    Sequence(Vec<Self>),
    Mapping(Vec<(Self, Self)>),
}

impl Token {
    /// Reads a token; what is left out has its kind's default.
    pub(super) fn read(json: &Json) -> Result<Self, MessageError> {
        Self::read_at(json, 0)
    }

    fn read_at(json: &Json, depth: usize) -> Result<Self, MessageError> {
        if depth > MAX_DEPTH {
            return Err(MessageError::TooDeep);
        }
        let Json::Object(members) = json else {
            return Ok(match json {
                Json::Bool(value) => Self::Bool(*value),
                Json::Number(number) => Self::Number(number.as_f64().unwrap_or_default()),
                Json::String(text) => Self::Text(text.clone()),
                _ => Self::Null,
            });
        };
        let text = |name: &str| members.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        let items = |name: &str| members.get(name).and_then(Json::as_array).into_iter().flatten();
        Ok(match members.get("type").and_then(Json::as_u64).unwrap_or(0) {
            0 => Self::Text(text("lit")),
            1 => Self::Sequence(
                items("seq").map(|item| Self::read_at(item, depth + 1)).collect::<Result<_, _>>()?,
            ),
            2 => Self::Mapping(
                items("map")
                    .map(|pair| {
                        let part = |upper: &str, lower: &str| {
                            let json = pair.get(upper).or_else(|| pair.get(lower)).unwrap_or(&Json::Null);
                            Self::read_at(json, depth + 1)
                        };
                        Ok((part("Key", "key")?, part("Value", "value")?))
                    })
                    .collect::<Result<_, MessageError>>()?,
            ),
            3 => Self::Expression(text("expr")),
            // `${{ insert }}`: only as a key.
            4 => Self::Expression("insert".into()),
            5 => Self::Bool(members.get("bool").and_then(Json::as_bool).unwrap_or_default()),
            6 => Self::Number(members.get("num").and_then(Json::as_f64).unwrap_or_default()),
            7 => Self::Null,
            kind => return Err(MessageError::Token { kind }),
        })
    }

    /// As a buildspec's steps have it: expressions within `${{ }}`, all else as text that means itself.
    pub(super) fn to_template(&self) -> String {
        match self {
            Self::Expression(text) => format!("${{{{ {text} }}}}"),
            Self::Text(text) if text.contains("${{") => {
                format!("${{{{ '{}' }}}}", text.replace('\'', "''"))
            }
            Self::Text(text) => text.clone(),
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => Value::from(*number).to_text().to_string(),
            Self::Null | Self::Sequence(_) | Self::Mapping(_) => String::new(),
        }
    }

    /// The value, with what is known before a job's first step.
    pub(super) fn evaluate(&self, contexts: &dyn Contexts) -> Result<Value, Error> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Expression(text) => Template::parse_condition(text, Scope::STEP)?.evaluate(contexts)?,
            Self::Sequence(items) => {
                Value::array(items.iter().map(|item| item.evaluate(contexts)).collect::<Result<_, _>>()?)
            }
            Self::Mapping(pairs) => {
                let mut entries = Vec::with_capacity(pairs.len());
                for (key, value) in pairs {
                    let value = value.evaluate(contexts)?;
                    match (key, &value) {
                        (Self::Expression(directive), Value::Object(inner)) if directive == "insert" => {
                            entries.extend(inner.iter().map(|(key, value)| (key.to_owned(), value.clone())));
                        }
                        _ => entries.push((key.evaluate(contexts)?.to_text().to_string(), value)),
                    }
                }
                Value::object(entries)
            }
        })
    }

    /// Whether any of its expressions names a context, given in lower case.
    pub(super) fn names(&self, context: &str) -> bool {
        match self {
            Self::Expression(text) => Template::parse_condition(text, Scope::STEP)
                .is_ok_and(|template| template.contexts().iter().any(|name| name == context)),
            Self::Sequence(items) => items.iter().any(|item| item.names(context)),
            Self::Mapping(pairs) => {
                pairs.iter().any(|(key, value)| key.names(context) || value.names(context))
            }
            _ => false,
        }
    }

    /// Whether it is made of the job's token, which is a secret by another name.
    pub(super) fn names_token(&self) -> bool {
        self.names("github") && self.to_template().to_ascii_lowercase().contains("token")
    }

    /// The value of a key, its case not mattering.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Mapping(pairs) = self else { return None };
        pairs
            .iter()
            .find(|(key, _)| matches!(key, Self::Text(text) if text.eq_ignore_ascii_case(name)))
            .map(|(_, value)| value)
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::context::Known;

    #[test]
    fn text_never_becomes_an_expression() {
        let read = |json: Json| Token::read(&json).unwrap();
        assert_eq!(read(json!({"type": 3, "expr": "github.ref"})).to_template(), "${{ github.ref }}");
        assert_eq!(read(json!({"lit": "it's ${{ x }}"})).to_template(), "${{ 'it''s ${{ x }}' }}");
        assert_eq!(read(json!({"type": 6, "num": 1.0})).to_template(), "1");
        assert_eq!(read(json!({"type": 5})).to_template(), "false");
    }

    #[test]
    fn mappings_take_pairs_of_either_case_and_inserts() {
        let token = Token::read(&json!({"type": 2, "map": [
            {"Key": "a", "Value": {"type": 3, "expr": "matrix.x"}},
            {"key": {"type": 4, "directive": "insert"}, "value": {"type": 3, "expr": "matrix"}},
        ]}))
        .unwrap();
        let matrix = Value::object([("x", Value::from(3.0)), ("y", Value::from("z"))]);
        let known = Known::from_iter([("matrix".to_owned(), matrix)]);
        let value = token.evaluate(&known).unwrap();
        assert_eq!(value, Value::from_json(r#"{"a": 3, "x": 3, "y": "z"}"#).unwrap());
        assert!(token.names("matrix") && !token.names("secrets"));
    }

    #[test]
    fn bombs_are_refused() {
        let mut json = json!("x");
        for _ in 0..100 {
            json = json!({"type": 1, "seq": [json]});
        }
        assert!(matches!(Token::read(&json), Err(MessageError::TooDeep)));
        assert!(matches!(Token::read(&json!({"type": 9})), Err(MessageError::Token { kind: 9 })));
    }
}
