//! AWS's signature, version 4: whether a request comes from somebody who has the secret of its key.

use aws_lc_rs::{digest, hmac};
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use crate::error::{ApiError, StoreError};
use crate::keys::{ApiKey, hex};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far clocks may be apart.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// A presigned request may be good for a week.
const LONGEST_PRESIGNED: i64 = 7 * 24 * 60 * 60;
/// Nobody may change these on the way.
const MUST_BE_SIGNED: [&str; 4] = ["host", "x-amz-date", "x-amz-security-token", "x-amz-target"];

/// The key that signed this request.
pub(crate) fn verify(
    parts: &Parts,
    body: &[u8],
    now: Timestamp,
    find: impl FnOnce(&str) -> Result<Option<ApiKey>, StoreError>,
) -> Result<ApiKey, ApiError> {
    let query = query(parts.uri.query().unwrap_or_default());
    let claim = Claim::read(parts, &query)?;
    let key = find(claim.key)?.ok_or_else(|| {
        ApiError::new("UnrecognizedClientException", "The security token included in the request is invalid.")
    })?;
    claim.check_time(now)?;
    claim.check_headers(parts)?;
    let text = claim.string_to_sign(&claim.canonical_request(parts, &query, body));
    let signature = bytes(claim.signature).ok_or_else(mismatch)?;
    // It takes as long whatever differs.
    hmac::verify(&claim.signing_key(&key), text.as_bytes(), &signature).map_err(|_| mismatch())?;
    Ok(key)
}

fn mismatch() -> ApiError {
    ApiError::new(
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
         Access Key and signing method. Consult the service documentation for details.",
    )
}

fn incomplete(message: impl Into<String>) -> ApiError {
    ApiError::new("IncompleteSignatureException", message)
}

/// What a request says of its signature.
struct Claim<'a> {
    key: &'a str,
    /// `YYYYMMDD/region/service/aws4_request`.
    scope: &'a str,
    /// `YYYYMMDD`.
    day: &'a str,
    headers: Vec<&'a str>,
    signature: &'a str,
    /// `YYYYMMDDTHHMMSSZ`.
    date: &'a str,
    time: Timestamp,
    /// Of a presigned request: how many seconds it is good for.
    expires: Option<i64>,
}

impl<'a> Claim<'a> {
    fn read(parts: &'a Parts, query: &'a [(String, String)]) -> Result<Self, ApiError> {
        let of_query =
            |name: &str| query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let fields;
        let (credential, headers, signature, date, expires) = if let Some(text) =
            header(AUTHORIZATION.as_str())
        {
            let rest = text.strip_prefix(ALGORITHM).ok_or_else(|| {
                incomplete(format!(
                    "Unsupported AWS 'algorithm': '{}'.",
                    text.split(' ').next().unwrap_or_default()
                ))
            })?;
            fields = rest.split(',').filter_map(|field| field.trim().split_once('=')).collect::<Vec<_>>();
            let field = |name: &str| {
                let found = fields.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
                found.ok_or_else(|| incomplete(format!("Authorization header requires '{name}' parameter.")))
            };
            let date = header("x-amz-date").ok_or_else(|| {
                incomplete(
                    "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
                )
            })?;
            (field("Credential")?, field("SignedHeaders")?, field("Signature")?, date, None)
        } else if of_query("X-Amz-Algorithm") == Some(ALGORITHM) {
            let field = |name: &str| {
                of_query(name)
                    .ok_or_else(|| incomplete(format!("AWS query-string parameters must include '{name}'.")))
            };
            let expires = field("X-Amz-Expires")?.parse().ok();
            let expires =
                expires.filter(|seconds| (1..=LONGEST_PRESIGNED).contains(seconds)).ok_or_else(|| {
                    incomplete("X-Amz-Expires must be a number of seconds, at most a week of them.")
                })?;
            (
                field("X-Amz-Credential")?,
                field("X-Amz-SignedHeaders")?,
                field("X-Amz-Signature")?,
                field("X-Amz-Date")?,
                Some(expires),
            )
        } else {
            return Err(ApiError::new("MissingAuthenticationTokenException", "Missing Authentication Token"));
        };
        let (key, scope) = credential.split_once('/').unwrap_or((credential, ""));
        let parts: Vec<&str> = scope.split('/').collect();
        let [day, _region, _service, "aws4_request"] = parts[..] else {
            return Err(incomplete(format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{credential}'"
            )));
        };
        let time = DateTime::strptime("%Y%m%dT%H%M%SZ", date)
            .ok()
            .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC).ok())
            .map(|time| time.timestamp())
            .ok_or_else(|| incomplete(format!("Date must be in ISO-8601 'basic format'. Got '{date}'.")))?;
        Ok(Self { key, scope, day, headers: headers.split(';').collect(), signature, date, time, expires })
    }

    /// Whether the request was signed for now, and its key for today.
    fn check_time(&self, now: Timestamp) -> Result<(), ApiError> {
        let date = &self.date;
        if !date.starts_with(self.day) {
            return Err(ApiError::new(
                "InvalidSignatureException",
                format!(
                    "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', from '{date}'.",
                    self.day,
                    date.get(..8).unwrap_or_default()
                ),
            ));
        }
        let shown = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
        let (oldest, newest) = (now - SKEW, now + SKEW);
        if self.time > newest {
            return Err(ApiError::new(
                "InvalidSignatureException",
                format!(
                    "Signature not yet current: {date} is still later than {} ({} + 5 min.)",
                    shown(newest),
                    shown(now)
                ),
            ));
        }
        match self.expires {
            Some(seconds) if self.time + SignedDuration::from_secs(seconds) < now => {
                Err(ApiError::new("RequestExpired", "Request has expired."))
            }
            None if self.time < oldest => Err(ApiError::new(
                "InvalidSignatureException",
                format!(
                    "Signature expired: {date} is now earlier than {} ({} - 5 min.)",
                    shown(oldest),
                    shown(now)
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Whether everything is signed that decides what is done.
    fn check_headers(&self, parts: &Parts) -> Result<(), ApiError> {
        let open = MUST_BE_SIGNED
            .iter()
            .find(|name| parts.headers.contains_key(**name) && !self.headers.contains(*name));
        match open {
            Some(name) => Err(ApiError::new(
                "InvalidSignatureException",
                format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."),
            )),
            None => Ok(()),
        }
    }

    fn canonical_request(&self, parts: &Parts, query: &[(String, String)], body: &[u8]) -> String {
        let mut pairs: Vec<(String, String)> = query
            .iter()
            .filter(|(name, _)| self.expires.is_none() || name != "X-Amz-Signature")
            .map(|(name, value)| (encoded(name, false), encoded(value, false)))
            .collect();
        pairs.sort();
        let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers: String = self
            .headers
            .iter()
            .map(|name| {
                let values: Vec<String> = parts
                    .headers
                    .get_all(*name)
                    .iter()
                    .map(|value| {
                        String::from_utf8_lossy(value.as_bytes())
                            .split_whitespace()
                            .collect::<Vec<_>>()
                            .join(" ")
                    })
                    .collect();
                format!("{name}:{}\n", values.join(","))
            })
            .collect();
        format!(
            "{}\n{}\n{}\n{headers}\n{}\n{}",
            parts.method,
            encoded(parts.uri.path(), true),
            query.join("&"),
            self.headers.join(";"),
            sha256(body)
        )
    }

    fn string_to_sign(&self, canonical_request: &str) -> String {
        format!("{ALGORITHM}\n{}\n{}\n{}", self.date, self.scope, sha256(canonical_request.as_bytes()))
    }

    fn signing_key(&self, key: &ApiKey) -> hmac::Key {
        let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", key.secret.reveal()).as_bytes());
        self.scope.split('/').fold(first, |key, part| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
        })
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The parameters of a query, decoded.
fn query(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes_of = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        match escaped.and_then(|digits| bytes(std::str::from_utf8(digits).ok()?)) {
            Some(byte) => {
                bytes_of.extend(byte);
                rest = &after[2..];
            }
            None => {
                bytes_of.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes_of).into_owned()
}

/// Percent-encoding by AWS's rules.
fn encoded(text: &str, is_path: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (is_path && byte == b'/') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex(&[byte]).to_uppercase());
        }
    }
    encoded
}

/// The bytes that hexadecimal digits are.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use hyper::Request;
    use runspan_agent_protocol::Secret;

    use super::*;

    fn key() -> ApiKey {
        ApiKey {
            name: "me".into(),
            id: "AKIDEXAMPLE".into(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            created: Timestamp::UNIX_EPOCH,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn check(parts: &Parts, body: &[u8], now: &str) -> Result<String, &'static str> {
        let find = |id: &str| Ok(Some(key()).filter(|key| key.id == id));
        verify(parts, body, at(now), find).map(|key| key.name).map_err(|error| error.code)
    }

    /// The example of AWS's own test suite, `get-vanilla-query-order-key-case`.
    fn example(authorization: &str) -> Parts {
        let request = Request::get("/?Param2=value2&Param1=value1")
            .header("host", "example.amazonaws.com")
            .header("x-amz-date", "20150830T123600Z")
            .header("authorization", authorization)
            .body(());
        request.unwrap().into_parts().0
    }

    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
        SignedHeaders=host;x-amz-date, \
        Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";

    #[test]
    fn a_signature_of_awss_own_example_holds() {
        assert_eq!(check(&example(SIGNED), b"", "2015-08-30T12:36:30Z"), Ok("me".into()));
    }

    #[test]
    fn whatever_is_changed_breaks_it() {
        let invalid = Err("InvalidSignatureException");
        assert_eq!(check(&example(SIGNED), b"x", "2015-08-30T12:36:00Z"), invalid);
        let other = SIGNED.replace("500", "501");
        assert_eq!(check(&example(&other), b"", "2015-08-30T12:36:00Z"), invalid);
        for wrong in ["Signature=", "Signature=zz", "Signature=b9"] {
            let cut = format!("{}{wrong}", SIGNED.split("Signature=").next().unwrap());
            assert_eq!(check(&example(&cut), b"", "2015-08-30T12:36:00Z"), invalid, "{wrong}");
        }
        let mut moved = example(SIGNED);
        moved.headers.insert("host", "other.example".parse().unwrap());
        assert_eq!(check(&moved, b"", "2015-08-30T12:36:00Z"), invalid);
        let mut aimed = example(SIGNED);
        aimed.headers.insert("x-amz-target", "CodeBuild_20161006.DeleteProject".parse().unwrap());
        assert_eq!(check(&aimed, b"", "2015-08-30T12:36:00Z"), invalid);
    }

    #[test]
    fn clocks_may_be_five_minutes_apart() {
        for (now, holds) in [
            ("2015-08-30T12:41:00Z", true),
            ("2015-08-30T12:41:01Z", false),
            ("2015-08-30T12:31:00Z", true),
            ("2015-08-30T12:30:59Z", false),
        ] {
            assert_eq!(check(&example(SIGNED), b"", now).is_ok(), holds, "{now}");
        }
        let find = |_: &str| Ok(Some(key()));
        let error = verify(&example(SIGNED), b"", at("2015-08-30T13:00:00Z"), find).unwrap_err();
        assert_eq!(
            error.message,
            "Signature expired: 20150830T123600Z is now earlier than 20150830T125500Z (20150830T130000Z - 5 min.)"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let now = "2015-08-30T12:36:00Z";
        let bare = Request::get("/").body(()).unwrap().into_parts().0;
        assert_eq!(check(&bare, b"", now), Err("MissingAuthenticationTokenException"));
        let stranger = SIGNED.replace("AKIDEXAMPLE", "AKIDOTHER");
        assert_eq!(check(&example(&stranger), b"", now), Err("UnrecognizedClientException"));
        for cut in ["Basic bWU6bWU=", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b"] {
            assert_eq!(check(&example(cut), b"", now), Err("IncompleteSignatureException"), "{cut}");
        }
        let yesterday = SIGNED.replace("20150830/", "20150829/");
        assert_eq!(check(&example(&yesterday), b"", now), Err("InvalidSignatureException"));
    }
}
