//! Workflow files: reading them, and what GitHub itself evaluates of them.

mod coercion;
mod expression;
mod functions;
mod inputs;
mod matrix;
mod node;
mod syntax;
mod template;
mod trigger;

pub(crate) use coercion::{text, truthy};
pub use expression::{ExpressionError, Scope, Status, evaluate};
pub use inputs::dispatch_inputs;
pub use matrix::{Combination, combinations};
pub use node::{Node, NodeKind};
pub use syntax::{Job, Workflow, WorkflowError};
pub use template::{Piece, interpolate, mentions_status, pieces, resolve};
pub(crate) use template::{condition, guarded};
pub use trigger::{Event, triggers};
