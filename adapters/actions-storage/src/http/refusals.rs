//! Errors, as each kind of caller reads them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::StorageError;

/// A refusal in Twirp's form, which the older cache calls read as well.
pub(super) struct Refusal(StorageError);

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        Self(error)
    }
}

fn status(error: &StorageError) -> (StatusCode, &'static str) {
    match error {
        StorageError::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
        StorageError::Denied(_) => (StatusCode::FORBIDDEN, "permission_denied"),
        StorageError::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
        StorageError::Exists(_) => (StatusCode::CONFLICT, "already_exists"),
        StorageError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid_argument"),
        // Not 429 and not 507: to try again makes no room.
        StorageError::Full(_) => (StatusCode::PAYLOAD_TOO_LARGE, "resource_exhausted"),
        StorageError::Broken(_) => (StatusCode::BAD_REQUEST, "aborted"),
        StorageError::Upstream(_) => (StatusCode::BAD_GATEWAY, "unavailable"),
        StorageError::Disk { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

/// What a job may know: the paths of this machine are none of its business.
fn message(error: &StorageError) -> String {
    match error {
        StorageError::Disk { doing, source, .. } => {
            format!("the runner's disk: cannot {doing} a file: {source}")
        }
        other => other.to_string(),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = status(&self.0);
        (status, Json(json!({"code": code, "msg": message(&self.0)}))).into_response()
    }
}

/// A refusal in the form of Azure's blob service.
pub(super) struct BlobRefusal(StorageError);

impl From<StorageError> for BlobRefusal {
    fn from(error: StorageError) -> Self {
        Self(error)
    }
}

impl IntoResponse for BlobRefusal {
    fn into_response(self) -> Response {
        let (status, _) = status(&self.0);
        let code = match &self.0 {
            StorageError::Unauthenticated | StorageError::Denied(_) => "AuthenticationFailed",
            StorageError::NotFound(_) => "BlobNotFound",
            StorageError::Full(_) => "RequestBodyTooLarge",
            StorageError::Disk { .. } => "InternalError",
            _ => "InvalidInput",
        };
        let text = quick_xml::escape::escape(message(&self.0)).into_owned();
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{text}</Message></Error>"
        );
        (status, [("content-type", "application/xml"), ("x-ms-error-code", code)], body).into_response()
    }
}
