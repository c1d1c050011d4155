//! The real agent under a supervisor of the tests.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic as its body may")]

mod beside;
mod commands;
mod ending;
mod steps;
mod supervisor;
mod wire;
