//! The root to be, by its descriptor: no path, and no link on it, leads out of it.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid, chmodat, chownat, mkdirat, openat, openat2, symlinkat,
    unlinkat,
};
use rustix::io::Errno;

use crate::spec::{Ids, Spec};

use super::fault::{Result, To as _};
use super::mounting::{attach, view};
use super::sys::Attributes;

/// The root, and who owns what is made in it.
pub(super) struct NewRoot {
    fd: OwnedFd,
    owner: Option<u32>,
}

impl NewRoot {
    pub(super) fn new(fd: OwnedFd, ids: Ids) -> Self {
        Self { fd, owner: owner(ids) }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn find(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.fd, path, flags | OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// What is at a path; `None` when nothing is.
    pub(super) fn existing(&self, path: &Path) -> io::Result<Option<OwnedFd>> {
        match self.find(path, OFlags::empty()) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A directory, made with its parents when it is not there.
    pub(super) fn directory(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        if let Ok(found) = self.find(path, OFlags::DIRECTORY) {
            return Ok(found);
        }
        let mut at = self.find(Path::new("/"), OFlags::DIRECTORY)?;
        let mut so_far = PathBuf::from("/");
        let mut names = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        while let Some(name) = names.next() {
            so_far.push(name);
            at = match self.find(&so_far, OFlags::DIRECTORY) {
                Ok(found) => found,
                Err(Errno::NOENT) => {
                    let is_last = names.clone().next().is_none();
                    make_directory(&at, Path::new(name), if is_last { mode } else { 0o755 }, self.owner)?;
                    self.find(&so_far, OFlags::DIRECTORY)?
                }
                Err(error) => return Err(error.into()),
            };
        }
        Ok(at)
    }

    /// A file, made empty when it is not there.
    pub(super) fn file(&self, path: &Path) -> io::Result<OwnedFd> {
        if let Some(found) = self.existing(path)? {
            return Ok(found);
        }
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&parent, &name, flags, Mode::from_raw_mode(0o644))?;
        own(&made, Path::new(""), self.owner)?;
        Ok(made)
    }

    pub(super) fn link(&self, path: &Path, target: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        match symlinkat(target, &parent, &name) {
            Ok(()) => own(&parent, &name, self.owner),
            Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn parent(&self, path: &Path) -> io::Result<(OwnedFd, PathBuf)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.directory(path.parent().unwrap_or(Path::new("/")), 0o755)?, name.into()))
    }

    /// Writes a file anew, in the place of whatever is there; nothing is followed.
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        match unlinkat(&parent, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let made = openat(&parent, &name, flags, Mode::from_raw_mode(0o644))?;
        own(&made, Path::new(""), self.owner)?;
        File::from(made).write_all(text.as_bytes())
    }

    /// Names of hosts and of those who know them.
    pub(super) fn settings(&self, spec: &Spec, resolv_conf: Option<&str>) -> Result<()> {
        let name = &spec.hostname;
        let mut hosts = format!("127.0.0.1\tlocalhost {name}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        for (name, address) in &spec.hosts {
            hosts.push_str(&format!("{address}\t{name}\n"));
        }
        let hostname = format!("{name}\n");
        let files = [
            ("hosts", Some(hosts.as_str())),
            ("hostname", Some(hostname.as_str())),
            ("resolv.conf", resolv_conf),
        ];
        for (file, text) in files {
            let Some(text) = text else { continue };
            let path = Path::new("/etc").join(file);
            let done = match self.write(&path, text) {
                // What belongs to others than an ordinary user, or is mounted, can only be covered.
                Err(error) if is_forbidden(&error) => self.cover(&spec.dir.join(file), &path, text),
                done => done,
            };
            done.to(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }

    /// Shows a file of the attempt's directory in the place of one of the machine.
    fn cover(&self, own: &Path, path: &Path, text: &str) -> io::Result<()> {
        let found = match self.existing(path)? {
            Some(found) => found,
            // A link into what is not shown.
            None => match std::fs::canonicalize(path) {
                Ok(target) if !target.starts_with("/etc") => self.file(&target)?,
                _ => return Ok(()),
            },
        };
        std::fs::write(own, text)?;
        attach(view(own, Attributes { read_only: true, harmless: true, ..Attributes::default() })?, found)
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | ResourceBusy)
}

/// Who root is outside; nobody needs to be told for an ordinary user, who owns what he makes.
pub(super) const fn owner(ids: Ids) -> Option<u32> {
    match ids {
        Ids::Shifted(first) => Some(first),
        Ids::Same => Some(0),
        Ids::User { .. } => None,
    }
}

/// Gives something to root inside.
pub(super) fn own(at: impl AsFd, name: &Path, owner: Option<u32>) -> io::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    let flags = if name.as_os_str().is_empty() { AtFlags::EMPTY_PATH } else { AtFlags::SYMLINK_NOFOLLOW };
    Ok(chownat(at, name, Some(Uid::from_raw(owner)), Some(Gid::from_raw(owner)), flags)?)
}

/// A new directory for root inside, with exactly this mode.
pub(super) fn make_directory(at: impl AsFd, name: &Path, mode: u32, owner: Option<u32>) -> io::Result<()> {
    match mkdirat(&at, name, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    own(&at, name, owner)?;
    Ok(chmodat(&at, name, Mode::from_raw_mode(mode), AtFlags::empty())?)
}
