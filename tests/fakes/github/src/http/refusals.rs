//! How each service words a refusal.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::model::Refused;

/// The status that most services give a refusal.
pub(super) fn status(refused: &Refused) -> StatusCode {
    match refused {
        Refused::Unauthorized => StatusCode::UNAUTHORIZED,
        Refused::Forbidden(_) | Refused::RunnerTooOld(_) => StatusCode::FORBIDDEN,
        Refused::BadRequest(_) | Refused::RunnerBusy(_) | Refused::InvalidClient(_) => {
            StatusCode::BAD_REQUEST
        }
        Refused::NotFound(_) | Refused::RunnerNotFound | Refused::AcknowledgeJobNotFound(_) => {
            StatusCode::NOT_FOUND
        }
        Refused::Conflict(_) | Refused::SessionConflict(_) | Refused::RunnerExists(_) => StatusCode::CONFLICT,
        Refused::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::SessionInvalid => StatusCode::BAD_REQUEST,
    }
}

/// A refusal by the public API.
pub(super) struct RestRefusal(Refused);

/// A refusal by the broker.
pub(super) struct BrokerRefusal(Refused);

/// A refusal by the run service.
pub(super) struct RunServiceRefusal(Refused);

/// A refusal by the older services.
pub(super) struct TenantRefusal(Refused);

/// A refusal by the results services.
pub(super) struct TwirpRefusal(Refused);

/// A refusal by the token service.
pub(super) struct OAuthRefusal(Refused);

/// A refusal by the blob service.
pub(super) struct BlobRefusal(Refused);

macro_rules! from_refused {
    ($($service:ident),*) => {$(
        impl From<Refused> for $service {
            fn from(refused: Refused) -> Self {
                Self(refused)
            }
        }
    )*};
}

from_refused!(
    RestRefusal,
    BrokerRefusal,
    RunServiceRefusal,
    TenantRefusal,
    TwirpRefusal,
    OAuthRefusal,
    BlobRefusal
);

impl IntoResponse for RestRefusal {
    fn into_response(self) -> Response {
        let body =
            json!({"message": self.0.to_string(), "documentation_url": "https://docs.github.com/rest"});
        (status(&self.0), Json(body)).into_response()
    }
}

impl IntoResponse for BrokerRefusal {
    fn into_response(self) -> Response {
        let status = status(&self.0);
        let kind = match &self.0 {
            Refused::RunnerNotFound => "RunnerNotFound",
            Refused::RunnerTooOld(_) => "RunnerVersionTooOld",
            Refused::SessionInvalid => "RunnerSessionInvalid",
            Refused::AcknowledgeJobNotFound(_) => "AcknowledgeJobNotFound",
            Refused::Unauthorized => return status.into_response(),
            _ => "Unknown",
        };
        let body = json!({
            "source": "actions-broker-listener",
            "errorMessage": self.0.to_string(),
            "errorKind": kind,
            "statusCode": status.as_u16(),
        });
        (status, Json(body)).into_response()
    }
}

impl IntoResponse for RunServiceRefusal {
    fn into_response(self) -> Response {
        let status = status(&self.0);
        let body = json!({
            "source": "actions-run-service",
            "statusCode": status.as_u16(),
            "errorMessage": self.0.to_string(),
        });
        (status, Json(body)).into_response()
    }
}

impl IntoResponse for TenantRefusal {
    fn into_response(self) -> Response {
        let key = match &self.0 {
            Refused::RunnerExists(_) => "TaskAgentExistsException",
            Refused::RunnerNotFound => "TaskAgentNotFoundException",
            Refused::SessionConflict(_) => "TaskAgentSessionConflictException",
            Refused::SessionInvalid => "TaskAgentSessionExpiredException",
            Refused::RunnerTooOld(_) | Refused::Forbidden(_) => "AccessDeniedException",
            Refused::Unauthorized => "VssUnauthorizedException",
            Refused::NotFound(_) => "TaskAgentPoolNotFoundException",
            _ => "WrappedException",
        };
        let body = json!({
            "$id": "1",
            "innerException": null,
            "message": self.0.to_string(),
            "typeName": format!("GitHub.DistributedTask.WebApi.{key}, GitHub.DistributedTask.WebApi"),
            "typeKey": key,
            "errorCode": 0,
            "eventId": 3000,
        });
        (status(&self.0), Json(body)).into_response()
    }
}

impl IntoResponse for TwirpRefusal {
    fn into_response(self) -> Response {
        let code = match status(&self.0).as_u16() {
            401 => "unauthenticated",
            403 => "permission_denied",
            404 => "not_found",
            409 => "already_exists",
            _ => "invalid_argument",
        };
        (status(&self.0), Json(json!({"code": code, "msg": self.0.to_string()}))).into_response()
    }
}

impl IntoResponse for OAuthRefusal {
    fn into_response(self) -> Response {
        let body = json!({"error": "invalid_client", "error_description": self.0.to_string()});
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}

impl IntoResponse for BlobRefusal {
    fn into_response(self) -> Response {
        let text = self.0.to_string();
        let code = text.split(':').next().unwrap_or_default().to_owned();
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{text}</Message></Error>"
        );
        let headers =
            [(header::CONTENT_TYPE.as_str(), "application/xml".to_owned()), ("x-ms-error-code", code)];
        (status(&self.0), headers, body).into_response()
    }
}
