//! Who calls.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use super::App;
use crate::error::StorageError;
use crate::grant::Grant;
use crate::keys::Purpose;

/// A job that runs here, and the address by which it knows us.
pub(super) struct Caller {
    pub(super) grant: Arc<Grant>,
    base: String,
}

impl FromRequestParts<App> for Caller {
    type Rejection = super::refusals::Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let token = text(header::AUTHORIZATION).and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let grant = token.and_then(|token| app.jobs.of_token(token)).ok_or(StorageError::Unauthenticated)?;
        let host = text(header::HOST).unwrap_or("localhost");
        Ok(Self { grant, base: format!("http://{host}") })
    }
}

impl Caller {
    /// An address at which this job, and whoever it tells, may read or write something for a while.
    pub(super) fn address(&self, app: &App, purpose: Purpose, path: &str) -> String {
        let job = &self.grant.job;
        let (until, signature) = app.keys.sign(purpose, path, job);
        format!("{}/storage/{path}?job={job}&se={until}&sig={signature}", self.base)
    }
}
