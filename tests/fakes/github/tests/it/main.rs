//! The fake from outside: plain HTTP, as the facts have it, and a runner that is not ours.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod api;
mod corpus;
mod faults;
mod jobs;
mod queue;
mod real_runner;
mod registration;
mod reporting;
mod runner;
mod workflows;
