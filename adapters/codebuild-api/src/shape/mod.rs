//! What a request may say: types, ranges, names, in AWS's words when it says something else.

/// A member that must be there.
macro_rules! must {
    ($name:literal, $shape:expr $(,)?) => {
        Member { name: $name, shape: $shape, is_required: true }
    };
}

/// A member that may be there.
macro_rules! may {
    ($name:literal, $shape:expr $(,)?) => {
        Member { name: $name, shape: $shape, is_required: false }
    };
}

mod inputs;
mod structures;

use serde_json::{Map, Value};

use crate::error::ApiError;
pub(crate) use inputs::{codebuild, logs};

/// The shape of a value.
#[derive(Debug)]
pub(crate) enum Shape {
    Text {
        min: usize,
        max: usize,
    },
    /// `[A-Za-z0-9][A-Za-z0-9\-_]{1,149}`
    ProjectName,
    /// `^([\p{L}\p{Z}\p{N}_.:/=@+\-]*)$`
    TagText {
        min: usize,
        max: usize,
    },
    Integer {
        min: i64,
        max: i64,
    },
    Number {
        min: f64,
        max: f64,
    },
    Boolean,
    OneOf(&'static [&'static str]),
    List {
        of: &'static Self,
        min: usize,
        max: usize,
    },
    Structure(&'static [Member]),
}

/// A member of a structure.
#[derive(Debug)]
pub(crate) struct Member {
    name: &'static str,
    shape: &'static Shape,
    is_required: bool,
}

/// Whether a request is what its operation takes.
pub(crate) fn check(input: &Map<String, Value>, members: &[Member]) -> Result<(), ApiError> {
    let mut failed = Vec::new();
    structure(input, members, "", &mut failed)?;
    match failed.len() {
        0 => Ok(()),
        1 => Err(ApiError::invalid(format!("1 validation error detected: {}", failed[0]))),
        count => Err(ApiError::invalid(format!("{count} validation errors detected: {}", failed.join("; ")))),
    }
}

fn structure(
    value: &Map<String, Value>,
    members: &[Member],
    at: &str,
    failed: &mut Vec<String>,
) -> Result<(), ApiError> {
    let path = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    for member in members {
        match value.get(member.name) {
            Some(value) => one(value, member.shape, &path(member.name), failed)?,
            None if member.is_required => {
                failed.push(failure("null", &path(member.name), "Member must not be null"));
            }
            None => {}
        }
    }
    // What is not known cannot be honoured, and what is not honoured is not to be passed over.
    let unknown = value.keys().filter(|name| members.iter().all(|member| member.name != name.as_str()));
    failed.extend(
        unknown.map(|name| format!("Value at '{}' is a member that this service does not have", path(name))),
    );
    Ok(())
}

fn one(value: &Value, shape: &Shape, at: &str, failed: &mut Vec<String>) -> Result<(), ApiError> {
    let wrong = |wanted: &str| {
        let found = match value {
            Value::Null => "NULL_VALUE",
            Value::Bool(_) => "BOOLEAN_VALUE",
            Value::Number(_) => "NUMBER_VALUE",
            Value::String(_) => "STRING_VALUE",
            Value::Array(_) => "LIST_VALUE",
            Value::Object(_) => "STRUCTURE_VALUE",
        };
        ApiError::new("SerializationException", format!("{found} at '{at}' can not be converted to {wanted}"))
    };
    match shape {
        Shape::Text { min, max } => {
            let text = value.as_str().ok_or_else(|| wrong("a String"))?;
            failed.extend(length(text, text.chars().count(), (*min, *max), at));
        }
        Shape::ProjectName => {
            let text = value.as_str().ok_or_else(|| wrong("a String"))?;
            if !runspan_engine::project::is_project_name(text) {
                let rule =
                    "Member must satisfy regular expression pattern: [A-Za-z0-9][A-Za-z0-9\\-_]{1,149}";
                failed.push(failure(text, at, rule));
            }
        }
        Shape::TagText { min, max } => {
            let text = value.as_str().ok_or_else(|| wrong("a String"))?;
            failed.extend(length(text, text.chars().count(), (*min, *max), at));
            if !text.chars().all(is_of_tags) {
                let rule =
                    "Member must satisfy regular expression pattern: ^([\\p{L}\\p{Z}\\p{N}_.:/=@+\\-]*)$";
                failed.push(failure(text, at, rule));
            }
        }
        Shape::Integer { min, max } => {
            let number = value.as_i64().ok_or_else(|| wrong("an Integer"))?;
            if number < *min {
                let rule = format!("Member must have value greater than or equal to {min}");
                failed.push(failure(&number.to_string(), at, &rule));
            } else if number > *max {
                let rule = format!("Member must have value less than or equal to {max}");
                failed.push(failure(&number.to_string(), at, &rule));
            }
        }
        Shape::Number { min, max } => {
            let number = value.as_f64().ok_or_else(|| wrong("a Double"))?;
            if !(*min..=*max).contains(&number) {
                failed.push(failure(
                    &number.to_string(),
                    at,
                    &format!("Member must have value between {min} and {max}"),
                ));
            }
        }
        Shape::Boolean => drop(value.as_bool().ok_or_else(|| wrong("a Boolean"))?),
        Shape::OneOf(names) => {
            let text = value.as_str().ok_or_else(|| wrong("a String"))?;
            if !names.contains(&text) {
                let rule = format!("Member must satisfy enum value set: [{}]", names.join(", "));
                failed.push(failure(text, at, &rule));
            }
        }
        Shape::List { of, min, max } => {
            let values = value.as_array().ok_or_else(|| wrong("a List"))?;
            let shown = format!("[{} values]", values.len());
            failed.extend(length(&shown, values.len(), (*min, *max), at));
            for (number, value) in values.iter().enumerate() {
                one(value, of, &format!("{at}.{}.member", number + 1), failed)?;
            }
        }
        Shape::Structure(members) => {
            structure(value.as_object().ok_or_else(|| wrong("a Structure"))?, members, at, failed)?;
        }
    }
    Ok(())
}

fn length(value: &str, length: usize, (min, max): (usize, usize), at: &str) -> Option<String> {
    let (bound, limit) = if length < min {
        ("greater", min)
    } else if length > max {
        ("less", max)
    } else {
        return None;
    };
    Some(failure(value, at, &format!("Member must have length {bound} than or equal to {limit}")))
}

/// Letters, separators and numbers of every script, and some signs.
fn is_of_tags(character: char) -> bool {
    let is_separator = character.is_whitespace() && !character.is_control();
    character.is_alphanumeric() || is_separator || "_.:/=@+-".contains(character)
}

fn failure(value: &str, at: &str, rule: &str) -> String {
    format!("Value '{value}' at '{at}' failed to satisfy constraint: {rule}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(operation: &str, input: Value) -> Result<(), String> {
        let Value::Object(input) = input else { panic!("{input}") };
        check(&input, codebuild(operation).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        let begin = "InvalidInputException: 1 validation error detected: ";
        for (operation, input, said) in [
            (
                "StartBuild",
                json!({}),
                "Value 'null' at 'projectName' failed to satisfy constraint: Member must not be null",
            ),
            (
                "StartBuild",
                json!({ "projectName": "p", "queuedTimeoutInMinutesOverride": 481 }),
                "Value '481' at 'queuedTimeoutInMinutesOverride' failed to satisfy constraint: Member must have value \
                 less than or equal to 480",
            ),
            (
                "StartBuild",
                json!({ "projectName": "p", "cacheOverride": { "type": "S4" } }),
                "Value 'S4' at 'cacheOverride.type' failed to satisfy constraint: Member must satisfy enum value set: \
                 [NO_CACHE, S3, LOCAL]",
            ),
            (
                "BatchGetBuilds",
                json!({ "ids": ["a", ""] }),
                "Value '' at 'ids.2.member' failed to satisfy constraint: Member must have length greater than or \
                 equal to 1",
            ),
            (
                "DeleteWebhook",
                json!({ "projectName": "a b" }),
                "Value 'a b' at 'projectName' failed to satisfy constraint: Member must satisfy regular expression \
                 pattern: [A-Za-z0-9][A-Za-z0-9\\-_]{1,149}",
            ),
            (
                "StartBuild",
                json!({ "projectName": "p", "gpuOverride": 1 }),
                "Value at 'gpuOverride' is a member that this service does not have",
            ),
        ] {
            assert_eq!(checked(operation, input), Err(format!("{begin}{said}")));
        }
        let several = checked("ListReports", json!({ "maxResults": 0, "sortOrder": "UP" })).unwrap_err();
        assert!(several.contains("2 validation errors detected: "), "{several}");
    }

    #[test]
    fn a_value_of_another_type_is_no_value() {
        for (input, said) in [
            (json!({ "projectName": 1 }), "NUMBER_VALUE at 'projectName' can not be converted to a String"),
            (
                json!({ "projectName": "p", "timeoutInMinutesOverride": "7" }),
                "STRING_VALUE at 'timeoutInMinutesOverride' can not be converted to an Integer",
            ),
            (
                json!({ "projectName": "p", "cacheOverride": [] }),
                "LIST_VALUE at 'cacheOverride' can not be converted to a Structure",
            ),
            (
                json!({ "projectName": "p", "insecureSslOverride": 1.5 }),
                "NUMBER_VALUE at 'insecureSslOverride' can not be converted to a Boolean",
            ),
        ] {
            assert_eq!(checked("StartBuild", input), Err(format!("SerializationException: {said}")));
        }
    }

    /// Every override must be taken or refused; one that is only let through would be passed over.
    #[test]
    fn every_override_has_a_meaning() {
        for operation in ["StartBuild", "StartBuildBatch"] {
            for member in codebuild(operation).unwrap() {
                assert!(crate::request::is_known(member.name), "{operation} passes over {}", member.name);
            }
        }
    }
}
