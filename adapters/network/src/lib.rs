//! A private network for each build, made over netlink and nf_tables, without other programs.
//!
//! A build's namespace gets one end of a veth pair and two addresses of a range: its own and the host's end. There is
//! no bridge, so nothing is shared between builds but a table of rules that says `runspan*` and never a build's name:
//! nothing in it can leak. What the kernel keeps is found again by the interface's name (`runspan<slot>`) and its alias
//! (the attempt), and it goes when the namespace goes.

mod check;
mod encode;
mod host;
mod links;
mod namespace;
mod nftables;
mod range;
mod resolver;
mod rules;
mod survey;
mod sysctl;

pub use check::unavailable;
pub use host::{HostNetwork, Settings};
pub use range::{ParseRangeError, Range};
