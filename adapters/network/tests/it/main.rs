//! Private networks in namespaces of the tests' own, with a host and an internet that are namespaces too.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod isolation;
mod keeping;
mod neighbours;
mod world;
