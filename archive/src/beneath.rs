//! A directory that names cannot lead out of.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, linkat, mkdirat, openat, symlinkat, unlinkat};
use rustix::io::Errno;

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A directory in which files are made by component lists, each component opened on its own and (unless asked
/// otherwise) never through a symbolic link, so no link can lead out of it, whoever made it and whenever.
#[derive(Debug)]
pub struct Beneath {
    root: OwnedFd,
    follow: bool,
    // Open directories of the last path; the next path mostly shares them.
    open: Vec<(OsString, OwnedFd)>,
}

impl Beneath {
    /// Opens a directory, which may itself be reached through links.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn open(directory: &Path, follow_links: bool) -> io::Result<Self> {
        let root = rustix::fs::open(directory, DIRECTORY, Mode::empty())?;
        Ok(Self { root, follow: follow_links, open: Vec::new() })
    }

    /// Opens, and makes where absent, the directory of these components.
    ///
    /// # Errors
    /// `NotADirectory` when a component is a link or a file.
    pub fn directory(&mut self, parts: &[&OsStr]) -> io::Result<BorrowedFd<'_>> {
        let shared =
            self.open.iter().zip(parts).take_while(|((name, _), part)| name.as_os_str() == **part).count();
        self.open.truncate(shared);
        for part in &parts[shared..] {
            let parent = self.open.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd());
            let fd = open_or_make(parent, part, self.follow)?;
            self.open.push(((*part).to_owned(), fd));
        }
        Ok(self.open.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd()))
    }

    /// Makes a file, in place of whatever but a directory has its name.
    ///
    /// # Errors
    /// Those of the system; `IsADirectory` when a directory has its name.
    pub fn file(&mut self, parts: &[&OsStr]) -> io::Result<File> {
        let (parent, name) = self.parent(parts)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = replacing(parent, name, || openat(parent, name, flags, Mode::RUSR | Mode::WUSR))?;
        Ok(File::from(fd))
    }

    /// Makes a symbolic link, in place of whatever but a directory has its name.
    ///
    /// # Errors
    /// As for [`Self::file`].
    pub fn symlink(&mut self, parts: &[&OsStr], target: &OsStr) -> io::Result<()> {
        let (parent, name) = self.parent(parts)?;
        Ok(replacing(parent, name, || symlinkat(target, parent, name))?)
    }

    /// Makes another name of a file that is beneath, too.
    ///
    /// # Errors
    /// As for [`Self::file`].
    pub fn hard_link(&mut self, parts: &[&OsStr], target: &[&OsStr]) -> io::Result<()> {
        let (from, from_name) = self.parent(target)?;
        let from = from.try_clone_to_owned()?;
        let (parent, name) = self.parent(parts)?;
        Ok(replacing(parent, name, || linkat(&from, from_name, parent, name, AtFlags::empty()))?)
    }

    /// The directory that holds this name, made where absent, and the name itself.
    ///
    /// # Errors
    /// As for [`Self::directory`]; `InvalidInput` for no name at all.
    pub fn parent<'n>(&mut self, parts: &[&'n OsStr]) -> io::Result<(BorrowedFd<'_>, &'n OsStr)> {
        let Some((name, above)) = parts.split_last() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok((self.directory(above)?, name))
    }
}

fn open_or_make(parent: BorrowedFd<'_>, part: &OsStr, follow: bool) -> Result<OwnedFd, Errno> {
    let flags = if follow { DIRECTORY } else { DIRECTORY.union(OFlags::NOFOLLOW) };
    match openat(parent, part, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            match mkdirat(parent, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            openat(parent, part, flags, Mode::empty())
        }
        other => other,
    }
}

fn replacing<T>(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    make: impl Fn() -> Result<T, Errno>,
) -> Result<T, Errno> {
    match make() {
        Err(Errno::EXIST) => {
            unlinkat(parent, name, AtFlags::empty())?;
            make()
        }
        other => other,
    }
}
