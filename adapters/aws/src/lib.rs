//! AWS as CodeBuild uses it: secrets in; artifacts, caches, logs, metrics and events out.
//!
//! Nothing is looked up, connected to or even constructed before a build needs it.

mod account;
mod alarms;
mod detail;
mod error;
mod events;
mod log_file;
mod logs;
mod metrics;
mod notices;
mod objects;
mod permissions;
mod remedy;
mod secrets;
mod signed;

pub use account::Account;
pub use alarms::Watch;
pub use events::EventBridge;
pub use log_file::S3Logs;
pub use logs::CloudWatchLogs;
pub use metrics::CloudWatchMetrics;
pub use notices::Topic;
pub use objects::S3;
pub use permissions::{PERMISSIONS, Permission, policy};
pub use secrets::Secrets;
