//! Where everything is in a store.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::ImageError;
use super::digest::Digest;
use super::lock::{Lock, Mode};

/// The paths of a store.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes what is not there, for its owner alone: layers hold other people's set-user-id files.
    pub(super) fn open(root: &Path) -> Result<Self, ImageError> {
        let make = |path: &Path| {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make", path))
        };
        make(root)?;
        // Layers unpacked as root and as an ordinary user differ in owners and marks.
        let user = rustix::process::geteuid().as_raw();
        let root = root.canonicalize().map_err(failed("find", root))?.join(format!("of-{user}"));
        for part in ["names", "images", "layers", "locks", "tmp"] {
            make(&root.join(part))?;
        }
        Ok(Self { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn names(&self) -> PathBuf {
        self.root.join("names")
    }

    pub(super) fn name(&self, name: &str) -> PathBuf {
        self.names().join(Digest::of(name.as_bytes()).hex())
    }

    pub(super) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    pub(super) fn image(&self, id: &Digest) -> PathBuf {
        self.images().join(id.hex())
    }

    pub(super) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(super) fn layer(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(diff_id.hex())
    }

    pub(super) fn lock(&self, of: &Digest) -> PathBuf {
        self.root.join("locks").join(of.hex())
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Held shared while records are written and work begins, exclusively while it is decided what to remove.
    pub(super) fn own_lock(&self, mode: Mode) -> Result<Lock, ImageError> {
        let path = self.root.join("lock");
        Lock::wait_at(&path, mode).map_err(failed("lock", &path))
    }

    /// Writes a file whole or not at all.
    pub(super) fn write(&self, path: &Path, content: &[u8]) -> Result<(), ImageError> {
        let _records = self.own_lock(Mode::Shared)?;
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(self.tmp())?;
            file.write_all(content)?;
            file.persist(path).map(drop).map_err(|error| error.error)
        };
        write().map_err(failed("write", path))
    }

    /// A directory for unfinished work.
    pub(super) fn work(&self) -> Result<Work, ImageError> {
        let _records = self.own_lock(Mode::Shared)?;
        let tmp = self.tmp();
        let make = || {
            let path = tempfile::Builder::new().prefix("work-").tempdir_in(&tmp)?.keep();
            let lock = Lock::try_on(File::open(&path)?, Mode::Exclusive)?;
            Ok(Work { path, _lock: lock })
        };
        make().map_err(failed("make a directory in", &tmp))
    }

    /// Removes what killed processes have left unfinished.
    pub(super) fn sweep(&self) -> Result<(), ImageError> {
        let tmp = self.tmp();
        let fail = failed("sweep", &tmp);
        let is_empty = || Ok(fs::read_dir(&tmp)?.next().is_none());
        if is_empty().map_err(&fail)? {
            return Ok(());
        }
        // Whoever holds this is beginning some work, and sweeping can wait.
        let path = self.root.join("lock");
        let Some(records) = Lock::try_at(&path, Mode::Exclusive).map_err(&fail)? else { return Ok(()) };
        let orphans = || {
            let mut orphans = Vec::new();
            for entry in fs::read_dir(&tmp)? {
                let path = entry?.path();
                if let Some(lock) = Lock::try_on(File::open(&path)?, Mode::Exclusive)? {
                    orphans.push((path, lock));
                }
            }
            Ok(orphans)
        };
        let orphans = orphans().map_err(&fail)?;
        drop(records);
        for (path, _lock) in orphans {
            remove_tree(&path).map_err(&fail)?;
        }
        Ok(())
    }
}

/// A directory for unfinished work, gone with this value unless it was moved to its place.
#[derive(Debug)]
pub(super) struct Work {
    path: PathBuf,
    _lock: Option<Lock>,
}

impl Work {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What cannot be removed now is swept later.
        let _swept_later = remove_tree(&self.path);
    }
}

/// Removes a file, or a tree whatever its modes.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let remove = || match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match remove() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // An ordinary user cannot empty a directory that is closed to its owner.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(path)?;
            remove()
        }
        other => other,
    }
}

fn unlock(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            unlock(&entry.path())?;
        }
    }
    Ok(())
}

/// What could not be done with a path.
pub(super) fn failed(doing: &'static str, path: impl AsRef<OsStr>) -> impl Fn(io::Error) -> ImageError {
    let path = PathBuf::from(path.as_ref());
    move |source| ImageError::Store { doing, path: path.clone(), source }
}
