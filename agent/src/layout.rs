//! Where things are in the container.

use std::path::{Path, PathBuf};

use runspan_agent_protocol::layout;

/// Variable that says, to the agent and its helper commands, what [`Layout::root`] is when it is not `/`.
pub(crate) const ROOT_VARIABLE: &str = "RUNSPAN_AGENT_ROOT";

/// The fixed places of [`layout`], all under one root: `/` in a container, any directory elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    agent: PathBuf,
}

impl Layout {
    /// The layout under a root, with the agent's own binary at `agent`.
    pub(crate) fn new(root: impl Into<PathBuf>, agent: PathBuf) -> Self {
        Self { root: root.into(), agent }
    }

    /// The root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The agent's own binary.
    pub(crate) fn agent(&self) -> &Path {
        &self.agent
    }

    /// A place of the container.
    pub(crate) fn place(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// [`layout::RUN_DIR`].
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.place(layout::RUN_DIR)
    }

    /// [`layout::SPOOL`].
    pub(crate) fn spool(&self) -> PathBuf {
        self.run_dir().join(layout::SPOOL)
    }

    /// [`layout::SUPERVISOR_SOCKET`].
    pub(crate) fn supervisor_socket(&self) -> PathBuf {
        self.run_dir().join(layout::SUPERVISOR_SOCKET)
    }

    /// [`layout::SHELL_SOCKET`].
    pub(crate) fn shell_socket(&self) -> PathBuf {
        self.run_dir().join(layout::SHELL_SOCKET)
    }

    /// [`layout::TMP_DIR`].
    pub(crate) fn tmp_dir(&self) -> PathBuf {
        self.place(layout::TMP_DIR)
    }

    /// [`layout::READONLY_DIR`].
    pub(crate) fn readonly_dir(&self) -> PathBuf {
        self.place(layout::READONLY_DIR)
    }

    /// [`layout::HELPER_DIR`].
    pub(crate) fn helper_dir(&self) -> PathBuf {
        self.place(layout::HELPER_DIR)
    }

    /// [`layout::HELPER_SOCKET`].
    pub(crate) fn helper_socket(&self) -> PathBuf {
        self.place(layout::HELPER_SOCKET)
    }
}
