//! The real agent under a supervisor of the tests.

mod commands;
mod ending;
mod supervisor;
mod wire;
