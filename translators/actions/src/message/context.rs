//! Contexts as the message carries them.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::MessageError;
use runspan_expressions::{Contexts, Value};

/// Levels of the deepest context: an event's payload is not deeper than JSON's own readers allow.
const MAX_DEPTH: usize = 128;

/// Contexts by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known(IndexMap<String, Value>);

impl Known {
    /// One context; its name in any case.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(&name.to_ascii_lowercase())
    }

    /// One context as JSON; null when there is none.
    pub fn json(&self, name: &str) -> Json {
        // Whatever is a value is JSON.
        self.get(name).and_then(|value| serde_json::from_str(&value.to_json()).ok()).unwrap_or_default()
    }

    /// Sets a context.
    pub fn insert(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_ascii_lowercase(), value);
    }

    /// A member of a context as text, when it is one.
    pub fn text(&self, context: &str, member: &str) -> Option<String> {
        match self.get(context)? {
            Value::Object(object) => match object.get(member)? {
                Value::String(text) => Some(text.to_string()),
                _ => None,
            },
            _ => None,
        }
    }
}

impl FromIterator<(String, Value)> for Known {
    fn from_iter<T: IntoIterator<Item = (String, Value)>>(entries: T) -> Self {
        Self(entries.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
    }
}

impl Contexts for Known {
    fn context(&self, name: &str) -> Value {
        self.get(name).cloned().unwrap_or_default()
    }
}

/// Reads a value: maps are lists of pairs, simple values may stand bare.
pub(super) fn read(json: &Json) -> Result<Value, MessageError> {
    read_at(json, 0)
}

fn read_at(json: &Json, depth: usize) -> Result<Value, MessageError> {
    if depth > MAX_DEPTH {
        return Err(MessageError::TooDeep);
    }
    let Json::Object(members) = json else {
        return Ok(match json {
            Json::Bool(value) => (*value).into(),
            Json::Number(number) => number.as_f64().unwrap_or_default().into(),
            Json::String(text) => text.as_str().into(),
            _ => Value::Null,
        });
    };
    let items = |name: &str| members.get(name).and_then(Json::as_array).into_iter().flatten();
    Ok(match members.get("t").and_then(Json::as_u64).unwrap_or(0) {
        0 => members.get("s").and_then(Json::as_str).unwrap_or_default().into(),
        1 => Value::array(items("a").map(|item| read_at(item, depth + 1)).collect::<Result<_, _>>()?),
        kind @ (2 | 5) => {
            let entries = items("d")
                .map(|pair| {
                    let key = pair.get("k").and_then(Json::as_str).unwrap_or_default().to_owned();
                    Ok((key, read_at(pair.get("v").unwrap_or(&Json::Null), depth + 1)?))
                })
                .collect::<Result<Vec<_>, MessageError>>()?;
            match kind {
                2 => Value::object(entries),
                _ => Value::Object(runspan_expressions::Object::case_sensitive(entries).into()),
            }
        }
        3 => members.get("b").and_then(Json::as_bool).unwrap_or_default().into(),
        4 => members.get("n").and_then(Json::as_f64).unwrap_or_default().into(),
        kind => return Err(MessageError::Token { kind }),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn contexts_are_read_whatever_way_they_are_written() {
        let wire = json!({"t": 2, "d": [
            {"k": "Ref", "v": "main"}, {"k": "n", "v": {"t": 4, "n": 2.5}}, {"k": "l", "v": {"t": 1, "a": [true, null]}},
            {"k": "none", "v": {"t": 2}}, {"k": "s", "v": {"s": "x"}},
        ]});
        let value = read(&wire).unwrap();
        let same = r#"{"Ref": "main", "n": 2.5, "l": [true, null], "none": {}, "s": "x"}"#;
        assert_eq!(value, Value::from_json(same).unwrap());
        let known = Known::from_iter([("GitHub".to_owned(), value)]);
        assert_eq!(known.text("github", "ref").as_deref(), Some("main"));
        assert_eq!(known.text("github", "n"), None);
    }
}
