//! Executor without a daemon.

pub mod image;
