//! The job message: what an acquired job looks like on the wire.

mod context_data;
mod job;
mod steps;
mod token;
mod variables;

pub(crate) use context_data::encode;
pub(crate) use job::{Addresses, JobOrder, LegacyRequest, compose};
pub(crate) use token::{formatted, token};
