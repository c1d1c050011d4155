//! Groovy 2.4 as far as pipelines use it: text to a tree with spans, and every fault with its place.
//!
//! Source of the facts: the grammar of Groovy 2.4, which Jenkins runs; a Jenkinsfile that Jenkins cannot read is
//! refused here too.

mod ast;
mod lexer;
mod parser;
mod token;

pub use ast::*;
pub use parser::{Parsed, parse};
