//! Contexts on the wire.

use serde_json::{Value as Json, json};

use crate::{Value, value::whole};

/// A value as the service sends contexts: maps are lists of pairs, simple values stand bare.
pub(crate) fn encode(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => json!(truth),
        Value::Number(number) => whole(*number).map_or_else(|| json!(number), |whole| json!(whole)),
        Value::String(text) => json!(text),
        Value::Array(items) => json!({"t": 1, "a": items.iter().map(encode).collect::<Vec<_>>()}),
        Value::Object(members) => {
            let pairs: Vec<Json> =
                members.iter().map(|(key, value)| json!({"k": key, "v": encode(value)})).collect();
            json!({"t": 2, "d": pairs})
        }
    }
}
