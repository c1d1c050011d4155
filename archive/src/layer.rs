//! Layers of container images, each unpacked on its own into what overlayfs takes as a lower directory.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use tar::{Entry, EntryType};

use crate::dress::Attributes;
use crate::place::Place;
use crate::stream::Stream;
use crate::unpack::{attributes, broken, drain, link_target};
use crate::{ArchiveError, Limits, Options, Owner, Unpacked};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const INTERNAL: &[u8] = b".wh..wh.";
const XATTR: &[u8] = b"SCHILY.xattr.";

/// Unpacks one layer's tar stream into a directory of its own, as safely as [`unpack_tar`](crate::unpack_tar), and
/// reads the stream to its end.
///
/// Names are taken as seen from the image's root, so absolute ones are fine. What the layer removes becomes what
/// overlayfs understands: a character device 0/0 (which ordinary users may make, too) for a name, and the extended
/// attribute `trusted.overlay.opaque` (as root) or `user.overlay.opaque` (otherwise; for mounts with `userxattr`)
/// for a directory's earlier content. Owners and set-user-id bits are kept, owners only as root. Other devices,
/// pipes and sockets are left out: a container has a `/dev` of its own.
///
/// # Errors
/// [`ArchiveError`]; what was unpacked before stays.
pub fn unpack_layer(reader: impl Read, directory: &Path, limits: Limits) -> Result<Unpacked, ArchiveError> {
    let options = Options { owner: Owner::Archive, mode_mask: 0o7777, limits, ..Options::default() };
    let mut place = Place::new(directory, options)?;
    let stream = Stream::new(reader);
    let mut archive = tar::Archive::new(stream.share());
    let mut entries = archive.entries().map_err(broken)?;
    while let Some(entry) = stream.limited(|| entries.next()) {
        put(&mut entry.map_err(broken)?, &mut place)?;
    }
    drain(&mut archive.into_inner())?;
    place.finish()
}

fn put<R: Read>(entry: &mut Entry<'_, R>, place: &mut Place) -> Result<(), ArchiveError> {
    let raw = entry.path_bytes().into_owned();
    let name = rooted(&raw);
    let (above, last) = match name.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&name[..slash], &name[slash + 1..]),
        None => (&[][..], &name[..]),
    };
    match last.strip_prefix(WHITEOUT) {
        Some(_) if last == OPAQUE => place.opaque(above.to_vec())?,
        // The bookkeeping of a union file system of old.
        Some(_) if last.starts_with(INTERNAL) => {}
        Some(b"" | b"." | b"..") => return Err(ArchiveError::refused(&raw, "a whiteout of no name")),
        Some(hidden) => place.whiteout(rooted(&[above, hidden].join(&b'/')))?,
        None => return put_own(entry, &name, raw.last() == Some(&b'/'), place),
    }
    drain(entry)
}

fn put_own<R: Read>(
    entry: &mut Entry<'_, R>,
    name: &[u8],
    slash: bool,
    place: &mut Place,
) -> Result<(), ArchiveError> {
    let attributes = Attributes { xattrs: xattrs(entry, name)?, ..attributes(entry.header())? };
    match entry.header().entry_type() {
        EntryType::Directory => place.directory(name, attributes),
        // Old archives mark directories by a slash only.
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse if slash => {
            place.directory(name, attributes)
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            place.file(name, attributes, entry)
        }
        EntryType::Symlink => place.symlink(name, &link_target(entry, name)?, attributes),
        EntryType::Link => place.hard_link(name, &rooted(&link_target(entry, name)?)),
        EntryType::Char | EntryType::Block | EntryType::Fifo | EntryType::XGlobalHeader => drain(entry),
        _ => Err(ArchiveError::refused(name, "neither file, directory nor link")),
    }
}

/// A name as seen from the root, in its one shortest form.
fn rooted(name: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> =
        name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    parts.join(&b'/')
}

/// The extended attributes that may be kept: capabilities and users' own. Those that steer an overlay are ours alone.
fn xattrs<R: Read>(entry: &mut Entry<'_, R>, name: &[u8]) -> Result<Vec<(OsString, Vec<u8>)>, ArchiveError> {
    let mut kept = Vec::new();
    let Some(extensions) = entry.pax_extensions().map_err(broken)? else { return Ok(kept) };
    for extension in extensions {
        // A wrong record may have been a name, so it cannot be passed over.
        let extension = extension.map_err(|_| ArchiveError::refused(name, "broken extension records"))?;
        let Some(attribute) = extension.key_bytes().strip_prefix(XATTR) else { continue };
        if attribute == b"security.capability"
            || attribute.starts_with(b"user.") && !attribute.starts_with(b"user.overlay.")
        {
            kept.push((OsString::from_vec(attribute.to_vec()), extension.value_bytes().to_vec()));
        }
    }
    Ok(kept)
}
