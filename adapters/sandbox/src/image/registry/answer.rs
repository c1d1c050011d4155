//! What a registry's bad answers mean, in words for who waits for the image.

use std::error::Error;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use super::{Registry, is_web_page};

/// More of an answer is not read for a message.
const LONGEST_WORDS: usize = 8 << 10;

/// Why there is no good answer.
pub(super) enum Trouble {
    /// Asking again would not help.
    Lasting(String),
    /// It may be gone in a moment.
    Passing { reason: String, after: Option<Duration> },
}

impl Trouble {
    pub(super) fn into_reason(self) -> String {
        match self {
            Self::Lasting(reason) | Self::Passing { reason, .. } => reason,
        }
    }
}

impl Registry {
    /// A request that got no answer, or an answer that broke off.
    pub(super) fn trouble(&self, error: &reqwest::Error) -> Trouble {
        let registry = &self.reference.registry;
        let why = chain(error);
        if error.is_redirect() {
            return Trouble::Lasting(format!("{registry} cannot be used: {why}"));
        }
        let reason = if error.is_timeout() && !error.is_connect() {
            format!("{registry} sends nothing for {} s", self.patience.stall.as_secs_f32())
        } else if error.is_connect() {
            format!("{registry} cannot be reached: {why}; is the name right, and is a proxy needed?")
        } else {
            format!("the connection to {registry} broke: {why}")
        };
        Trouble::Passing { reason, after: None }
    }

    /// An answer that is a refusal.
    pub(super) async fn refusal(&self, response: Response) -> Trouble {
        let registry = &self.reference.registry;
        let status = response.status();
        let after = retry_after(&response);
        let page = is_web_page(&response);
        let words = if page { String::new() } else { words(response).await };
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        match status {
            StatusCode::UNAUTHORIZED => Trouble::Lasting(self.unauthorized(&said)),
            StatusCode::FORBIDDEN => Trouble::Lasting(format!(
                "{registry} forbids it (403){said}; {}",
                match &self.login {
                    Some(login) => format!("may {} read this repository?", login.login.username),
                    None => self.how_to_log_in(),
                }
            )),
            StatusCode::NOT_FOUND => Trouble::Lasting(format!(
                "{registry} has no such image (404){said}; is {} its name, and {} its tag or digest?",
                self.reference.repository,
                self.reference.version()
            )),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                Trouble::Lasting(format!("{registry} has less of a layer than its manifest says (416)"))
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let hint = if self.login.is_none() { "; with a login the limit is higher" } else { "" };
                Trouble::Passing { reason: format!("{registry} limits requests (429){said}{hint}"), after }
            }
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                let reason = format!("{registry} is in trouble itself ({}){said}", status.as_u16());
                Trouble::Passing { reason, after }
            }
            status if page => {
                Trouble::Lasting(format!("{registry} answers {} with a web page", status.as_u16()))
            }
            status => Trouble::Lasting(format!("{registry} answers {}{said}", status.as_u16())),
        }
    }

    /// A page where a manifest or a layer should be.
    pub(super) fn web_page(&self, response: &Response) -> String {
        format!(
            "{} answers with a web page; is there a registry at {}, or a proxy or a network's login page before it?",
            self.reference.registry,
            response.url().origin().ascii_serialization()
        )
    }

    fn unauthorized(&self, said: &str) -> String {
        let registry = &self.reference.registry;
        match &self.login {
            Some(login) => {
                format!("{registry} refuses the login of {:?} (401){said}", login.login.username)
            }
            None => format!(
                "{registry} wants a login (401){said}, or the image does not exist; {}",
                self.how_to_log_in()
            ),
        }
    }

    /// What to do without a login.
    pub(super) fn how_to_log_in(&self) -> String {
        let registry = &self.reference.registry;
        match &self.helper {
            Some(helper) => format!(
                "Docker's settings name the credential helper {helper:?} for {registry}; helpers are never run: give \
                 the project a registryCredential"
            ),
            None => format!("give the project a registryCredential, or run `docker login {registry}`"),
        }
    }
}

/// An error with its causes, each said once.
pub(super) fn chain(error: &dyn Error) -> String {
    // The first only repeats the address, which may hold what is nobody's business.
    let mut cause = error.source();
    let mut text = String::new();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = if text.is_empty() { said } else { format!("{text}: {said}") };
        }
        cause = error.source();
    }
    if text.is_empty() { "it ended early".into() } else { text }
}

/// How long the registry asks to wait; dates are not read.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The registry's own words.
async fn words(mut response: Response) -> String {
    #[derive(Deserialize)]
    struct Envelope {
        errors: Vec<Fault>,
    }
    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Fault {
        code: String,
        message: String,
    }
    let mut text = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        text.extend_from_slice(&chunk);
        if text.len() > LONGEST_WORDS {
            break;
        }
    }
    let faults =
        serde_json::from_slice::<Envelope>(&text).map(|envelope| envelope.errors).unwrap_or_default();
    let words: Vec<&str> = faults
        .iter()
        .take(3)
        .map(|fault| if fault.message.is_empty() { fault.code.as_str() } else { fault.message.as_str() })
        .collect();
    words.join("; ").chars().filter(|letter| !letter.is_control()).take(300).collect()
}
