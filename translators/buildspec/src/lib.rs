//! The pivot of the house: whatever a job was written in becomes a [`Buildspec`].
//!
//! [`parse`] reads a buildspec and says everything that is wrong with it; [`write()`] prints one as a person
//! would write it; [`render`] and [`report`] show the diagnostics to people and programs.

mod diagnostic;
mod glob;
mod model;
mod on_failure;
mod parse;
mod render;
pub mod report;
pub mod shell;
mod strict;
mod suggest;
mod syntax;
mod translation;
mod write;
pub mod yaml;

pub use diagnostic::*;
pub use glob::glob_regex;
pub use model::*;
pub use parse::{Parsed, parse, parse_bytes};
pub use render::render;
pub use strict::strict_aws;
pub use suggest::nearest;
pub use translation::*;
pub use write::{Comments, write};
