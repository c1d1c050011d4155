//! Requests to services without their SDKs: signed, sent, tried again.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::Value;

use crate::account::{Account, own_endpoint};
use crate::error::{CallError, causes};

/// A service, as its requests name it.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// As environment and profiles name it, for endpoints.
    id: &'static str,
    /// Its name in signatures.
    name: &'static str,
    /// The first part of its host name.
    host: &'static str,
    /// What `X-Amz-Target` begins with.
    target: &'static str,
    /// The type of its requests in JSON.
    content_type: &'static str,
    /// Whether a request that may have arrived is sent again at once.
    tries_again: bool,
}

impl Service {
    /// One that speaks JSON 1.1.
    pub const fn new(id: &'static str, name: &'static str, target: &'static str) -> Self {
        Self { id, name, host: name, target, content_type: "application/x-amz-json-1.1", tries_again: true }
    }

    pub(crate) const fn host(self, host: &'static str) -> Self {
        Self { host, ..self }
    }

    pub(crate) const fn json_1_0(self) -> Self {
        Self { content_type: "application/x-amz-json-1.0", ..self }
    }

    /// The same, of which nothing that may have arrived is sent again.
    #[must_use]
    pub const fn once(self) -> Self {
        Self { tries_again: false, ..self }
    }
}

/// Before the second try; each later one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const DEFAULT_TRIES: u32 = 3;

impl Account {
    /// A call in AWS's JSON protocol. `action` is the IAM action, as in `ssm:GetParameters`.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn json(
        &self,
        service: Service,
        action: &'static str,
        body: &Value,
    ) -> Result<Value, CallError> {
        let operation = action.split_once(':').map_or(action, |(_, operation)| operation);
        let target = format!("{}.{operation}", service.target);
        let headers = [("content-type", service.content_type), ("x-amz-target", target.as_str())];
        let text = self.send(service, action, &headers, body.to_string()).await?;
        // Where there is nothing to say, nothing is said.
        serde_json::from_str(if text.is_empty() { "{}" } else { &text })
            .map_err(|error| CallError::Unanswered { action, reason: format!("no JSON: {error}") })
    }

    /// A call in AWS's query protocol; the answer is XML.
    pub(crate) async fn query(
        &self,
        service: Service,
        action: &'static str,
        form: &[(&str, &str)],
    ) -> Result<String, CallError> {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let body = form
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect::<Vec<_>>()
            .join("&");
        self.send(service, action, &headers, body).await
    }

    async fn send(
        &self,
        service: Service,
        action: &'static str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<String, CallError> {
        let config = self.config().await;
        let tries = if service.tries_again {
            config.retry_config().map_or(DEFAULT_TRIES, |retry| retry.max_attempts())
        } else {
            1
        };
        let mut pause = FIRST_PAUSE;
        for _ in 1..tries {
            match self.send_once(config, service, action, headers, &body).await {
                Err(error) if error.is_short() => tokio::time::sleep(pause).await,
                result => return result,
            }
            pause *= 2;
        }
        self.send_once(config, service, action, headers, &body).await
    }

    async fn send_once(
        &self,
        config: &SdkConfig,
        service: Service,
        action: &'static str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<String, CallError> {
        let unanswered =
            |error: &dyn std::error::Error| CallError::Unanswered { action, reason: causes(error) };
        let region = self.region().await;
        let url = own_endpoint(config, service.id).unwrap_or_else(|| endpoint(config, service.host, region));
        let url = format!("{}/", url.trim_end_matches('/'));
        let identity = self.credentials(action).await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service.name)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unanswered(&error))?
            .into();
        let signable =
            SignableRequest::new("POST", &url, headers.iter().copied(), SignableBody::Bytes(body.as_bytes()))
                .map_err(|error| unanswered(&error))?;
        let (signature, _) = sign(signable, &params).map_err(|error| unanswered(&error))?.into_parts();
        let client = self.http().await.map_err(|error| unanswered(&error))?;
        let mut request = client.post(&url).body(body.to_owned());
        for (name, value) in headers.iter().copied().chain(signature.headers()) {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|error| unanswered(&error.without_url()))?;
        let status = response.status();
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let request_id =
            header("x-amzn-requestid").or_else(|| header("x-amz-request-id")).unwrap_or_default();
        let error_type = header("x-amzn-errortype");
        let text = response.text().await.map_err(|error| unanswered(&error.without_url()))?;
        if status.is_success() {
            return Ok(text);
        }
        let (code, message) = said(&text, error_type.as_deref());
        Err(CallError::Refused {
            code: code.unwrap_or_else(|| status.as_u16().to_string()),
            message: message.unwrap_or_else(|| "no reason was given".into()),
            action,
            status: status.as_u16(),
            request_id,
            region: Some(region.to_owned()),
        })
    }
}

/// AWS's own endpoint of a service in a region.
fn endpoint(config: &SdkConfig, name: &str, region: &str) -> String {
    let fips = if config.use_fips() == Some(true) { "-fips" } else { "" };
    let domain = match (region.starts_with("cn-"), config.use_dual_stack() == Some(true)) {
        (true, true) => "api.amazonwebservices.com.cn",
        (true, false) => "amazonaws.com.cn",
        (false, true) => "api.aws",
        (false, false) => "amazonaws.com",
    };
    format!("https://{name}{fips}.{region}.{domain}")
}

/// Code and message of an answer that says no, in JSON or in XML.
fn said(text: &str, error_type: Option<&str>) -> (Option<String>, Option<String>) {
    if let Ok(json) = serde_json::from_str::<Value>(text) {
        let member = |names: [&str; 2]| names.iter().find_map(|name| json[*name].as_str()).map(str::to_owned);
        let code = error_type.map(str::to_owned).or_else(|| member(["__type", "code"]));
        // As in `com.amazonaws.ssm#InvalidParameters` and `Name:http://…`.
        let code = code.map(|code| {
            let code = code.split(':').next().unwrap_or_default();
            code.rsplit('#').next().unwrap_or_default().to_owned()
        });
        return (code, member(["message", "Message"]));
    }
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(value, _)| value.to_owned())
    };
    (element("Code"), element("Message"))
}

/// Percent-encoding of a form's value.
fn escaped(value: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_in_both_protocols() {
        let is = |text: &str, kind: Option<&str>| {
            let (code, message) = said(text, kind);
            (code.unwrap_or_default(), message.unwrap_or_default())
        };
        let expected = ("AccessDeniedException".to_owned(), "no".to_owned());
        assert_eq!(
            is(r#"{"__type":"com.amazonaws.ssm#AccessDeniedException","message":"no"}"#, None),
            expected
        );
        assert_eq!(is(r#"{"Message":"no"}"#, Some("AccessDeniedException:http://x/")), expected);
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDeniedException</Code><Message>no</Message>";
        assert_eq!(is(xml, None), expected);
        assert_eq!(is("<html>", None), Default::default());
    }
}
