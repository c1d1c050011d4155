//! JSON as the services read it: unknown members are ignored, and the older ones ignore the case of names.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::model::Refused;

/// A body.
///
/// # Errors
/// It is not JSON of this form.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(bytes)
        .map_err(|error| Refused::BadRequest(format!("The body is not valid: {error}")))
}

/// A body of the older services, whose structures here have names in lower case.
///
/// # Errors
/// It is not JSON of this form.
pub(super) fn read_any_case<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    let json: Json = read(bytes)?;
    serde_json::from_value(lower(json))
        .map_err(|error| Refused::BadRequest(format!("The body is not valid: {error}")))
}

fn lower(json: Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(items.into_iter().map(lower).collect()),
        Json::Object(members) => Json::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let name = name.to_lowercase();
                    // The names in these are the user's.
                    let value = if matches!(name.as_str(), "outputs" | "variables") {
                        inner(value)
                    } else {
                        lower(value)
                    };
                    (name, value)
                })
                .collect(),
        ),
        other => other,
    }
}

fn inner(json: Json) -> Json {
    match json {
        Json::Object(members) => {
            Json::Object(members.into_iter().map(|(name, value)| (name, lower(value))).collect())
        }
        other => other,
    }
}
