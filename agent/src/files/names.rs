//! What files are called in a stream.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Found;

/// A file and its name in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: PathBuf,
    pub(super) found: Found,
}

/// Paths relative to the base directory; paths outside of it without their leading slash.
pub(super) fn beneath(found: Vec<Found>, base: &Path) -> Vec<Named> {
    let named = |found: Found| {
        let name = match found.path.strip_prefix(base) {
            Ok(below) => below.to_owned(),
            Err(_) => found.path.strip_prefix("/").unwrap_or(&found.path).to_owned(),
        };
        Named { name, found }
    };
    found.into_iter().map(named).collect()
}

/// Paths relative to the source directory, which differs from build to build; absolute paths outside of it.
pub(super) fn absolute(found: Vec<Found>, source_dir: &Path) -> Vec<Named> {
    let named = |found: Found| {
        let name = found.path.strip_prefix(source_dir).unwrap_or(&found.path).to_owned();
        Named { name, found }
    };
    found.into_iter().map(named).filter(|named| !named.name.as_os_str().is_empty()).collect()
}

/// Bare file names.
pub(super) fn discard_paths(mut files: Vec<Named>) -> Vec<Named> {
    // The order in which the buildspec lists them, so that the last wins.
    files.sort_by_key(|file| file.found.glob);
    for file in &mut files {
        if let Some(name) = file.name.file_name() {
            file.name = name.into();
        }
    }
    files
}

/// Sorted by name; of equal names only the last.
pub(super) fn settle(files: Vec<Named>) -> Vec<Named> {
    let mut last = HashMap::with_capacity(files.len());
    for file in files {
        last.insert(file.name, file.found);
    }
    let mut files: Vec<_> = last.into_iter().map(|(name, found)| Named { name, found }).collect();
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    files
}
