//! Executor of namespaces and overlays, without a daemon.
//!
//! A build is one process tree in namespaces of its own, whose PID 1 is the agent. The program starts *itself* for it
//! ([`enter`]): that process has one thread, so it can make namespaces, mount and fork, and stays as the agent's parent
//! to write down how it ended. Nothing else runs, and nothing is mounted in the machine's own namespace: when the
//! processes are gone, so are their mounts and networks. What stays is a directory for each attempt, which a sweep
//! finds.
//!
//! Why not `libcontainer` (youki): it is an OCI runtime, which wants a bundle, a state directory and three processes of
//! its own for each container, and brings some two hundred crates; starting with it cold takes 110 ms and about half of
//! `runc` warm. What a build needs of the kernel are some sixty calls, which `rustix` wraps; they take 5 ms.

mod ahead;
mod cgroup;
mod check;
mod executor;
mod host;
pub mod image;
mod init;
mod limits;
mod network;
mod placing;
mod process;
mod spec;
mod state;

pub use ahead::{Expected, WarmUp};
pub use executor::SandboxExecutor;
pub use init::enter;
pub use network::OpenNetworks;
