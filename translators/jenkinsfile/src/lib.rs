//! Jenkinsfiles: text to a tree, to a model of Declarative Pipeline, to buildspecs.

pub mod declarative;
pub mod groovy;
mod translate;

pub use translate::{Context, translate};
