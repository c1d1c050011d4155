//! Containers beside the build's own: the first process of each (`server`), and the step of the build that asks it for
//! something (`client`).

mod client;
mod run;
mod server;

pub(crate) use client::main as client;
pub(crate) use server::main as server;

/// Mode: be the first process of a companion, whose image has this program.
pub(crate) const SERVE: &str = "--companion";
/// Mode: carry out an order, as a step of the build.
pub(crate) const ASK: &str = "--companions";
