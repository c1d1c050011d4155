//! Sandboxes on this kernel, without the real agent: PID 1 is a script that the test gives.
//!
//! Run as root they prove more: an ordinary user has no control groups and no user but one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod case;
mod hostile;
mod lifecycle;
