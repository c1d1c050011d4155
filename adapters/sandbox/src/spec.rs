//! What the executor tells the first process of a sandbox, and what that answers.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::host::Shown;

/// Processes of a container have so many user and group ids.
pub(crate) const IDS: u32 = 65_536;

/// A sandbox to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// The attempt's directory, which holds everything that is written.
    pub(crate) dir: PathBuf,
    pub(crate) root: Root,
    pub(crate) ids: Ids,
    pub(crate) network: Network,
    pub(crate) hostname: String,
    /// More lines of `/etc/hosts`.
    pub(crate) hosts: Vec<(String, IpAddr)>,
    /// Arguments of the agent.
    pub(crate) arguments: Vec<String>,
    /// Names of capabilities that are given up beside those that no sandbox has.
    pub(crate) dropped: Vec<String>,
    pub(crate) cgroups: Vec<Joined>,
    /// Processes and threads of one user inside; none when 0.
    pub(crate) processes: u32,
    pub(crate) binds: Vec<Bind>,
    pub(crate) environment: Vec<(String, String)>,
    /// The lock that keeps an image's layers.
    pub(crate) lease: Option<PathBuf>,
    /// All is made, and nothing started.
    pub(crate) is_rehearsal: bool,
}

/// Which network it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Network {
    /// One of its own.
    Own,
    /// The machine's.
    Machine,
    /// That of another process.
    Of(i32),
}

/// What becomes `/`, under a layer that is thrown away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Root {
    /// Directories over one another, the lowest first.
    Layers(Vec<PathBuf>),
    /// Parts of the machine's own root.
    Host(Vec<Shown>),
}

/// Who root is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ids {
    /// Nobody: [`IDS`] ids from this one on belong to this sandbox alone.
    Shifted(u32),
    /// Root, though without its rights: for file systems whose owners cannot be mapped.
    Same,
    /// The ordinary user who runs the program; there is nobody else.
    User { uid: u32, gid: u32 },
}

/// A cgroup that the sandbox is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Joined {
    /// Where it is on the machine.
    pub(crate) dir: PathBuf,
    /// Name of its directory in `/sys/fs/cgroup` inside; the very directory when absent.
    pub(crate) name: Option<String>,
}

/// A file or directory of the machine inside the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bind {
    pub(crate) host: PathBuf,
    pub(crate) container: PathBuf,
    pub(crate) writable: bool,
}

/// The second message to the first process: all that it waits for is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Go {
    /// Text of `/etc/resolv.conf`.
    pub(crate) resolv_conf: Option<String>,
}

/// What the first process tells, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// It is in its namespaces, so that a network can be given to it.
    Namespaces,
    /// Owners cannot be mapped, so root inside is root outside, without its rights.
    SameIds(String),
    /// The agent runs under this process id.
    Started(u32),
    /// Nothing runs.
    Failed(String),
}
