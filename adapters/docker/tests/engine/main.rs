//! The executor against a real engine: Docker's, or whatever DOCKER_HOST names (podman's socket works too).

mod case;
mod faults;
mod hardening;
mod lifecycle;
