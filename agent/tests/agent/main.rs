//! The real agent under a supervisor of the tests.

mod commands;
mod supervisor;
