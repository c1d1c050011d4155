//! Where registrations live, and what is known of the job each of them has.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::report::Outline;
use crate::run_service::Completion;
use crate::{JobOffer, Registration};

/// All registrations of this machine.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// One registration's place.
#[derive(Clone, Debug)]
pub struct Place {
    root: PathBuf,
}

/// The right to be this runner; the kernel gives it back however the process ends.
#[derive(Debug)]
pub struct PlaceLock {
    _file: File,
}

/// How far a job has come. Written before GitHub is told anything that follows from it, for its owner's eyes only, and
/// gone when the job is over: who goes on with the job needs its token and its secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum JobRecord {
    /// It was offered; whether it was acquired is not known.
    Offered { offer: JobOffer },
    /// It is ours.
    Acquired { message: Value },
    /// It is built.
    Building {
        message: Value,
        build: String,
        outline: Outline,
        /// How many processes have followed the build before.
        generation: u64,
    },
    /// It is over; whether GitHub knows is not known.
    Ended { message: Value, completion: Completion },
}

const REGISTRATION: &str = "registration.json";
const JOB: &str = "job.json";
const SESSION: &str = "session";

impl Store {
    /// Opens, and makes when absent.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        private(&root)?;
        Ok(Self { root })
    }

    /// The place for a registration of this name.
    pub fn place(&self, name: &str) -> Place {
        // Names are people's; a path is made of letters that are safe in one.
        let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
        Place { root: self.root.join(name.chars().map(legal).collect::<String>()) }
    }

    /// Every registration, by name.
    ///
    /// # Errors
    /// Those of the file system, and of a file that is no registration.
    pub fn registrations(&self) -> io::Result<Vec<(Place, Registration)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let place = Place { root: entry?.path() };
            match place.registration() {
                Ok(registration) => all.push((place, registration)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let path = place.root.join(REGISTRATION);
                    return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
                }
            }
        }
        all.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        Ok(all)
    }
}

impl Place {
    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The registration.
    ///
    /// # Errors
    /// Those of the file system, and of a file that is none.
    pub fn registration(&self) -> io::Result<Registration> {
        Registration::load(&self.root.join(REGISTRATION))
    }

    /// Keeps a registration.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn keep(&self, registration: &Registration) -> io::Result<()> {
        private(&self.root)?;
        registration.save(&self.root.join(REGISTRATION))
    }

    /// Removes everything.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&self) -> io::Result<()> {
        // First what makes it a registration, so that half of it is none.
        let _absent = fs::remove_file(self.root.join(REGISTRATION));
        fs::remove_dir_all(&self.root)
    }

    /// Takes the runner for this process; `None` while another process has it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn try_lock(&self) -> io::Result<Option<PlaceLock>> {
        private(&self.root)?;
        let path = self.root.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(PlaceLock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// The job of a process that died, if there is one.
    pub(crate) fn job(&self) -> io::Result<Option<JobRecord>> {
        match fs::read(self.root.join(JOB)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes down how far the job is; on the disk when this returns.
    pub(crate) fn write_job(&self, record: &JobRecord) -> io::Result<()> {
        write(&self.root.join(JOB), &serde_json::to_vec(record)?)
    }

    /// The job is settled at GitHub.
    pub(crate) fn forget_job(&self) -> io::Result<()> {
        absent_is_fine(fs::remove_file(self.root.join(JOB)))
    }

    /// Whether a process that died had a session open.
    pub(crate) fn had_session(&self) -> bool {
        self.root.join(SESSION).exists()
    }

    /// Notes that a session is open, or that none is.
    pub(crate) fn note_session(&self, session: Option<Uuid>) -> io::Result<()> {
        let path = self.root.join(SESSION);
        match session {
            Some(session) => write(&path, session.to_string().as_bytes()),
            None => absent_is_fine(fs::remove_file(path)),
        }
    }
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// The file appears whole, with mode 0600, and stays through a loss of power.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let _left = fs::remove_file(&part);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
