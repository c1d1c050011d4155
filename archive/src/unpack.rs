//! Archives, entry by entry.

use std::io::{self, Read, Seek};
use std::path::Path;

use tar::{Entry, EntryType, Header};

use crate::dress::Attributes;
use crate::place::Place;
use crate::stream::Stream;
use crate::zip_time::to_unix;
use crate::{ArchiveError, Options, ReceiveFile, Unpacked};

/// A larger file is received past the buffers.
const BUFFERED: u64 = 64 << 10;

/// Unpacks a tar stream into a directory, made where absent, and reads the stream to its end.
///
/// No entry leaves the directory, be it by `..`, an absolute name or a link that came before; devices, sockets and
/// pipes are refused.
///
/// # Errors
/// [`ArchiveError`]; what was unpacked before stays.
pub fn unpack_tar(
    reader: impl ReceiveFile,
    directory: &Path,
    options: Options,
) -> Result<Unpacked, ArchiveError> {
    unpack_tar_telling(reader, directory, options, &mut |_| {})
}

/// [`unpack_tar`], telling the name of each entry in the order of the stream.
///
/// # Errors
/// As [`unpack_tar`].
pub fn unpack_tar_telling(
    reader: impl ReceiveFile,
    directory: &Path,
    options: Options,
    tell: &mut dyn FnMut(&[u8]),
) -> Result<Unpacked, ArchiveError> {
    let mut place = Place::new(directory, options)?;
    let stream = Stream::new(reader);
    let mut archive = tar::Archive::new(stream.share());
    let mut entries = archive.entries().map_err(broken)?;
    while let Some(entry) = stream.limited(|| entries.next()) {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path_bytes().into_owned();
        let attributes = attributes(entry.header())?;
        let link = || link_target(&entry, &name);
        tell(&name);
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                // Old archives mark directories by a slash only.
                if name.last() == Some(&b'/') {
                    place.directory(&name, attributes)?;
                } else if is_plain(&entry) && entry.size() > BUFFERED {
                    let size = entry.size();
                    place.receive(&name, attributes, size, |file| stream.receive_file(file, size))?;
                    drain(&mut entry)?;
                } else {
                    place.file(&name, attributes, &mut entry)?;
                }
            }
            EntryType::Directory => place.directory(&name, attributes)?,
            EntryType::Symlink => place.symlink(&name, &link()?, attributes)?,
            EntryType::Link => place.hard_link(&name, &link()?)?,
            EntryType::XGlobalHeader => drain(&mut entry)?,
            _ => return Err(ArchiveError::refused(&name, "neither file, directory nor link")),
        }
    }
    drain(&mut archive.into_inner())?;
    place.finish()
}

/// Unpacks a zip file into a directory, made where absent, as safely as [`unpack_tar`]. The limits hold against
/// what really comes out, whatever the zip file says about itself.
///
/// # Errors
/// [`ArchiveError`]; what was unpacked before stays.
pub fn unpack_zip(
    reader: impl Read + Seek,
    directory: &Path,
    options: Options,
) -> Result<Unpacked, ArchiveError> {
    const LONGEST_LINK: u64 = 4096;
    let mut place = Place::new(directory, options)?;
    let mut archive = zip::ZipArchive::new(reader).map_err(broken)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(broken)?;
        let name = entry.name_raw().to_vec();
        let attributes = Attributes {
            mode: entry.unix_mode().map(|mode| mode & 0o7777).filter(|mode| *mode != 0),
            mtime: entry.last_modified().map(to_unix),
            ..Attributes::default()
        };
        if entry.is_symlink() {
            let mut target = Vec::new();
            entry.by_ref().take(LONGEST_LINK).read_to_end(&mut target).map_err(broken)?;
            place.symlink(&name, &target, attributes)?;
        } else if entry.is_dir() {
            place.directory(&name, attributes)?;
        } else {
            let attributes = Attributes { mode: attributes.mode.or(Some(0o644)), ..attributes };
            place.file(&name, attributes, &mut entry)?;
        }
    }
    place.finish()
}

/// What a tar's header says of its entry.
pub(crate) fn attributes(header: &Header) -> Result<Attributes, ArchiveError> {
    Ok(Attributes {
        mode: header.mode().ok(),
        mtime: header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok()),
        uid: number(header.uid().map_err(broken)?),
        gid: number(header.gid().map_err(broken)?),
        xattrs: Vec::new(),
    })
}

/// Where a tar's entry links to.
pub(crate) fn link_target<R: Read>(entry: &Entry<'_, R>, name: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let target = entry.link_name_bytes().ok_or_else(|| ArchiveError::refused(name, "a link to nowhere"))?;
    Ok(target.into_owned())
}

/// Whether an entry's bytes in the stream are its file's.
fn is_plain<R: Read>(entry: &Entry<'_, R>) -> bool {
    matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous)
}

/// Reads to the end.
pub(crate) fn drain(reader: &mut impl Read) -> Result<(), ArchiveError> {
    io::copy(reader, &mut io::sink()).map(drop).map_err(ArchiveError::Stream)
}

pub(crate) fn broken(error: impl std::fmt::Display) -> ArchiveError {
    ArchiveError::Broken(error.to_string())
}

fn number(id: u64) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX - 1)
}
