//! The agent: PID 1 of a build's container.

pub mod files;
