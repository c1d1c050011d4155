//! The same tests against the sandbox, which needs no engine, only the roots of `tests/images/make`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aws;
mod batches;
mod chaos;
mod concurrency;
mod crash;
mod escapes;
mod examples;
mod faults;
mod harness;
mod identity;
mod journal;
mod pauses;
mod pipelines;
mod registry;
mod secrets;
mod source_tree;
mod sources;
mod steps;
mod stopping;
