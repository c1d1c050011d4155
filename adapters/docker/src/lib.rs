//! Executor on the Docker Engine API: Docker from 20.10 (API 1.41) on, and podman's compatible socket.
//!
//! A build is one container whose PID 1 is the agent, on a network of its own: one of the engine's, or a private one of
//! this machine where the engine's containers are within reach. All of the engine's carry [`ATTEMPT_LABEL`], so
//! that [`DockerExecutor::sweep`](runspan_engine::Executor::sweep) finds whatever a killed supervisor left. Exit
//! codes and logs of commands come from the agent alone; the engine's log driver is off.

mod build;
mod check;
mod endpoint;
mod engine;
mod executor;
mod join;
mod making;
mod pull;
mod remove;
mod spec;

pub use check::unreachable;
pub use executor::{DockerExecutor, settings};

/// Label of everything this executor makes; its value is the attempt.
pub const ATTEMPT_LABEL: &str = "dev.runspan.attempt";
