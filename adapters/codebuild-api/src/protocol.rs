//! AWS's JSON protocol, version 1.1.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::ApiError;

const JSON: &str = "application/x-amz-json-1.1";
const CODEBUILD: &str = "CodeBuild_20161006";
const LOGS: &str = "Logs_20140328";

/// Whose operation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    CodeBuild,
    Logs,
}

/// The operation that a request names.
pub(crate) fn operation(parts: &Parts) -> Result<(Service, &str), ApiError> {
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let (service, operation) = target.and_then(|target| target.rsplit_once('.')).unwrap_or_default();
    match service {
        CODEBUILD => Ok((Service::CodeBuild, operation)),
        LOGS => Ok((Service::Logs, operation)),
        _ => Err(unknown(target.unwrap_or("no X-Amz-Target"))),
    }
}

/// The refusal of an operation that is not there.
pub(crate) fn unknown(what: &str) -> ApiError {
    ApiError::new("UnknownOperationException", format!("this service has no such operation: {what}"))
}

/// The members of a request's body; none of them is null.
pub(crate) fn input(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let malformed = |reason: String| ApiError::new("SerializationException", reason);
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))? {
        Value::Object(mut members) => {
            members.values_mut().for_each(without_nulls);
            members.retain(|_, value| !value.is_null());
            Ok(members)
        }
        _ => Err(malformed("Expected a JSON object".into())),
    }
}

/// A member that is null is none.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.values_mut().for_each(without_nulls);
            members.retain(|_, value| !value.is_null());
        }
        Value::Array(values) => values.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// The response to a request.
pub(crate) fn response(answer: Result<Value, ApiError>) -> Response<Full<Bytes>> {
    let (status, code, body) = match answer {
        Ok(body) => (StatusCode::OK, None, body),
        Err(ApiError { code, message, status }) => {
            (status, Some(code), json!({ "__type": code, "message": message }))
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, JSON)
        .header("x-amzn-RequestId", Uuid::new_v4().to_string());
    if let Some(code) = code {
        response = response.header("x-amzn-ErrorType", code);
    }
    let body = Full::new(Bytes::from(body.to_string()));
    // Nothing in it can be wrong; still nobody should be left without an answer.
    response.body(body).unwrap_or_default()
}
