//! What a service answered when it did not do what was asked, in one shape for all services.

use std::error::Error;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::RequestId;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// The service said no.
    #[error("{}", refused(.code, .message, .action, .status, .request_id))]
    Refused {
        /// As in `AccessDeniedException`.
        code: String,
        /// The service's words.
        message: String,
        /// The IAM action, as in `ssm:GetParameters`.
        action: &'static str,
        status: u16,
        request_id: String,
    },
    /// It did not answer, or not in time, or with nonsense.
    #[error("{action} is not answered: {reason}")]
    Unanswered {
        /// The IAM action.
        action: &'static str,
        reason: String,
    },
    /// There is nothing to sign the request with.
    #[error(
        "no AWS credentials for {action}: {reason}; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
         or run this where a role is attached"
    )]
    NoCredentials {
        /// The IAM action.
        action: &'static str,
        reason: String,
    },
}

/// As CodeBuild's own SDK words it, with the missing right where the service does not name it.
fn refused(code: &str, message: &str, action: &str, status: &u16, request_id: &str) -> String {
    let mut text = format!("{code}: {message}\n\tstatus code: {status}, request id: {request_id}");
    if is_denied(code) && !message.contains(action) {
        text.push_str(&format!("\n\tthe credentials need {action}; docs/aws.md has the whole policy"));
    }
    text
}

fn is_denied(code: &str) -> bool {
    matches!(
        code,
        "AccessDenied"
            | "AccessDeniedException"
            | "AuthorizationError"
            | "AllAccessDisabled"
            | "Forbidden"
            | "403"
    )
}

impl CallError {
    /// Of an SDK client's answer.
    pub(crate) fn of<E>(error: &SdkError<E, Response>, action: &'static str) -> Self
    where
        E: ProvideErrorMetadata + RequestId + Error + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let code = answer.err().code().map_or_else(|| status.to_string(), str::to_owned);
                Self::Refused {
                    message: answer.err().message().unwrap_or("no reason was given").to_owned(),
                    action,
                    status,
                    request_id: answer.err().request_id().unwrap_or("none").to_owned(),
                    code,
                }
            }
            other => {
                let reason = causes(other);
                if reason.contains("credentials") && !matches!(other, SdkError::ResponseError(_)) {
                    Self::NoCredentials { action, reason }
                } else {
                    Self::Unanswered { action, reason }
                }
            }
        }
    }

    /// The service's code.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Unanswered { .. } | Self::NoCredentials { .. } => "",
        }
    }

    /// Whether the same request may succeed later without anybody doing something about it.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Refused { code, status, .. } => *status >= 500 || *status == 429 || is_throttled(code),
            Self::Unanswered { .. } => true,
            Self::NoCredentials { .. } => false,
        }
    }
}

/// Codes of services that are asked too much.
pub(crate) fn is_throttled(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "SlowDown"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "RequestTimeout"
            | "RequestTimeoutException"
            | "LimitExceededException"
    )
}

/// An error with everything behind it, each said once.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_call_names_the_right_that_is_missing() {
        let refused = |message: &str| CallError::Refused {
            code: "AccessDenied".into(),
            message: message.into(),
            action: "s3:PutObject",
            status: 403,
            request_id: "r".into(),
        };
        let said = refused("Access Denied").to_string();
        assert!(said.contains("the credentials need s3:PutObject"), "{said}");
        let said = refused("x is not authorized to perform: s3:PutObject").to_string();
        assert_eq!(said.matches("s3:PutObject").count(), 1, "{said}");
        assert!(!refused("").is_passing());
    }
}
