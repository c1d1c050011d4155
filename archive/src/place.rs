//! Entries of any archive, put in their place.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::dress::{Attributes, Dress};
use crate::writer::{Stopped, Writer};
use crate::{ArchiveError, Beneath, ReceiveFileError};

/// How an archive is unpacked.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Names may be absolute and may lead through links that were there before; for caches, whose paths are
    /// anywhere in a container.
    pub absolute_names: bool,
    /// Symbolic links are made; otherwise one is an error.
    pub symlinks: bool,
    /// Who owns what is unpacked.
    pub owner: Owner,
    /// Bits of a mode that are kept.
    pub mode_mask: u32,
    /// What is too much.
    pub limits: Limits,
    /// Files are written on a thread of its own, which takes half of the time where there is much of them.
    pub beside: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            absolute_names: false,
            symlinks: true,
            owner: Owner::Unpacker,
            mode_mask: 0o777,
            limits: Limits::default(),
            beside: false,
        }
    }
}

/// Who owns what is unpacked. Where the process may not change owners, it owns everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The process.
    Unpacker,
    /// Whom the archive names.
    Archive,
    /// This user.
    User {
        /// Its number.
        uid: u32,
        /// Its group's number.
        gid: u32,
    },
}

/// What is too much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Entries.
    pub entries: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: u64::MAX, bytes: u64::MAX }
    }
}

/// What was unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files, links included, directories not.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// Puts entries in their place. Symbolic links, and the modes and times of directories, wait until the end: no
/// entry can pass through a link of its own archive, nor is any kept out of a directory by its mode.
pub(crate) struct Place {
    relative: Beneath,
    absolute: Option<Beneath>,
    options: Options,
    dress: Dress,
    writer: Option<Writer>,
    symlinks: BTreeMap<Vec<u8>, (OsString, Attributes)>,
    directories: BTreeMap<Vec<u8>, Attributes>,
    whiteouts: BTreeSet<Vec<u8>>,
    opaque: BTreeSet<Vec<u8>>,
    entries: u64,
    done: Unpacked,
    buffer: Vec<u8>,
}

impl Place {
    pub(crate) fn new(directory: &Path, options: Options) -> Result<Self, ArchiveError> {
        let name = directory.as_os_str().as_bytes();
        fs::create_dir_all(directory).map_err(|error| ArchiveError::disk("make", name, error))?;
        let open = |path: &Path| {
            Beneath::open(path, options.absolute_names)
                .map_err(|error| ArchiveError::disk("open", path.as_os_str().as_bytes(), error))
        };
        let privileged = rustix::process::geteuid().is_root();
        let dress = Dress { owner: options.owner, mode_mask: options.mode_mask, privileged };
        Ok(Self {
            relative: open(directory)?,
            absolute: options.absolute_names.then(|| open(Path::new("/"))).transpose()?,
            options,
            dress,
            writer: options.beside.then(|| Writer::start(dress)).flatten(),
            symlinks: BTreeMap::new(),
            directories: BTreeMap::new(),
            whiteouts: BTreeSet::new(),
            opaque: BTreeSet::new(),
            entries: 0,
            done: Unpacked::default(),
            buffer: vec![0; 128 << 10],
        })
    }

    pub(crate) fn directory(&mut self, name: &[u8], attributes: Attributes) -> Result<(), ArchiveError> {
        self.count()?;
        let (beneath, parts) = self.locate(name)?;
        if parts.is_empty() {
            return Ok(());
        }
        beneath.directory(&parts).map_err(|error| ArchiveError::disk("make directory", name, error))?;
        self.directories.insert(name.to_vec(), attributes);
        Ok(())
    }

    pub(crate) fn file(
        &mut self,
        name: &[u8],
        attributes: Attributes,
        content: &mut impl Read,
    ) -> Result<(), ArchiveError> {
        let file = self.make(name)?;
        match self.writer.take() {
            Some(writer) => {
                let result = self.hand_over(&writer, file, name, attributes, content);
                self.keep(writer, result)
            }
            None => self.write(file, name, &attributes, content),
        }
    }

    /// Makes a file of so many bytes, which `receive` puts where it is told to.
    pub(crate) fn receive(
        &mut self,
        name: &[u8],
        attributes: Attributes,
        bytes: u64,
        receive: impl FnOnce(&File) -> Result<(), ReceiveFileError>,
    ) -> Result<(), ArchiveError> {
        self.take(bytes)?;
        let file = self.make(name)?;
        let Some(writer) = self.writer.take() else {
            receive(&file).map_err(|error| match error {
                ReceiveFileError::Stream(error) => ArchiveError::Stream(error),
                ReceiveFileError::File(error) => ArchiveError::disk("write", name, error),
            })?;
            return self.put_on(&file, name, &attributes);
        };
        let hand_over = || {
            writer.begin(file, name)?;
            receive(writer.piped(bytes)?).map_err(|error| match error {
                ReceiveFileError::Stream(error) => Failure::Archive(ArchiveError::Stream(error)),
                // Nobody reads what is put into the pipe.
                ReceiveFileError::File(_) => Failure::Stopped,
            })?;
            Ok(writer.dress(attributes)?)
        };
        let result = hand_over();
        self.keep(writer, result)
    }

    /// Keeps the writer for the next file, or ends it where this one failed.
    fn keep(&mut self, writer: Writer, result: Result<(), Failure>) -> Result<(), ArchiveError> {
        match result {
            Ok(()) => {
                self.writer = Some(writer);
                Ok(())
            }
            Err(Failure::Archive(error)) => {
                // What was handed over before stays.
                writer.end()?;
                Err(error)
            }
            Err(Failure::Stopped) => Err(writer.end().err().unwrap_or_else(|| {
                ArchiveError::Stream(std::io::Error::other("the thread that writes files ended early"))
            })),
        }
    }

    /// An empty file of this name.
    fn make(&mut self, name: &[u8]) -> Result<File, ArchiveError> {
        self.count()?;
        self.symlinks.remove(name);
        let (beneath, parts) = self.locate(name)?;
        let file = beneath.file(&parts).map_err(|error| ArchiveError::disk("make file", name, error))?;
        self.done.files += 1;
        Ok(file)
    }

    fn put_on(&self, file: &File, name: &[u8], attributes: &Attributes) -> Result<(), ArchiveError> {
        self.dress
            .put_on(file, attributes)
            .map_err(|error| ArchiveError::disk("set the attributes of", name, error))
    }

    /// Counts bytes that go into a file.
    fn take(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.done.bytes = self.done.bytes.saturating_add(bytes);
        if self.done.bytes > self.options.limits.bytes {
            return Err(ArchiveError::TooLarge { limit: self.options.limits.bytes, what: "bytes" });
        }
        Ok(())
    }

    fn write(
        &mut self,
        mut file: File,
        name: &[u8],
        attributes: &Attributes,
        content: &mut impl Read,
    ) -> Result<(), ArchiveError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let read = self.read(content, &mut buffer)?;
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read]).map_err(|error| ArchiveError::disk("write", name, error))?;
        }
        self.buffer = buffer;
        self.put_on(&file, name, attributes)
    }

    fn hand_over(
        &mut self,
        writer: &Writer,
        file: File,
        name: &[u8],
        attributes: Attributes,
        content: &mut impl Read,
    ) -> Result<(), Failure> {
        writer.begin(file, name)?;
        loop {
            let mut piece = writer.piece();
            let read = self.read(content, &mut piece)?;
            if read == 0 {
                break;
            }
            writer.write(piece, read)?;
        }
        Ok(writer.dress(attributes)?)
    }

    /// Fills a buffer, as far as there is something.
    fn read(&mut self, content: &mut impl Read, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match content.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::Stream(error)),
            }
        }
        self.take(filled as u64)?;
        Ok(filled)
    }

    pub(crate) fn symlink(
        &mut self,
        name: &[u8],
        target: &[u8],
        attributes: Attributes,
    ) -> Result<(), ArchiveError> {
        self.count()?;
        if !self.options.symlinks {
            return Err(ArchiveError::refused(name, "symbolic links are not taken here"));
        }
        if target.is_empty() || target.contains(&0) {
            return Err(ArchiveError::refused(name, "a link to nowhere"));
        }
        if self.locate(name)?.1.is_empty() {
            return Err(ArchiveError::refused(name, "a link without a name"));
        }
        self.symlinks.insert(name.to_vec(), (OsString::from_vec(target.to_vec()), attributes));
        self.done.files += 1;
        Ok(())
    }

    pub(crate) fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), ArchiveError> {
        self.count()?;
        if let Some(link) = self.symlinks.get(target).cloned() {
            self.symlinks.insert(name.to_vec(), link);
            return Ok(());
        }
        if name.first() == Some(&b'/') && target.first() != Some(&b'/')
            || name.first() != Some(&b'/') && target.first() == Some(&b'/')
        {
            return Err(ArchiveError::refused(name, "a hard link between relative and absolute names"));
        }
        let (_, target_parts) = self.locate(target)?;
        self.symlinks.remove(name);
        let (beneath, parts) = self.locate(name)?;
        beneath
            .hard_link(&parts, &target_parts)
            .map_err(|error| ArchiveError::disk("make hard link", name, error))?;
        self.done.files += 1;
        Ok(())
    }

    /// Removes a name from the layers below.
    pub(crate) fn whiteout(&mut self, name: Vec<u8>) -> Result<(), ArchiveError> {
        self.count()?;
        self.locate(&name)?;
        self.whiteouts.insert(name);
        Ok(())
    }

    /// Removes whatever layers below have in this directory.
    pub(crate) fn opaque(&mut self, directory: Vec<u8>) -> Result<(), ArchiveError> {
        self.count()?;
        let (beneath, parts) = self.locate(&directory)?;
        beneath.directory(&parts).map_err(|error| ArchiveError::disk("make directory", &directory, error))?;
        self.opaque.insert(directory);
        Ok(())
    }

    /// Makes the links and gives directories their modes and times, deepest first.
    pub(crate) fn finish(mut self) -> Result<Unpacked, ArchiveError> {
        self.writer.take().map_or(Ok(()), Writer::end)?;
        for (name, (target, attributes)) in std::mem::take(&mut self.symlinks) {
            let owner = self.dress.owner(&attributes);
            let (beneath, parts) = self.locate(&name)?;
            let fail = |error| ArchiveError::disk("make link", &name, error);
            beneath.symlink(&parts, &target).map_err(fail)?;
            let (parent, last) = beneath.parent(&parts).map_err(fail)?;
            if let Some((uid, gid)) = owner {
                rustix::fs::chownat(parent, last, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|error| fail(error.into()))?;
            }
            if let Some(times) = attributes.times() {
                rustix::fs::utimensat(parent, last, &times, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|error| fail(error.into()))?;
            }
        }
        self.place_whiteouts()?;
        for name in std::mem::take(&mut self.opaque) {
            let mark = (OsString::from(self.opaque_mark()), b"y".to_vec());
            self.directories.entry(name).or_default().xattrs.push(mark);
        }
        for (name, attributes) in std::mem::take(&mut self.directories).into_iter().rev() {
            let (beneath, parts) = self.locate(&name)?;
            let fail = |error| ArchiveError::disk("set the attributes of", &name, error);
            let fd = beneath.directory(&parts).map_err(fail)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            // A directory that was there before and may not be read keeps what it has.
            if let Ok(directory) = rustix::fs::openat(fd, c".", flags, Mode::empty()) {
                self.dress.put_on(&directory, &attributes).map_err(fail)?;
            }
        }
        if self.dress.owner(&Attributes::default()).is_some()
            && let Owner::User { uid, gid } = self.options.owner
        {
            let fail = |error| ArchiveError::disk("change the owner of", b".", error);
            let root = self.relative.directory(&[]).map_err(fail)?;
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::fs::chownat(root, c".", Some(uid), Some(gid), AtFlags::empty())
                .map_err(|error| fail(error.into()))?;
        }
        Ok(self.done)
    }

    /// What a layer removes from those below it. What the layer itself has of that name stays, whatever their order.
    fn place_whiteouts(&mut self) -> Result<(), ArchiveError> {
        for name in std::mem::take(&mut self.whiteouts) {
            let (beneath, parts) = self.locate(&name)?;
            let fail = |error| ArchiveError::disk("make whiteout", &name, error);
            let (parent, last) = beneath.parent(&parts).map_err(fail)?;
            match rustix::fs::statat(parent, last, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {
                    self.opaque.insert(name);
                }
                Ok(_) => {}
                Err(Errno::NOENT) => {
                    // Ordinary users may make this one device, too.
                    rustix::fs::mknodat(parent, last, FileType::CharacterDevice, Mode::empty(), 0)
                        .map_err(|error| fail(error.into()))?;
                }
                Err(error) => return Err(fail(error.into())),
            }
        }
        Ok(())
    }

    /// The mark that overlays of ours will look for.
    const fn opaque_mark(&self) -> &'static str {
        if self.dress.privileged { "trusted.overlay.opaque" } else { "user.overlay.opaque" }
    }

    fn count(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > self.options.limits.entries {
            return Err(ArchiveError::TooLarge { limit: self.options.limits.entries, what: "entries" });
        }
        Ok(())
    }

    fn locate<'n>(&mut self, name: &'n [u8]) -> Result<(&mut Beneath, Vec<&'n OsStr>), ArchiveError> {
        let parts = parts(name)?;
        match (name.first() == Some(&b'/'), &mut self.absolute) {
            (false, _) => Ok((&mut self.relative, parts)),
            (true, Some(root)) => Ok((root, parts)),
            (true, None) => Err(ArchiveError::refused(name, "an absolute name")),
        }
    }
}

/// Why a file was not handed over.
enum Failure {
    Archive(ArchiveError),
    Stopped,
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl From<Stopped> for Failure {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// The components of a name; those that lead upwards are refused.
fn parts(name: &[u8]) -> Result<Vec<&OsStr>, ArchiveError> {
    let mut parts = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(ArchiveError::refused(name, "it leads upwards")),
            part if part.contains(&0) => return Err(ArchiveError::refused(name, "a NUL in its name")),
            part => parts.push(OsStr::from_bytes(part)),
        }
    }
    Ok(parts)
}
