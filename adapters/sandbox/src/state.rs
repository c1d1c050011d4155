//! Where sandboxes live: a directory for each attempt in `$RUNSPAN_HOME/sandbox`.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cgroup::Groups;
use crate::process::Process;
use crate::spec::IDS;

/// In an attempt's directory, written by its first process: exit status of the agent.
pub(crate) const EXIT_FILE: &str = "exit";
const RECORD: &str = "record";
const RANGES: &str = ".ids";

/// Ids that the system's own tools leave to containers (systemd's table of them).
const FIRST_RANGE: u32 = 8;
const RANGE_COUNT: u32 = 28_600;

/// All sandboxes of a state directory.
#[derive(Clone, Debug)]
pub(crate) struct State {
    root: PathBuf,
}

/// One sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    root: PathBuf,
    attempt: String,
    companion: Option<String>,
}

/// Between an attempt and its companion; in the name of neither.
const OF: char = '.';

/// What whoever comes later must know of a sandbox, as far as it came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Boot of the machine; processes of another one are gone.
    pub(crate) boot: String,
    /// The first process.
    pub(crate) first: Option<Process>,
    /// The agent.
    pub(crate) agent: Option<Process>,
    pub(crate) groups: Groups,
    /// First id of the range that it has for itself.
    pub(crate) ids: Option<u32>,
}

impl State {
    pub(crate) fn new(home: &Path) -> Self {
        Self { root: home.join("sandbox") }
    }

    pub(crate) fn place(&self, attempt: &str) -> Place {
        Place { root: self.root.clone(), attempt: safe(attempt), companion: None }
    }

    /// Every sandbox there is something of, companions before those they go with.
    pub(crate) fn places(&self) -> io::Result<Vec<Place>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut places: Vec<Place> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .map(|name| match name.split_once(OF) {
                Some((attempt, companion)) => self.place(attempt).of(Some(companion)),
                None => self.place(&name),
            })
            .collect();
        places.sort_by_key(|place| place.companion.is_none());
        Ok(places)
    }
}

pub(crate) fn safe(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    name.chars().map(safe).collect()
}

impl Place {
    /// The place of a companion, or of what it goes with.
    pub(crate) fn of(&self, companion: Option<&str>) -> Self {
        Self { companion: companion.map(safe), ..self.clone() }
    }

    pub(crate) fn attempt(&self) -> &str {
        &self.attempt
    }

    pub(crate) const fn is_companion(&self) -> bool {
        self.companion.is_some()
    }

    /// Its name among all.
    pub(crate) fn name(&self) -> String {
        match &self.companion {
            Some(companion) => format!("{}{OF}{companion}", self.attempt),
            None => self.attempt.clone(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.root.join(self.name())
    }

    /// A directory of it that is shown inside, made when it is not there.
    pub(crate) fn directory(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path().join(name);
        DirBuilder::new().recursive(true).mode(0o755).create(&path)?;
        Ok(path)
    }

    pub(crate) fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.root)?;
        for path in [self.path(), self.path().join("disk"), self.path().join("stage")] {
            DirBuilder::new().mode(0o700).create(path)?;
        }
        Ok(())
    }

    pub(crate) fn save(&self, record: &Record) -> io::Result<()> {
        let text = serde_json::to_vec(record)?;
        let (new, path) = (self.path().join(".record"), self.path().join(RECORD));
        File::create(&new)?.write_all(&text)?;
        fs::rename(new, path)
    }

    /// The record; an empty one when it was never written, or is of an earlier boot.
    pub(crate) fn record(&self) -> Record {
        let record: Record = read(&self.path().join(RECORD)).unwrap_or_default();
        if record.boot == boot() { record } else { Record { first: None, agent: None, ..record } }
    }

    /// Exit status of the agent, when its end was seen.
    pub(crate) fn exit_code(&self) -> Option<i64> {
        read(&self.path().join(EXIT_FILE))
    }

    /// Takes a range of user and group ids that no other sandbox of this state directory has.
    pub(crate) fn take_ids(&self) -> io::Result<u32> {
        let ranges = self.root.join(RANGES);
        DirBuilder::new().recursive(true).mode(0o700).create(&ranges)?;
        let seed = self.name().bytes().fold(5381_u32, |sum, byte| sum.wrapping_mul(33) ^ u32::from(byte));
        for number in 0..RANGE_COUNT {
            let first = (FIRST_RANGE + (seed.wrapping_add(number)) % RANGE_COUNT) * IDS;
            match File::options().write(true).create_new(true).open(ranges.join(first.to_string())) {
                Ok(_) => return Ok(first),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("every range of user ids is taken; `runspan doctor` names what is left over"))
    }

    /// Removes everything but the processes, which must be gone.
    pub(crate) fn remove(&self, record: &Record) -> io::Result<()> {
        remove_tree(&self.path())?;
        match record.ids {
            Some(first) => gone(fs::remove_file(self.root.join(RANGES).join(first.to_string()))),
            None => Ok(()),
        }
    }
}

/// The machine's boot, by the name the kernel gave it.
pub(crate) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Removes a directory with all that is in it, whatever modes a build gave it.
fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            gone(fs::remove_dir_all(path))
        }
        removed => gone(removed),
    }
}

/// Only the owner's own directories can be in the way.
fn open_up(directory: &Path) {
    // What cannot be changed shows when it is removed.
    let _owned = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_for_one_sandbox_each() {
        let home = tempfile::tempdir().unwrap();
        let state = State::new(home.path());
        let (a, b) = (state.place("a"), state.place("a"));
        a.create().unwrap();
        let (first, second) = (a.take_ids().unwrap(), b.take_ids().unwrap());
        assert_ne!(first, second);
        assert_eq!((first % IDS, second % IDS), (0, 0));
        a.remove(&Record { ids: Some(first), ..Record::default() }).unwrap();
        assert_eq!(state.place("a").take_ids().unwrap(), first);
    }

    #[test]
    fn companions_come_before_what_they_go_with() {
        let home = tempfile::tempdir().unwrap();
        let state = State::new(home.path());
        let host = state.place("a.b");
        host.create().unwrap();
        host.of(Some("s0")).create().unwrap();
        let found = state.places().unwrap();
        let names: Vec<_> = found.iter().map(|place| (place.name(), place.attempt().to_owned())).collect();
        assert_eq!(names, [("a-b.s0".to_owned(), "a-b".to_owned()), ("a-b".to_owned(), "a-b".to_owned())]);
    }

    #[test]
    fn what_a_build_closes_is_removed_all_the_same() {
        let home = tempfile::tempdir().unwrap();
        let place = State::new(home.path()).place("../x:y");
        place.create().unwrap();
        assert_eq!(place.path().parent(), Some(home.path().join("sandbox").as_path()));
        let closed = place.path().join("disk/closed");
        fs::create_dir_all(closed.join("deep")).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        place.remove(&Record::default()).unwrap();
        place.remove(&Record::default()).unwrap();
        assert!(State::new(home.path()).places().unwrap().is_empty());
    }
}
