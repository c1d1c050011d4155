//! Workflow and action files as values that know their places.
//!
//! Source of the facts: GitHub's documentation, "Workflow syntax" and "Metadata syntax".

mod action;
mod field;
mod job;
mod needs;
mod reader;
mod step;
mod workflow;

pub use action::{Action, Runs};
pub use field::{Defaults, Field, Text, Variable};
pub use job::{Call, Container, Job, Matrix, Strategy};
pub use step::{Step, Work};
pub use workflow::{Event, Workflow};

pub(crate) use needs::order;

use reader::Reader;
use runspan_buildspec::{Diagnostic, yaml};

/// Reads a workflow: as much of it as there is, and everything that is wrong with it.
pub fn workflow<'a>(source: &str, tree: &'a yaml::Node) -> (Workflow<'a>, Vec<Diagnostic>) {
    let mut reader = Reader::new(source);
    let workflow = workflow::read(tree, &mut reader);
    needs::check(&workflow, &mut reader);
    (workflow, reader.diagnostics())
}

/// Reads an `action.yml`, the same way.
pub fn action<'a>(source: &str, tree: &'a yaml::Node) -> (Action<'a>, Vec<Diagnostic>) {
    let mut reader = Reader::new(source);
    let action = action::read(tree, &mut reader);
    (action, reader.diagnostics())
}
