//! The language inside of `${{ }}`: read once, evaluated against any contexts.
//!
//! Source of the facts: the published runner and language services, and their conformance data.

mod error;
mod evaluate;
mod expr;
mod functions;
mod json;
mod number;
mod parse;
mod template;
mod token;
mod value;

pub use error::{Error, ErrorKind};
pub use evaluate::{Contexts, MAX_MEMORY, evaluate, evaluate_within};
pub use expr::{Comparison, Expr, Function, Kind};
pub use parse::{MAX_DEPTH, MAX_LENGTH, Scope, parse};
pub use template::{Segment, Template};
pub use value::{Array, Object, Value};
