//! The built program as a runner of a GitHub that is not GitHub: what a workflow promises, and what must come of it
//! whatever goes wrong on the way. Jobs run in the sandbox on this machine's own root, which needs no image.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod github_act;
mod github_action;
mod github_bench;
mod github_checks;
mod github_containers;
mod github_crash;
mod github_faults;
mod github_flow;
mod github_labels;
mod github_secrets;
mod github_sequence;
mod github_storage;
mod github_workflows;
mod serving;
