//! Build, plan, lifecycle, journal and the traits others plug into.

pub mod artifacts;
pub mod cache;
mod executor;
pub mod source;

pub use executor::*;
