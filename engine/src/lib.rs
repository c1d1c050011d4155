//! Build, plan, lifecycle, journal and the traits others plug into.

mod executor;
pub mod reports;

pub use executor::*;
