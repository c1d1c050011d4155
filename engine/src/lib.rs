//! Build, plan, lifecycle, journal and the traits others plug into.

mod executor;

pub use executor::*;
