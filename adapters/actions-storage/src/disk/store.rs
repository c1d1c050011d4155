//! Uploads become entries.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::budget::Budget;
use super::entry::{DATA, ENTRY, Entry, Target};
use super::evict;
use super::files::{digest_of, make_dir, read_json, remove_dir, write_json};
use super::upload::{Arriving, Upload, UploadId};
use crate::error::StorageError;

/// Uploads that nobody has touched for so long are of jobs that are gone.
const FORGOTTEN: Duration = Duration::from_secs(6 * 3600);
/// As at GitHub.
const LARGEST_UPLOAD: u64 = 10 << 30;

/// The directory. Its calls wait for the disk.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    limit: u64,
    pub(crate) budget: Budget,
}

impl Store {
    /// Opens it, and removes what a crash left.
    pub(crate) fn open(root: &Path, limit: u64) -> Result<Self, StorageError> {
        let private = DirBuilder::new().recursive(true).mode(0o700).create(root);
        private.map_err(StorageError::disk("make", root))?;
        let store = Self { root: root.to_owned(), limit, budget: Budget::new(limit) };
        for name in ["caches", "artifacts", "blobs", "uploads"] {
            make_dir(&root.join(name))?;
        }
        let long_ago = SystemTime::now().checked_sub(FORGOTTEN);
        for upload in store.uploads()? {
            let touched = fs::metadata(upload.path()).and_then(|found| found.modified()).ok();
            if touched <= long_ago {
                remove_dir(upload.path())?;
            }
        }
        evict::sweep(root, &evict::lock(root)?)?;
        Ok(store)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Begins an upload; one of the same job for the same place is begun anew.
    pub(crate) fn begin(&self, id: UploadId, target: Target, job: &str) -> Result<(), StorageError> {
        if self.root.join(target.place()).exists() {
            return Err(StorageError::Exists(format!("`{}` is there already", target.name())));
        }
        self.budget.release(id);
        self.arriving(id).begin(&Upload { target, job: job.to_owned() })
    }

    pub(crate) fn arriving(&self, id: UploadId) -> Arriving {
        Arriving::at(self.root.join("uploads").join(id.0.to_string()))
    }

    /// Counts bytes that arrive for an upload, and says whether there is room for them.
    pub(crate) fn take(&self, id: UploadId, bytes: u64, so_far: u64) -> Result<(), StorageError> {
        if so_far > LARGEST_UPLOAD {
            return Err(StorageError::Full(format!("one file may have {} GiB", LARGEST_UPLOAD >> 30)));
        }
        self.budget.take(id, bytes)
    }

    /// Makes an entry of an upload: it appears whole, and once. To ask again after it was made is no error.
    pub(crate) fn commit(
        &self,
        id: UploadId,
        place: Option<&Path>,
        size: u64,
        sha256: Option<&str>,
    ) -> Result<Entry, StorageError> {
        let arriving = self.arriving(id);
        let Some(upload) = arriving.upload()? else {
            let made = place.map(|place| read_json::<Entry>(&self.root.join(place).join(ENTRY)));
            let made = made.transpose()?.flatten().filter(|entry| entry.id == id.0 && entry.size == size);
            return made.ok_or_else(|| StorageError::NotFound("there is no such upload".to_owned()));
        };
        let data = arriving.data();
        let (found, length) = match digest_of(&data) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StorageError::Invalid(format!(
                    "nothing of `{}` has arrived",
                    upload.target.name()
                )));
            }
            digest => digest.map_err(StorageError::disk("read", &data))?,
        };
        if length != size {
            return Err(StorageError::Invalid(format!("{length} bytes have arrived, not {size}")));
        }
        if sha256.is_some_and(|expected| expected != found) {
            return Err(StorageError::Invalid(format!("the SHA-256 of what has arrived is {found}")));
        }
        let place = self.root.join(upload.target.place());
        let entry = Entry { target: upload.target, id: id.0, size, sha256: found, created: Timestamp::now() };
        let whole = arriving.path().join("entry");
        make_dir(&whole)?;
        write_json(&whole.join(ENTRY), &entry)?;
        let lock = evict::lock(&self.root)?;
        self.share(&data, &whole.join(DATA), &entry.sha256)?;
        let parent = place.parent().unwrap_or(&self.root);
        make_dir(parent)?;
        match fs::rename(&whole, &place) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                self.forget(id)?;
                return Err(StorageError::Exists(format!("`{}` is there already", entry.target.name())));
            }
            renamed => renamed.map_err(StorageError::disk("rename", &whole))?,
        }
        self.forget(id)?;
        evict::evict(&self.root, self.limit, &lock, &place)?;
        Ok(entry)
    }

    /// Moves bytes to where they stay; the same bytes are kept once.
    fn share(&self, from: &Path, to: &Path, sha256: &str) -> Result<(), StorageError> {
        let blob = self.root.join("blobs").join(sha256);
        match fs::hard_link(&blob, to) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // As many as a file may have names; then it is kept once more.
            Err(error) if error.kind() == io::ErrorKind::TooManyLinks => {}
            Err(error) => return Err(StorageError::disk("link", &blob)(error)),
        }
        match fs::hard_link(from, &blob) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StorageError::disk("link", &blob)(error));
            }
            _ => {}
        }
        fs::rename(from, to).map_err(StorageError::disk("rename", from))
    }

    /// Removes an upload.
    fn forget(&self, id: UploadId) -> Result<(), StorageError> {
        self.budget.release(id);
        remove_dir(self.arriving(id).path())
    }

    /// Removes what a job has begun and not finished.
    pub(crate) fn abandon(&self, job: &str) -> Result<(), StorageError> {
        for arriving in self.uploads()? {
            let of_job = arriving.upload().ok().flatten().is_some_and(|upload| upload.job == job);
            let name = arriving.path().file_name().and_then(|name| name.to_str());
            if let Some(id) = name.and_then(|name| name.parse().ok()).filter(|_| of_job) {
                self.forget(UploadId(id))?;
            }
        }
        Ok(())
    }

    /// Removes an entry.
    pub(crate) fn remove(&self, place: &Path) -> Result<(), StorageError> {
        let lock = evict::lock(&self.root)?;
        evict::remove(&self.root, place, &lock)
    }

    fn uploads(&self) -> Result<Vec<Arriving>, StorageError> {
        let uploads = self.root.join("uploads");
        let listed = fs::read_dir(&uploads).map_err(StorageError::disk("list", &uploads))?;
        Ok(listed.flatten().map(|entry| Arriving::at(entry.path())).collect())
    }
}
