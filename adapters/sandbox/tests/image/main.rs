//! The image store against a real registry, against one that means harm, and on archives.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod archives;
mod docker;
mod eviction;
mod fake;
mod hostile;
mod pulls;
mod rig;
