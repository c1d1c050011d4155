//! Declarative Pipeline: what is in `pipeline { … }`, judged as Jenkins judges it.

mod ast_json;
mod model;
mod names;
mod read;
mod source_text;
mod validate;

pub use ast_json::ast_json;
pub use model::*;
pub(crate) use names::POST as POST_ORDER;
pub use read::{Read, read};
pub use validate::validate;
