//! How unpacked files stand, so that it can be seen later that nobody has touched them.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};

use super::collect::trees;
use super::names::Named;

/// Of a file system whose times have no fractions, a change may go unseen for so many seconds.
const COARSE_SECONDS: i64 = 2;
/// The kernel's clock of file times moves every few milliseconds.
const TICK: Duration = Duration::from_millis(1);
const MOST_TICKS: u32 = 100;

/// What some globs took, and how each of it stood.
///
/// Whoever changes a file, or puts another in its place, moves its time of change or its inode, whatever else is put
/// back. Only a change within the same tick of the clock would not, so nothing is remembered of files that may still see
/// one.
#[derive(Debug)]
pub struct Remembered {
    globs: Vec<String>,
    digest: [u8; 32],
}

impl Remembered {
    /// What these globs take now; nothing when that is anything but the entries of these names, in their order, or
    /// when a later change could go unseen.
    pub(super) fn of(globs: &[String], source_dir: &Path, names: &Names) -> Option<Self> {
        if globs.is_empty() {
            return None;
        }
        let now = next_tick()?;
        let files = trees(globs, source_dir)?;
        let mut found = Names::default();
        files.iter().for_each(|file| found.add(file.name.as_os_str().as_bytes()));
        if found.digest() != names.digest() {
            return None;
        }
        Some(Self { globs: globs.to_owned(), digest: digest(&files, Some(now))? })
    }

    /// Whether these files are what these globs took then, untouched.
    pub(super) fn holds(&self, globs: &[String], files: &[Named]) -> bool {
        self.globs == globs && digest(files, None) == Some(self.digest)
    }
}

/// Names, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Sha256);

impl Names {
    pub(super) fn add(&mut self, name: &[u8]) {
        let name = name.strip_suffix(b"/").unwrap_or(name);
        self.0.update((name.len() as u64).to_le_bytes());
        self.0.update(name);
    }

    fn digest(&self) -> [u8; 32] {
        self.0.clone().finalize().into()
    }
}

/// Of all that tells files apart; nothing when one is gone, or was changed no earlier than this moment.
fn digest(files: &[Named], before: Option<(i64, i64)>) -> Option<[u8; 32]> {
    let mut digest = Sha256::new();
    for Named { name, found } in files {
        let now = fs::symlink_metadata(&found.path).ok()?;
        let changed = (now.ctime(), now.ctime_nsec());
        if let Some(before) = before {
            let settled =
                if changed.1 == 0 { (changed.0.saturating_add(COARSE_SECONDS), 0) } else { changed };
            if settled >= before {
                return None;
            }
        }
        let name = name.as_os_str().as_bytes();
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(name);
        for number in
            [now.dev(), now.ino(), now.size(), now.mode().into(), now.uid().into(), now.gid().into()]
        {
            digest.update(number.to_le_bytes());
        }
        for number in [now.mtime(), now.mtime_nsec(), changed.0, changed.1] {
            digest.update(number.to_le_bytes());
        }
    }
    Some(digest.finalize().into())
}

/// Waits until what happens from now on gets a later time than what has happened; returns that time.
fn next_tick() -> Option<(i64, i64)> {
    let time = |clock| {
        let now = clock_gettime(clock);
        (now.tv_sec, now.tv_nsec)
    };
    let happened = time(ClockId::Realtime);
    for _ in 0..MOST_TICKS {
        let now = time(ClockId::RealtimeCoarse);
        if now > happened {
            return Some(now);
        }
        thread::sleep(TICK);
    }
    None
}
