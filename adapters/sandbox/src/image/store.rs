//! The store.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use runspan_engine::{Progress, RegistryLogin};
use serde::{Deserialize, Serialize};

use super::ImageError;

/// Images of one user on one machine; any number of processes may use it at once.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "the interface comes first")]
pub struct Store {
    root: PathBuf,
    settings: Settings,
}

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// More bytes than this are not kept: whatever was not used for longest goes first.
    pub limit: u64,
    /// Where Docker's `config.json` is, for its logins.
    pub docker_config: Option<PathBuf>,
}

/// An image, ready to be used for as long as this value lives.
#[derive(Debug)]
pub struct Image {
    /// The digest of its configuration; `dir:<path>` for a plain directory.
    pub id: String,
    /// As it was asked for.
    pub name: String,
    /// Its layers, the lowest first; each can be a `lowerdir` of an overlay as it is. They are never to be written
    /// to.
    pub layers: Vec<PathBuf>,
    /// What it says about its processes.
    pub config: ImageConfig,
    /// Keeps the layers.
    pub lease: Lease,
}

/// What an image says about its processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// `NAME=value`.
    pub env: Vec<String>,
    /// `user[:group]`, by name or number; empty for root.
    pub user: String,
    /// Empty for `/`.
    pub working_dir: String,
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub cmd: Vec<String>,
}

/// The right to use an image's layers, across processes: a shared `flock`, which the kernel gives back when the last
/// process that has the descriptor is gone. A process that inherits the descriptor keeps the layers too.
#[derive(Debug)]
pub struct Lease(Option<OwnedFd>);

impl Lease {
    /// The descriptor that holds the lock; none for a plain directory, which nobody evicts.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }
}

/// One image of the store, as `images list` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Stored {
    /// Its id.
    pub id: String,
    /// The names it has.
    pub names: Vec<String>,
    /// Bytes of its layers.
    pub bytes: u64,
    /// Bytes of the layers that no other image has.
    pub own_bytes: u64,
    /// How many layers.
    pub layers: usize,
    /// When a build last used it.
    pub last_used: SystemTime,
    /// Whether a build uses it now.
    pub in_use: bool,
}

/// What was removed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Freed {
    /// Images, by name or id.
    pub images: Vec<String>,
    /// Bytes of their layers.
    pub bytes: u64,
}

impl Store {
    /// Opens the store in this directory, made where absent, and sweeps what killed processes left in it.
    ///
    /// # Errors
    /// [`ImageError::Store`].
    pub fn open(directory: &Path, settings: Settings) -> Result<Self, ImageError> {
        Ok(Self { root: directory.to_owned(), settings })
    }

    /// The image of this name: the one that is here, without asking anybody, else pulled.
    ///
    /// A name that starts with `/`, `./` or `../` is a path: of a directory (used in place), of a tar of a root file
    /// system, of what `docker save` wrote, or of an OCI layout (an archive or a directory).
    ///
    /// # Errors
    /// [`ImageError`]; nothing is left behind.
    pub async fn resolve(
        &self,
        name: &str,
        login: Option<&RegistryLogin>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Image, ImageError> {
        match self.present(name)? {
            Some(image) => Ok(image),
            None => self.pull(name, login, progress).await,
        }
    }

    /// The image of this name as its registry has it now.
    ///
    /// # Errors
    /// As for [`Self::resolve`].
    pub async fn pull(
        &self,
        name: &str,
        _login: Option<&RegistryLogin>,
        _progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Image, ImageError> {
        Err(ImageError::Unknown(name.to_owned()))
    }

    /// The image of this name or id when it is here.
    ///
    /// # Errors
    /// [`ImageError::Name`], [`ImageError::Store`].
    pub fn present(&self, _name: &str) -> Result<Option<Image>, ImageError> {
        Ok(None)
    }

    /// Every image, the last used first.
    ///
    /// # Errors
    /// [`ImageError::Store`].
    pub fn list(&self) -> Result<Vec<Stored>, ImageError> {
        Ok(Vec::new())
    }

    /// Takes a name from its image, and removes the image with its last name.
    ///
    /// # Errors
    /// [`ImageError::Unknown`], [`ImageError::InUse`], [`ImageError::Store`].
    pub fn remove(&self, name: &str) -> Result<Freed, ImageError> {
        Err(ImageError::Unknown(name.to_owned()))
    }

    /// Removes images that nothing uses, the least recently used first, until at most this many bytes are left.
    ///
    /// # Errors
    /// [`ImageError::Store`].
    pub fn prune(&self, _keep: u64) -> Result<Freed, ImageError> {
        Ok(Freed::default())
    }
}
