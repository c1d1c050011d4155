//! The registry's side of the distribution protocol: three requests, and all that can go wrong with them.

mod answer;
mod auth;
mod blob;
mod challenge;

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RANGE};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode};
use runspan_engine::image::{Login, Version};
use tokio::sync::Mutex;

use super::digest::Digest;
use super::manifest::{LONGEST, MANIFESTS, Manifest};
use super::names::Reference;
use answer::Trouble;

/// How long a registry is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until a connection is there.
    pub connect: Duration,
    /// Until the next byte comes.
    pub stall: Duration,
    /// How often a request is made again after trouble that may pass. A download that goes on counts anew.
    pub retries: u32,
    /// Before the first of these; each further one waits twice as long.
    pub backoff: Duration,
    /// What a registry may at most ask to wait.
    pub longest_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            retries: 4,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
        }
    }
}

/// One repository of a registry.
pub(super) struct Registry {
    http: Client,
    reference: Reference,
    base: String,
    login: Option<Login>,
    /// The credential helper that Docker would run.
    helper: Option<String>,
    patience: Patience,
    /// The header that was accepted last.
    authorization: Mutex<Option<HeaderValue>>,
}

impl Registry {
    pub(super) fn new(
        reference: Reference,
        login: Option<Login>,
        helper: Option<String>,
        patience: Patience,
    ) -> Result<Self, String> {
        let host = match reference.registry.as_str() {
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        let local = is_loopback(host);
        let mut http = Client::builder()
            .user_agent(concat!("runspan/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.connect)
            .read_timeout(patience.stall)
            .redirect(Policy::custom(follow));
        if local {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| format!("no client: {}", answer::chain(&error)))?;
        let scheme = if local { "http" } else { "https" };
        let base = format!("{scheme}://{host}/v2/{}", reference.repository);
        Ok(Self { http, reference, base, login, helper, patience, authorization: Mutex::new(None) })
    }

    /// The manifest of the reference's version, or of a digest that an index names, with its digest.
    pub(super) async fn manifest(&self, digest: Option<&Digest>) -> Result<(Digest, Manifest), String> {
        let pinned = match (&self.reference.version, digest) {
            (_, Some(digest)) => Some(digest.clone()),
            (Version::Digest(digest), None) => Some(Digest::try_from(digest.clone())?),
            (Version::Tag(_), None) => None,
        };
        let version = pinned.as_ref().map_or_else(|| self.reference.version().to_owned(), Digest::to_string);
        let response = self.get(&format!("manifests/{version}"), Some(MANIFESTS), 0).await?;
        let promised = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        let promised = promised.and_then(|digest| Digest::try_from(digest.to_owned()).ok());
        let text = self.short(response).await?;
        let digest = Digest::of(&text);
        match pinned.or(promised) {
            Some(wanted) if wanted != digest => Err(format!(
                "its manifest has the digest {digest}, not {wanted}; the registry, or somebody between, changes it"
            )),
            _ => Ok((digest, Manifest::parse(&text)?)),
        }
    }

    /// A small blob whole.
    pub(super) async fn document(&self, digest: &Digest) -> Result<Vec<u8>, String> {
        let text = self.short(self.get(&format!("blobs/{digest}"), None, 0).await?).await?;
        match Digest::of(&text) {
            found if found == *digest => Ok(text),
            found => Err(format!("its configuration has the digest {found}, and its manifest says {digest}")),
        }
    }

    async fn short(&self, mut response: Response) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.trouble(&error).into_reason())? {
            text.extend_from_slice(&chunk);
            if text.len() as u64 > LONGEST {
                return Err(format!("a manifest or configuration is longer than {LONGEST} bytes"));
            }
        }
        Ok(text)
    }

    /// A good answer, from this byte on where the registry can do that. Logs in, and tries again what may pass.
    async fn get(&self, path: &str, accept: Option<&str>, from: u64) -> Result<Response, String> {
        let mut tries = 0;
        loop {
            match self.attempt(path, accept, from).await {
                Ok(response) => return Ok(response),
                Err(Trouble::Lasting(reason)) => return Err(reason),
                Err(Trouble::Passing { reason, after }) => self.pause(&mut tries, reason, after).await?,
            }
        }
    }

    /// Waits before the next try, if there is to be one.
    async fn pause(&self, tries: &mut u32, reason: String, after: Option<Duration>) -> Result<(), String> {
        let Patience { retries, backoff, longest_wait, .. } = self.patience;
        if *tries >= retries {
            return Err(format!("{reason} (tried {} times)", *tries + 1));
        }
        let wait = after.unwrap_or(backoff.saturating_mul(1 << (*tries).min(16)));
        if wait > longest_wait {
            return Err(format!("{reason}; it asks to wait {} s, so try again later", wait.as_secs()));
        }
        *tries += 1;
        tokio::time::sleep(wait).await;
        Ok(())
    }

    async fn attempt(&self, path: &str, accept: Option<&str>, from: u64) -> Result<Response, Trouble> {
        let mut logged_in = false;
        loop {
            let authorization = self.authorization.lock().await.clone();
            let mut request = self.http.get(format!("{}/{path}", self.base));
            if let Some(accept) = accept {
                request = request.header(ACCEPT, accept);
            }
            if let Some(value) = &authorization {
                request = request.header(AUTHORIZATION, value);
            }
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let response = request.send().await.map_err(|error| self.trouble(&error))?;
            match response.status() {
                StatusCode::UNAUTHORIZED if !logged_in => {
                    logged_in = true;
                    self.log_in(&response, authorization.as_ref()).await?;
                }
                status if status.is_success() && is_web_page(&response) => {
                    return Err(Trouble::Lasting(self.web_page(&response)));
                }
                status if status.is_success() => return Ok(response),
                _ => return Err(self.refusal(response).await),
            }
        }
    }
}

/// Whether a registry is on this machine and may be spoken to in the clear, as Docker does.
fn is_loopback(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or(host);
    name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// Follows to storage elsewhere (without the login: that is the client's own rule), but never out of TLS.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let from_tls = attempt.previous().iter().any(|url| url.scheme() == "https");
    if from_tls && attempt.url().scheme() != "https" {
        return attempt.error("it redirects to an address without TLS");
    }
    match attempt.previous().len() {
        0..10 => attempt.follow(),
        _ => attempt.error("it redirects in circles"),
    }
}

fn is_web_page(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for local in ["localhost", "localhost:5000", "127.0.0.1", "127.8.9.1:80"] {
            assert!(is_loopback(local), "{local}");
        }
        for other in ["localhost.example", "127.0.0.1.example:80", "10.0.0.1:5000", "registry", "1270.0.0.1"]
        {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
