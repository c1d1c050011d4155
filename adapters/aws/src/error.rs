//! What a service answered when it did not do what was asked, in one shape for all services.

use std::error::Error;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::RequestId;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;

use crate::remedy::Cause;

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The service said no.
    #[error("{}", refused(.code, .message, .action, .status, .request_id, .region.as_deref()))]
    Refused {
        /// As in `AccessDeniedException`.
        code: String,
        /// The service's words.
        message: String,
        /// The IAM action, as in `ssm:GetParameters`.
        action: &'static str,
        /// HTTP status.
        status: u16,
        /// For AWS's support.
        request_id: String,
        /// Where it was looked for; of a bucket that is elsewhere, where that is.
        region: Option<String>,
    },
    /// It did not answer, or not in time, or with nonsense.
    #[error("{action} is not answered: {reason}")]
    Unanswered {
        /// The IAM action.
        action: &'static str,
        /// Why.
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
        /// Why.
        reason: String,
    },
}

/// As CodeBuild's own SDK words it, with what to do where the service does not say it.
fn refused(
    code: &str,
    message: &str,
    action: &str,
    status: &u16,
    request_id: &str,
    region: Option<&str>,
) -> String {
    let mut text = format!("{code}: {message}\n\tstatus code: {status}, request id: {request_id}");
    // `… is not authorized to perform: kms:GenerateDataKey on resource: …` leaves nothing to be said.
    let cause = Cause::of(code, message).filter(|_| !message.contains("to perform: "));
    if let Some(remedy) = cause.and_then(|cause| cause.remedy(action, region)) {
        text = format!("{text}\n\t{remedy}");
    }
    text
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
                    region: answer.raw().headers().get("x-amz-bucket-region").map(str::to_owned),
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
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Unanswered { .. } | Self::NoCredentials { .. } => "",
        }
    }

    /// Whether the same request may succeed later, though nothing of the build or of its project changes.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused { code, message, status, .. } => {
                *status >= 500 || *status == 429 || Cause::of(code, message).is_some_and(Cause::is_passing)
            }
            Self::Unanswered { .. } | Self::NoCredentials { .. } => true,
        }
    }

    /// Whether asking again at once may help.
    pub(crate) fn is_short(&self) -> bool {
        match self {
            Self::Refused { code, message, status, .. } => {
                *status >= 500 || *status == 429 || Cause::of(code, message) == Some(Cause::Throttled)
            }
            Self::Unanswered { .. } => true,
            Self::NoCredentials { .. } => false,
        }
    }
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

    fn refused(code: &str, message: &str) -> CallError {
        CallError::Refused {
            code: code.into(),
            message: message.into(),
            action: "s3:PutObject",
            status: 400,
            request_id: "r".into(),
            region: Some("eu-west-1".into()),
        }
    }

    #[test]
    fn a_denied_call_names_the_right_that_is_missing() {
        let said = refused("AccessDenied", "Access Denied").to_string();
        assert!(said.contains("the credentials need s3:PutObject"), "{said}");
        let said = refused("AccessDenied", "x is not authorized to perform: s3:PutObject").to_string();
        assert_eq!(said.matches("s3:PutObject").count(), 1, "{said}");
        assert!(!refused("AccessDenied", "").is_passing());
    }

    #[test]
    fn a_key_that_may_not_be_used_is_not_taken_for_the_call() {
        let of_ssm = "The ciphertext refers to a customer master key that does not exist, does not exist in this region, \
                      or you are not allowed to access.";
        for (code, message, remedy) in [
            ("AccessDenied", "u is not authorized to perform: kms:GenerateDataKey on resource: k", ""),
            ("AccessDeniedException", of_ssm, "the credentials need kms:GenerateDataKey and kms:Decrypt"),
            ("AccessDeniedException", "Access to KMS is not allowed", "the credentials need kms:"),
            ("KMS.DisabledException", "k is disabled.", "in the region of what it encrypts, and enabled"),
        ] {
            let error = refused(code, message);
            assert!(!error.is_passing(), "{error}");
            let said = error.to_string();
            assert!(said.contains(remedy) && !said.contains("s3:PutObject"), "{said}");
        }
        assert!(refused("KMS.ThrottlingException", "").is_passing());
    }

    #[test]
    fn what_is_wrong_with_this_machine_does_not_count_against_a_build() {
        for (code, remedy) in [
            ("ExpiredToken", "sign in again"),
            ("InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
            ("RequestTimeTooSkewed", "clock"),
        ] {
            let error = refused(code, "");
            assert!(error.is_passing() && !error.is_short(), "{code}");
            assert!(error.to_string().contains(remedy), "{error}");
        }
        // The services that speak JSON have no code of their own for it.
        let late =
            refused("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than …");
        assert!(late.is_passing() && late.to_string().contains("clock"), "{late}");
        assert!(refused("SlowDown", "").is_short());
        let elsewhere = refused("PermanentRedirect", "");
        assert!(!elsewhere.is_passing());
        assert!(elsewhere.to_string().contains("the bucket is in eu-west-1"), "{elsewhere}");
    }
}
