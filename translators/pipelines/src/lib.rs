//! bitbucket-pipelines.yml becomes buildspecs.
//!
//! [`translate`] reads the whole file and accounts for each of its keys; of its pipelines the chosen one becomes the
//! jobs of a batch, one a step.

mod account;
mod artifacts;
mod caches;
mod context;
mod definitions;
mod draft;
mod field;
mod file;
mod glob;
mod import;
mod pipe;
mod pipeline;
mod script;
mod services;
mod settings;
mod shell_text;
mod step;
mod variables;

pub use context::{Context, Selection};
pub use file::{pipelines, translate};
