//! The artifact and cache services that actions speak to, on this machine's disk.
//!
//! Jobs reach it over connections that their agents hand on, so that it listens nowhere. A job that was admitted is known
//! by its own token; `actions/cache`, `actions/upload-artifact` and whatever speaks the same calls are answered here, in
//! the scopes that GitHub gave the job. What is not ours to answer goes on to GitHub.

mod disk;
mod error;
mod grant;
mod http;
mod jobs;
mod keys;
mod storage;

pub use error::StorageError;
pub use grant::{Grant, Scope};
pub use storage::{Artifacts, Settings, Storage};
