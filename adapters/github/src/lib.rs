//! GitHub as a host: registers runners, takes jobs, reports results.
//!
//! The wire is that of GitHub's own runner as published (actions/runner, MIT) and as it was seen on github.com in
//! 2026: registration through the tenant's agent pools or the runner administration, then broker, run service and
//! results service.

mod api;
mod broker;
mod error;
mod http;
mod job;
mod key;
mod login;
mod oauth;
mod register;
mod registration;
mod run_service;
mod scope;

pub use api::{Api, JitRunner, Runner};
pub use broker::{Broker, JobOffer, Message, RunnerStatus, Session};
pub use error::GitHubError;
pub use job::*;
pub use key::RunnerKey;
pub use login::{AppKey, Login};
pub use oauth::{AccessToken, OAuth};
pub use register::{Registered, Request, register, unregister};
pub use registration::{Registration, RunnerIdentity};
pub use run_service::{Annotation, Completion, Conclusion, RunService, StepResult};
pub use scope::{Entity, Scope};
