//! The port to wherever actions and the programs they need come from.

use std::path::PathBuf;

use async_trait::async_trait;

use super::contexts::ActionArchive;
use super::uses::ActionRef;

/// Fetches actions and their runtimes, and keeps them.
#[async_trait]
pub trait ActionSource: Send + Sync {
    /// The archive of an action's repository: a tar.gz with one directory at its top. `known` is where the host says
    /// that it is.
    ///
    /// # Errors
    /// [`ActionError`].
    async fn action(&self, action: &ActionRef, known: Option<&ActionArchive>)
    -> Result<PathBuf, ActionError>;

    /// The program `node` of a major version, for images with glibc.
    ///
    /// # Errors
    /// [`ActionError`].
    async fn node(&self, version: u32, architecture: Architecture) -> Result<PathBuf, ActionError>;
}

/// What a program is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// `x86_64`.
    X64,
    /// `aarch64`.
    Arm64,
}

impl Architecture {
    /// By the name that `uname -m` prints.
    pub fn of_machine(name: &str) -> Option<Self> {
        match name {
            "x86_64" => Some(Self::X64),
            "aarch64" | "arm64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// As node's archives and `runner.arch` have it, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X64 => "x64",
            Self::Arm64 => "arm64",
        }
    }
}

/// Why an action cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ActionError(pub String);

/// No source of actions: only those of the workspace can be used.
#[derive(Clone, Copy, Debug)]
pub struct NoActions;

#[async_trait]
impl ActionSource for NoActions {
    async fn action(&self, action: &ActionRef, _: Option<&ActionArchive>) -> Result<PathBuf, ActionError> {
        Err(ActionError(format!("Unable to resolve action `{action}`: no server for actions is configured")))
    }

    async fn node(&self, version: u32, _: Architecture) -> Result<PathBuf, ActionError> {
        Err(ActionError(format!("no server for node {version} is configured")))
    }
}
