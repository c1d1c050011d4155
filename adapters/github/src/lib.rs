//! GitHub as a host: registers runners, takes jobs, reports results.
//!
//! The wire is that of GitHub's own runner as published (actions/runner, MIT) and as it was seen on github.com in
//! 2026: registration through the tenant's agent pools or the runner administration, then broker, run service and
//! results service.

mod api;
mod assignment;
mod broker;
mod error;
mod http;
mod job;
mod job_api;
mod key;
mod launch;
mod lease;
mod login;
mod oauth;
mod register;
mod registration;
mod report;
mod results;
mod retry;
mod run_service;
mod runner;
mod scope;
mod store;
mod workshop;

pub use api::{Api, JitRunner, Runner};
use broker::{Broker, JobOffer, Message, RunnerStatus, Session};
pub use error::GitHubError;
pub use job::JobMessage;
pub use job_api::JobApi;
pub use key::RunnerKey;
pub use launch::{FoundAction, Launch};
pub use login::{AppKey, Login};
use oauth::OAuth;
pub use register::{Registered, Request, register, unregister};
pub use registration::{RUNNER_VERSION, Registration, RunnerIdentity};
pub use report::{Checks, Outline, OutlinedStep, Piece};
pub use run_service::Conclusion;
use run_service::RunService;
pub use runner::{Notes, Runner as ServedRunner, RunnerError, Shutdown};
pub use scope::{Entity, Scope};
pub use store::{Place, Store};
pub use workshop::{ENVIRONMENT_URL, Stop, Work, Workshop};
