//! CodeBuild's own API: its protocol, its signatures and its shapes, in front of this machine's projects and builds.
//!
//! Nothing here builds: what is asked for becomes a request for the engine, what the journal knows becomes an answer.

mod answer;
mod api;
mod credentials;
mod error;
mod keys;
mod operations;
mod pages;
mod private_file;
mod protocol;
mod request;
mod server;
mod shape;
mod signature;

pub use api::{Api, INITIATOR, Settings};
pub use credentials::SourceCredentials;
pub use error::{ApiError, StoreError};
pub use keys::{ApiKey, ApiKeys};
pub use server::{Server, serve};
