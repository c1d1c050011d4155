//! GitHub Actions: its files, and what they are as buildspecs.

pub mod message;
pub mod model;
mod native;
mod translate;

pub use translate::{Context, translate};
