//! Build, plan, lifecycle, journal and the traits others plug into.

pub mod artifacts;
pub mod batch;
pub mod build;
pub mod cache;
mod dispatcher;
pub mod environment;
mod event;
mod executor;
mod home;
pub mod image;
pub mod journal;
pub mod lifecycle;
pub mod link;
mod network;
pub mod plan;
pub mod ports;
pub mod private;
pub mod project;
pub mod registrations;
pub mod reports;
pub mod request;
mod shutdown;
pub mod sinks;
pub mod source;
pub mod steps;
pub mod supervisor;

pub use dispatcher::{Dispatcher, Refusal};
pub use event::Event;
pub use executor::*;
pub use home::*;
pub use network::*;
pub use shutdown::Shutdown;
pub use supervisor::{BuildHandle, Control, EngineError, Outcome, Supervisor, log_object};
