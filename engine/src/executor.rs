//! The port to whatever gives a build its container.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use runspan_agent_protocol::Secret;

/// Gives containers. It places the agent as PID 1 and knows nothing of builds beyond their label; exit codes and
/// logs of commands never come from here.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Its name, as in `--executor`.
    fn name(&self) -> &'static str;

    /// Makes the image available, then starts a container whose PID 1 is the agent.
    ///
    /// # Errors
    /// [`ExecutorError`]; whatever was made before the failure is removed again.
    async fn place(
        &self,
        container: &Container,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Placement, ExecutorError>;

    /// Waits until the container has ended.
    ///
    /// # Errors
    /// When the engine cannot be asked, even after reconnecting.
    async fn observe(&self, placement: &Placement) -> Result<ContainerEnd, ExecutorError>;

    /// Kills the container at once; not an error when it is gone.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    async fn cancel(&self, placement: &Placement) -> Result<(), ExecutorError>;

    /// Removes the container and everything made for it; not an error when it is gone.
    ///
    /// # Errors
    /// When the engine cannot be asked or refuses.
    async fn collect(&self, placement: &Placement) -> Result<(), ExecutorError>;

    /// Removes every resource that carries our label and whose attempt `is_live` does not know.
    /// Returns one line for each thing removed.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    async fn sweep(
        &self,
        is_live: &(dyn for<'a> Fn(&'a str) -> bool + Send + Sync),
    ) -> Result<Vec<String>, ExecutorError>;

    /// What works on this machine and what does not, with the remedy.
    async fn check(&self) -> Vec<Check>;
}

/// What a build needs of a container.
#[derive(Clone, Debug)]
pub struct Container {
    /// `<build uuid>` of the build; unique for every attempt, and the label of every resource.
    pub attempt: String,
    /// What the build sees as `/`.
    pub root: RootFs,
    /// Login for the image's registry.
    pub registry_login: Option<RegistryLogin>,
    /// Limits.
    pub limits: Limits,
    /// `privilegedMode`, only when granted.
    pub privileged: bool,
    /// Mount the engine's own socket, only when granted.
    pub engine_socket: bool,
    /// The network of the container.
    pub network: Network,
    /// Host directory that becomes [`runspan_agent_protocol::layout::RUN_DIR`], writable.
    pub run_dir: PathBuf,
    /// Host path of the agent's binary, mounted read-only at [`runspan_agent_protocol::layout::AGENT`].
    pub agent: PathBuf,
    /// Host directories of a local cache, mounted at absolute paths.
    pub mounts: Vec<Mount>,
    /// What else is asked of the container itself.
    pub tuning: Tuning,
    /// Whether there are others beside it.
    pub company: Company,
}

/// What goes with a container. Companions share its network, so that each finds the others on the loopback interface;
/// they are collected with it, if not before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Company {
    /// Nothing.
    #[default]
    Alone,
    /// Companions may come, some of which see [`layout::SHARED`](runspan_agent_protocol::layout::SHARED) as it does.
    Expected,
    /// It goes with another, whose PID 1 is the agent of the build; its own serves that one at a socket.
    Beside(Beside),
}

/// A companion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The container that it goes with.
    pub host: Placement,
    /// Its name among the companions of that one: letters and digits.
    pub name: String,
    /// Whether it sees the same files in [`layout::SHARED`](runspan_agent_protocol::layout::SHARED).
    pub shares_files: bool,
}

/// What container engines take as options beside limits. An executor refuses, or warns of, what it has no way to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// `--hostname`.
    pub hostname: Option<String>,
    /// `--add-host`, and the names of companions.
    pub hosts: Vec<(String, IpAddr)>,
    /// `--shm-size`, in bytes.
    pub shm_bytes: Option<u64>,
    /// `--read-only`.
    pub read_only: bool,
    /// `--cap-drop`.
    pub dropped_capabilities: Vec<String>,
    /// `--ulimit`: name, soft and hard limit.
    pub ulimits: Vec<(String, i64, i64)>,
    /// `--tmpfs`: path and options.
    pub tmpfs: Vec<(String, String)>,
    /// `--label`.
    pub labels: Vec<(String, String)>,
    /// Volumes, which end with the build.
    pub volumes: Vec<Volume>,
}

/// A directory that is written to in the place of the image's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Containers of one build that name the same one share it.
    pub name: Option<String>,
    /// In the container, absolute.
    pub path: String,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// What a build sees as `/`. None of them is ever written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootFs {
    /// An image by its name, as in `aws/codebuild/standard:7.0`.
    Image(String),
    /// What this machine itself runs on, without its homes, credentials and state.
    Host,
    /// A directory of this machine.
    Directory(PathBuf),
    /// A tar file of this machine: of a root, or of an image.
    Archive(PathBuf),
    /// What comes of a Dockerfile.
    Built {
        /// A tar file of this machine: the files that it may use.
        context: PathBuf,
        /// Its path among them.
        dockerfile: String,
        /// A name for what comes of it, unique for the build.
        name: String,
    },
}

impl RootFs {
    /// What the name of an image means: `host`, the absolute path of a directory or of an archive, or an image.
    pub fn named(image: &str) -> Self {
        match image {
            "host" => Self::Host,
            path if path.starts_with('/') && Path::new(path).is_dir() => Self::Directory(path.into()),
            path if path.starts_with('/') => Self::Archive(path.into()),
            name => Self::Image(name.to_owned()),
        }
    }

    /// Whether it is this machine's own, and no image that anybody may name.
    pub const fn is_local(&self) -> bool {
        !matches!(self, Self::Image(_) | Self::Built { .. })
    }
}

impl fmt::Display for RootFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(name) => f.write_str(name),
            Self::Host => f.write_str("host"),
            Self::Directory(path) | Self::Archive(path) => path.display().fmt(f),
            Self::Built { dockerfile, .. } => f.write_str(dockerfile),
        }
    }
}

/// A host directory in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// On the host.
    pub host: PathBuf,
    /// In the container, absolute.
    pub container: String,
    /// Whether the build may write.
    pub writable: bool,
}

/// A registry's user name and password.
#[derive(Clone, Debug)]
pub struct RegistryLogin {
    /// User name.
    pub username: String,
    /// Password or token.
    pub password: Secret,
}

/// Limits of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Memory in bytes; none when absent.
    pub memory_bytes: Option<u64>,
    /// CPUs; none when absent.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub pids: u32,
}

/// The network of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// A network of its own, with a way out.
    #[default]
    Private,
    /// The same where it can be had, else the machine's own: only for sources of whoever runs the build.
    PrivateOrHost,
    /// The machine's own.
    Host,
    /// None but loopback.
    None,
}

/// A placed container: enough to find it again after a restart.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Placement {
    /// [`Executor::name`].
    pub executor: String,
    /// The executor's own id of the container.
    pub container: String,
    /// [`Container::attempt`].
    pub attempt: String,
    /// Digest or id of the image that was used.
    pub image_id: String,
    /// [`Beside::name`] of a companion, which alone is meant then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companion: Option<String>,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerEnd {
    /// Exit status of PID 1, where the engine knows it.
    pub exit_code: Option<i64>,
    /// Whether the kernel killed it for want of memory.
    pub out_of_memory: bool,
}

/// Progress of [`Executor::place`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The image is being pulled: bytes so far, bytes in all where known.
    Pulling {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// The container is being started.
    Starting,
    /// Something works with a loss, which the build's record should say.
    Warning(String),
}

/// One line of `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it stands.
    pub state: CheckState,
    /// What was found.
    pub finding: String,
}

/// How a [`Check`] stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// Good.
    Good,
    /// Works, with a loss.
    Warning {
        /// What to do about it.
        remedy: String,
    },
    /// Does not work.
    Bad {
        /// What to do about it.
        remedy: String,
    },
}

/// What an executor could not do.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The engine does not answer.
    #[error("{engine} does not answer: {reason}; {remedy}")]
    Unreachable {
        /// Which engine, and where.
        engine: String,
        /// Why.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The image cannot be had; CodeBuild's `BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE`.
    #[error("Unable to pull customer's container image. CannotPullContainerError: {reason}")]
    Image {
        /// The engine's own words.
        reason: String,
    },
    /// The machine refuses the container.
    #[error("cannot start a container of {image}: {reason}")]
    Start {
        /// The image.
        image: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Something else.
    #[error("{doing} failed: {reason}")]
    Other {
        /// What was being done.
        doing: String,
        /// Why.
        reason: String,
    },
}
