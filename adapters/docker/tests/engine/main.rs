//! The executor against a real engine: Docker's, or whatever DOCKER_HOST names (podman's socket works too).
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod case;
mod faults;
mod hardening;
mod joined;
mod lifecycle;
