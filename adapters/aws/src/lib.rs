//! AWS as CodeBuild uses it: secrets in; artifacts, caches, logs, metrics and events out.
//!
//! Nothing is looked up, connected to or even constructed before a build needs it.

mod account;
mod alarms;
mod detail;
mod error;
mod events;
mod identity;
mod log_file;
mod logs;
mod metrics;
mod notices;
mod objects;
mod permissions;
mod remedy;
mod secrets;
mod signed;

pub use account::{Account, Keys};
pub use alarms::Watch;
pub use error::CallError;
pub use events::EventBridge;
pub use identity::Identities;
pub use log_file::S3Logs;
pub use logs::CloudWatchLogs;
pub use metrics::CloudWatchMetrics;
pub use notices::{Topic, is_event};
pub use objects::S3;
pub use permissions::{PERMISSIONS, Permission, pipeline, policy};
pub use secrets::Secrets;
pub use signed::Service;
