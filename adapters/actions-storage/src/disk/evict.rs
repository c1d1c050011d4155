//! What was not used for longest goes first.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use walkdir::WalkDir;

use super::entry::{DATA, ENTRY, Entry};
use super::files::{read_json, remove_dir};
use crate::error::StorageError;

/// Held while entries appear and go, by any process.
pub(crate) struct Lock(#[expect(dead_code, reason = "the kernel lets go when it is closed")] File);

pub(crate) fn lock(root: &Path) -> Result<Lock, StorageError> {
    let path = root.join("lock");
    let file = File::create(&path).map_err(StorageError::disk("make", &path))?;
    flock(&file, FlockOperation::LockExclusive)
        .map_err(|error| StorageError::disk("lock", &path)(error.into()))?;
    Ok(Lock(file))
}

/// An entry on the disk.
struct Kept {
    place: PathBuf,
    used: SystemTime,
    /// The file of its bytes, which others may share, and their number.
    data: (u64, u64),
}

/// Removes what has expired, and then what was not used for longest, down to the limit; the newest stays.
pub(crate) fn evict(root: &Path, limit: u64, lock: &Lock, newest: &Path) -> Result<(), StorageError> {
    let now = Timestamp::now();
    let mut all = Vec::new();
    for place in ["caches", "artifacts"].iter().flat_map(|shelf| entries(&root.join(shelf))) {
        match read_json::<Entry>(&place.join(ENTRY)) {
            Ok(Some(entry)) if !entry.is_over(now) => all.extend(kept(place)),
            // One that a crash of the machine cut is of no use either.
            _ => remove(root, &place, lock)?,
        }
    }
    let mut shared: HashMap<u64, u64> = HashMap::new();
    for one in &all {
        *shared.entry(one.data.0).or_default() += 1;
    }
    let distinct: HashMap<u64, u64> = all.iter().map(|one| one.data).collect();
    let mut total: u64 = distinct.values().sum();
    all.sort_by_key(|one| one.used);
    for one in all.iter().filter(|one| one.place != newest) {
        if total <= limit {
            break;
        }
        remove(root, &one.place, lock)?;
        let names = shared.entry(one.data.0).or_default();
        *names = names.saturating_sub(1);
        if *names == 0 {
            total = total.saturating_sub(one.data.1);
        }
    }
    Ok(())
}

/// Removes bytes that no entry has, which a crash has left.
pub(crate) fn sweep(root: &Path, _: &Lock) -> Result<(), StorageError> {
    let blobs = root.join("blobs");
    let listed = fs::read_dir(&blobs).map_err(StorageError::disk("list", &blobs))?;
    listed.flatten().try_for_each(|blob| drop_unused(&blob.path()))
}

fn drop_unused(blob: &Path) -> Result<(), StorageError> {
    if fs::metadata(blob).is_ok_and(|found| found.nlink() == 1) {
        fs::remove_file(blob).map_err(StorageError::disk("remove", blob))?;
    }
    Ok(())
}

fn kept(place: PathBuf) -> Option<Kept> {
    let used = fs::metadata(place.join(ENTRY)).ok()?.modified().ok()?;
    let data = fs::metadata(place.join(DATA)).ok()?;
    Some(Kept { place, used, data: (data.ino(), data.len()) })
}

fn entries(shelf: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let files = WalkDir::new(shelf).into_iter().flatten();
    files.filter(|file| file.file_name() == ENTRY).filter_map(|file| file.path().parent().map(Path::to_owned))
}

/// Removes an entry, and its bytes where nobody else has them.
pub(crate) fn remove(root: &Path, place: &Path, _: &Lock) -> Result<(), StorageError> {
    let place = root.join(place);
    let entry: Option<Entry> = read_json(&place.join(ENTRY)).ok().flatten();
    remove_dir(&place)?;
    if let Some(entry) = entry {
        drop_unused(&root.join("blobs").join(entry.sha256))?;
    }
    // Shelves that are empty now; one that is not stays.
    for shelf in place.ancestors().skip(1).take_while(|shelf| *shelf != root) {
        if fs::remove_dir(shelf).is_err() {
            break;
        }
    }
    Ok(())
}
