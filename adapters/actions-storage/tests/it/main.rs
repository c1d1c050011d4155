//! GitHub's own clients, and callers that mean harm, against the storage.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod artifacts;
mod bench;
mod caches;
mod calls;
