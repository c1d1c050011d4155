//! What to do about a refusal, where the service does not say it itself.

use crate::permissions::{PUBLISH, PUT_OBJECT};

/// Why a service says no, as far as somebody can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The credentials lack a right.
    Denied,
    /// They were good once.
    Expired,
    /// They never were.
    UnknownKeys,
    /// This machine's clock is off, or AWS would take the request.
    Clock,
    /// What was asked for is elsewhere.
    Region,
    /// It is not there, or elsewhere.
    Absent,
    /// The credentials may not use the key that something is encrypted with.
    KeyDenied,
    /// That key is not there, or cannot be used.
    KeyUnusable,
    /// Too much was asked.
    Throttled,
}

/// What a service says of a key that it was not let use, whatever its code is.
const KEY_DENIED: [&str; 3] = ["kms:", "access to kms", "customer master key"];

impl Cause {
    /// By the code and the message of an answer.
    pub(crate) fn of(code: &str, message: &str) -> Option<Self> {
        // Most services have one code for all that is wrong with a signature.
        if message.starts_with("Signature expired") || message.starts_with("Signature not yet current") {
            return Some(Self::Clock);
        }
        let cause = Self::of_code(code)?;
        let is_of_key = || {
            let message = message.to_ascii_lowercase();
            KEY_DENIED.iter().any(|said| message.contains(said))
        };
        Some(if cause == Self::Denied && is_of_key() { Self::KeyDenied } else { cause })
    }

    fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "AccessDenied"
            | "AccessDeniedException"
            | "AuthorizationError"
            | "AllAccessDisabled"
            | "Forbidden"
            | "403" => Self::Denied,
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => Self::Expired,
            "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "InvalidToken"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "IncompleteSignature" => Self::UnknownKeys,
            "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => Self::Clock,
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "301" => Self::Region,
            "ResourceNotFoundException" | "NotFound" | "NotFoundException" => Self::Absent,
            "KMSAccessDenied" | "KMSOptInRequired" | "DecryptionFailure" | "KMS.AccessDeniedException" => {
                Self::KeyDenied
            }
            "KMS.NotFoundException"
            | "KMS.DisabledException"
            | "KMS.InvalidStateException"
            | "KMS.KMSInvalidStateException"
            | "KMS.InvalidKeyUsageException"
            | "KMSNotFound"
            | "KMSDisabled"
            | "KMSInvalidState"
            | "InvalidKeyId" => Self::KeyUnusable,
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
            | "KMSThrottling"
            | "KMS.ThrottlingException" => Self::Throttled,
            _ => return None,
        })
    }

    /// Whether the same request may succeed later: by itself, or when whoever runs this machine has seen to it. It has
    /// nothing to do with the build.
    pub(crate) const fn is_passing(self) -> bool {
        match self {
            Self::Expired | Self::UnknownKeys | Self::Clock | Self::Throttled => true,
            Self::Denied | Self::Region | Self::Absent | Self::KeyDenied | Self::KeyUnusable => false,
        }
    }

    /// What to do. `region` is where it was looked for, or where it is.
    pub(crate) fn remedy(self, action: &str, region: Option<&str>) -> Option<String> {
        Some(match (self, region) {
            (Self::Denied, _) => {
                format!("the credentials need {action}; docs/aws.md has the whole policy")
            }
            (Self::Expired, _) => "the credentials have expired; sign in again or renew AWS_SESSION_TOKEN".into(),
            (Self::UnknownKeys, _) => {
                "AWS does not take these credentials; see AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                    .into()
            }
            (Self::Clock, _) => "AWS's clock and this machine's differ by minutes; set this one".into(),
            (Self::Region, Some(region)) => format!("the bucket is in {region}; set AWS_REGION to that"),
            (Self::Region, None) => "the bucket is in another region; set AWS_REGION to it".into(),
            (Self::Absent, Some(region)) => {
                format!("it was looked for in {region}; AWS_REGION names another region")
            }
            (Self::KeyDenied, _) => {
                format!("the credentials need {} on the key that it is encrypted with", on_key(action))
            }
            (Self::KeyUnusable, _) => {
                "see that this key is there, in the region of what it encrypts, and enabled".into()
            }
            (Self::Absent, None) | (Self::Throttled, _) => return None,
        })
    }
}

/// What a call asks of the key behind it.
fn on_key(action: &str) -> &'static str {
    match action {
        PUT_OBJECT | PUBLISH => "kms:GenerateDataKey and kms:Decrypt",
        _ => "kms:Decrypt",
    }
}
