//! The build's files, removed before its container is: an engine has them all written to the disk first, to remove them
//! from there, which with many small files takes longer than most builds.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, open, openat2, unlinkat};

/// Deeper trees are left to the engine.
const MOST_DEPTH: usize = 200;
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Empties a directory, until then. What is mounted below it stays: it is kept by whoever mounted it.
pub(crate) fn empty(directory: &Path, until: Instant) {
    if let Ok(directory) = open(directory, DIRECTORY, Mode::empty()) {
        empty_below(&directory, 0, until);
    }
}

fn empty_below(directory: &OwnedFd, depth: usize, until: Instant) {
    let Ok(entries) = Dir::read_from(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if depth > MOST_DEPTH || Instant::now() > until {
            return;
        }
        // What cannot be removed falls to the engine.
        let _left = if entry.file_type() == FileType::Directory {
            if let Ok(below) = enter(directory, name) {
                empty_below(&below, depth + 1, until);
            }
            unlinkat(directory, name, AtFlags::REMOVEDIR)
        } else {
            unlinkat(directory, name, AtFlags::empty())
        };
    }
}

/// Opens a directory that is no mount of its own.
fn enter(directory: impl AsFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    openat2(directory, name, DIRECTORY, Mode::empty(), ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_directory_is_emptied_and_links_lead_nowhere() {
        let tree = tempfile::tempdir().unwrap();
        let (build, beside) = (tree.path().join("build"), tree.path().join("beside"));
        for directory in [build.join("a/b/c"), build.join("empty"), beside.clone()] {
            fs::create_dir_all(directory).unwrap();
        }
        fs::write(beside.join("file"), "").unwrap();
        (0..100).for_each(|n| fs::write(build.join(format!("a/b/{n}")), "").unwrap());
        symlink(&beside, build.join("a/link")).unwrap();
        empty(&build, Instant::now());
        assert!(build.join("a/b/99").exists(), "there was no time");
        empty(&build, Instant::now() + Duration::from_secs(60));
        assert_eq!(fs::read_dir(&build).unwrap().count(), 0);
        assert!(beside.join("file").exists());
    }

    #[test]
    fn what_is_mounted_below_stays() {
        use rustix::mount::{UnmountFlags, mount_bind, unmount};
        use std::io::Write as _;

        let tree = tempfile::tempdir().unwrap();
        let (build, kept) = (tree.path().join("build"), tree.path().join("kept"));
        fs::create_dir_all(build.join("cache")).unwrap();
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "").unwrap();
        if mount_bind(&kept, build.join("cache")).is_err() {
            drop(writeln!(std::io::stderr(), "SKIPPED: only root mounts"));
            return;
        }
        empty(&build, Instant::now() + Duration::from_secs(60));
        unmount(build.join("cache"), UnmountFlags::DETACH).unwrap();
        assert!(kept.join("file").exists());
    }
}
