//! The built program against real containers: what a user types, and what must come of it.
//!
//! Needs a container engine and the images of `tests/images/make`. Without them every test says SKIPPED and passes,
//! unless `RUNSPAN_REQUIRE_SERVICES=1`.

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
