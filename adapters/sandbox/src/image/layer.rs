//! One layer, from a stream to its place in the store.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use runspan_archive::{ArchiveError, Limits, unpack_layer};
use rustix::fs::syncfs;

use super::ImageError;
use super::digest::{Digest, Digesting};
use super::layout::{Layout, Work, failed, remove_tree};
use super::lock::{Lock, Mode};
use super::manifest::Descriptor;
use super::record::{FILES, LAYER, LayerRecord, json};

/// More files than this are no layer.
const MOST_FILES: u64 = 5_000_000;
/// How much may come out of a byte that goes in, once there is more than [`FREE`] of it: gzip's worst text of use
/// packs to a fiftieth.
const RATIO: u64 = 200;
const FREE: u64 = 1 << 30;

/// What a tar's longest length is.
pub(super) const UNPACKED: &str =
    "the most a layer may unpack to (RUNSPAN_IMAGES_GIB, and 200 times its compressed length)";

/// What is expected of a layer's stream.
pub(super) struct Expected<'e> {
    /// The image, for messages.
    pub(super) image: &'e str,
    /// As it is transferred: its digest and size, where known.
    pub(super) blob: Option<&'e Descriptor>,
    /// Of the tar within, where known.
    pub(super) diff_id: Option<&'e Digest>,
    /// Most bytes of its tar.
    pub(super) most: u64,
}

/// A layer that is unpacked and proven, and not yet in its place.
pub(super) struct Unpacked {
    work: Work,
    pub(super) diff_id: Digest,
}

/// A layer that is in its place and kept there.
pub(super) struct Kept {
    pub(super) diff_id: Digest,
    _lock: Lock,
}

/// Unpacks a stream, compressed or not.
pub(super) fn unpack(
    layout: &Layout,
    expected: &Expected<'_>,
    stream: impl Read,
) -> Result<Unpacked, ImageError> {
    let work = layout.work()?;
    let files = work.path().join(FILES);
    let size = expected.blob.map_or(u64::MAX, |blob| blob.size);
    let most = expected.most.min(size.saturating_mul(RATIO).max(FREE));
    let mut blob = Digesting::new(stream, size, "the length its manifest says");
    let unpacked = decompressed(BufReader::with_capacity(128 << 10, &mut blob)).and_then(|tar| {
        let mut tar = Digesting::new(tar, most, UNPACKED);
        let limits = Limits { entries: MOST_FILES, bytes: most };
        let unpacked = unpack_layer(&mut tar, &files, limits)?;
        Ok((unpacked, tar.finish().0))
    });
    // What comes after the tar belongs to the digest, and a wrong digest says more than a broken archive.
    let rest = match &unpacked {
        Ok(_) | Err(ArchiveError::Broken(_) | ArchiveError::Stream(_) | ArchiveError::Unsafe { .. }) => {
            io::copy(&mut blob, &mut io::sink()).map(drop).map_err(ArchiveError::Stream)
        }
        Err(_) => Ok(()),
    };
    let broken = |reason: String| {
        let part = expected.blob.map_or_else(String::new, |blob| format!(" (layer {})", blob.digest));
        ImageError::Broken { image: format!("{}{part}", expected.image), reason }
    };
    let failure = |error: ArchiveError| match error.is_disk_full() {
        true => ImageError::DiskFull { image: expected.image.to_owned(), store: layout.root().to_owned() },
        false => broken(error.to_string()),
    };
    if let (Ok(()), Some(wanted)) = (&rest, expected.blob) {
        let (digest, read) = blob.finish();
        if digest != wanted.digest && unpacked.as_ref().err().is_none_or(|error| !error.is_disk_full()) {
            return Err(broken(format!(
                "its {read} bytes have the digest {digest}; was it changed on the way?"
            )));
        }
    }
    let (unpacked, diff_id) = unpacked.map_err(failure)?;
    rest.map_err(failure)?;
    if let Some(wanted) = expected.diff_id.filter(|wanted| **wanted != diff_id) {
        return Err(broken(format!("its tar has the digest {diff_id}, and the image says {wanted}")));
    }
    // Seen through an overlay this may be the image's root.
    fs::set_permissions(&files, fs::Permissions::from_mode(0o755)).map_err(failed("open", &files))?;
    let record = work.path().join(LAYER);
    let content = json(&LayerRecord { bytes: unpacked.bytes, files: unpacked.files });
    fs::write(&record, content)
        .map_err(|error| failure(ArchiveError::Disk { doing: "write", name: LAYER.into(), source: error }))?;
    Ok(Unpacked { work, diff_id })
}

impl Unpacked {
    /// Puts it in its place, under the lock of its maker, which becomes a user's; `None` when it was evicted while
    /// that changed.
    pub(super) fn put(self, layout: &Layout, lock: Lock) -> Result<Option<Kept>, ImageError> {
        let place = layout.layer(&self.diff_id);
        // What is there without a record is nothing.
        remove_tree(&place).map_err(failed("remove", &place))?;
        // Its record must not outlive its files, should the machine lose power.
        let opened = File::open(self.work.path()).map_err(failed("open", self.work.path()))?;
        syncfs(opened).map_err(|error| failed("write", self.work.path())(error.into()))?;
        fs::rename(self.work.path(), &place).map_err(failed("make", &place))?;
        let path = layout.lock(&self.diff_id);
        match lock.share().map_err(failed("lock", &path))? {
            Some(lock) if layout.read_layer(&self.diff_id)?.is_some() => {
                Ok(Some(Kept { diff_id: self.diff_id, _lock: lock }))
            }
            _ => Ok(None),
        }
    }
}

/// The layer when it is here.
pub(super) fn find(layout: &Layout, diff_id: &Digest) -> Result<Option<Kept>, ImageError> {
    let path = layout.lock(diff_id);
    match Lock::try_at(&path, Mode::Shared).map_err(failed("lock", &path))? {
        Some(lock) if layout.read_layer(diff_id)?.is_some() => {
            Ok(Some(Kept { diff_id: diff_id.clone(), _lock: lock }))
        }
        _ => Ok(None),
    }
}

/// What somebody who needs a layer can do.
pub(super) enum Claim {
    /// Use it.
    Here(Kept),
    /// Make it, under this lock.
    ToMake(Lock),
    /// Ask again: somebody else is making it, or removing it.
    Busy,
}

/// Finds a layer, or takes the right to make it. Nobody may wait for that right alone: those who have other layers
/// of the image already keep them, and wait for each other's.
pub(super) fn claim(layout: &Layout, diff_id: &Digest) -> Result<Claim, ImageError> {
    if let Some(kept) = find(layout, diff_id)? {
        return Ok(Claim::Here(kept));
    }
    let path = layout.lock(diff_id);
    match Lock::try_at(&path, Mode::Exclusive).map_err(failed("lock", &path))? {
        Some(lock) if layout.read_layer(diff_id)?.is_none() => Ok(Claim::ToMake(lock)),
        _ => Ok(Claim::Busy),
    }
}

/// How soon to ask again.
pub(super) const AGAIN: Duration = Duration::from_millis(20);

/// A tar, by its first bytes: gzip's and zstd's are undone.
pub(super) fn decompressed<'r>(mut reader: impl BufRead + 'r) -> Result<Box<dyn Read + 'r>, ArchiveError> {
    let start = reader.fill_buf().map_err(ArchiveError::Stream)?;
    let unsupported = |name: &str| ArchiveError::Broken(format!("{name} is not read here; use gzip or zstd"));
    match start {
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(reader))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Ok(Box::new(zstd::stream::read::Decoder::with_buffer(reader).map_err(ArchiveError::Stream)?))
        }
        [b'B', b'Z', b'h', ..] => Err(unsupported("bzip2")),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Err(unsupported("xz")),
        _ => Ok(Box::new(reader)),
    }
}
