//! Entries are found again.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;

use super::entry::{DATA, ENTRY, Entry, artifacts, caches};
use super::files::read_json;
use super::store::Store;
use crate::error::StorageError;

/// An entry and where it is, below the root.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) place: PathBuf,
    pub(crate) entry: Entry,
}

impl Store {
    /// The cache that a job gets: in each scope the key itself, then what begins with it, then the same for each
    /// other key; of several the newest.
    pub(crate) fn find_cache<'a>(
        &self,
        repository: &str,
        scopes: impl Iterator<Item = &'a str>,
        version: &str,
        keys: &[&str],
    ) -> Result<Option<Found>, StorageError> {
        for scope in scopes {
            let mut all = self.list(&caches(repository, scope, version))?;
            all.sort_by_key(|found| std::cmp::Reverse(found.entry.created));
            for key in keys {
                let name = |found: &&Found| found.entry.target.name() == *key;
                let prefix = |found: &&Found| found.entry.target.name().starts_with(key);
                if let Some(found) = all.iter().find(name).or_else(|| all.iter().find(prefix)) {
                    self.touch(&found.place);
                    return Ok(Some(found.clone()));
                }
            }
        }
        Ok(None)
    }

    /// The artifacts of a run, the oldest first.
    pub(crate) fn artifacts(&self, repository: &str, run: &str) -> Result<Vec<Found>, StorageError> {
        let mut all = self.list(&artifacts(repository, run))?;
        all.sort_by_key(|found| found.entry.created);
        Ok(all)
    }

    /// An entry at a place that we have given out, and its bytes.
    pub(crate) fn read(&self, place: &Path) -> Result<(Entry, File), StorageError> {
        let missing = || StorageError::NotFound("it is not here any more".to_owned());
        let directory = self.root().join(place);
        let entry: Entry = read_json(&directory.join(ENTRY))?.ok_or_else(missing)?;
        let file = File::open(directory.join(DATA)).map_err(|_| missing())?;
        self.touch(place);
        Ok((entry, file))
    }

    fn list(&self, shelf: &Path) -> Result<Vec<Found>, StorageError> {
        let now = Timestamp::now();
        let Ok(listed) = fs::read_dir(self.root().join(shelf)) else { return Ok(Vec::new()) };
        let found = |name: std::ffi::OsString| {
            let place = shelf.join(name);
            // One that goes while we look is as good as gone, and one that a crash of the machine cut is none.
            let entry: Entry = read_json(&self.root().join(&place).join(ENTRY)).ok()??;
            let length = fs::metadata(self.root().join(&place).join(DATA)).ok()?.len();
            (length == entry.size && !entry.is_over(now)).then_some(Found { place, entry })
        };
        Ok(listed.flatten().filter_map(|entry| found(entry.file_name())).collect())
    }

    /// Marks an entry as used.
    fn touch(&self, place: &Path) {
        let path = self.root().join(place).join(ENTRY);
        // It only goes sooner when this cannot be written.
        let _ = File::open(path)
            .and_then(|file| file.set_times(FileTimes::new().set_modified(SystemTime::now())));
    }
}
