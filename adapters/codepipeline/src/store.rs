//! Where workers live on this machine, and how far their jobs have come.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::from_slice;
use tempfile::NamedTempFile;

use crate::Registration;
use crate::outcome::JobResult;

const REGISTRATION: &str = "registration.json";
const JOB: &str = "job.json";

/// All workers of this machine.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// One worker's directory.
#[derive(Clone, Debug)]
pub struct Place {
    root: PathBuf,
}

/// The right to be this worker; the kernel gives it back however the process ends.
#[derive(Debug)]
pub struct PlaceLock {
    _file: File,
}

/// How far a job has come: written before the pipeline is told anything that follows from it, and gone when the job is
/// over. No credential is in it; the pipeline gives them again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The pipeline's id of the job, which is another one each time it is handed back and given again.
    pub(crate) job: String,
    pub(crate) stage: Stage,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Stage {
    /// It was offered; whether the pipeline knows that we take it is not known.
    Offered { nonce: String },
    /// It is ours, and this is its build.
    Building { build: String },
    /// The pipeline is to give it to us again; whether it knows is not known.
    HandedBack { build: String },
    /// It is over; whether the pipeline knows is not known.
    Ended { result: JobResult },
}

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

    /// The place of a worker; the name is a project's, which is safe in a path.
    pub fn place(&self, name: &str) -> Place {
        Place { root: self.root.join(name) }
    }

    /// Every worker, by name.
    ///
    /// # Errors
    /// Those of the file system, and of a file that is no registration.
    pub fn registrations(&self) -> io::Result<Vec<(Place, Registration)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let place = Place { root: entry?.path() };
            if let Some(registration) = place.registration()? {
                all.push((place, registration));
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

    /// The worker, if there is one.
    ///
    /// # Errors
    /// Those of the file system, and of a file that is no registration.
    pub fn registration(&self) -> io::Result<Option<Registration>> {
        read(&self.root.join(REGISTRATION))
    }

    /// Keeps a worker.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn keep(&self, registration: &Registration) -> io::Result<()> {
        private(&self.root)?;
        write(&self.root.join(REGISTRATION), registration)
    }

    /// Removes everything.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&self) -> io::Result<()> {
        // First what makes it a worker, so that half of it is none.
        let _absent = fs::remove_file(self.root.join(REGISTRATION));
        fs::remove_dir_all(&self.root)
    }

    /// Takes the worker for this process; `None` while another process has it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn try_lock(&self) -> io::Result<Option<PlaceLock>> {
        let path = self.root.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(PlaceLock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// The directory of a job, by the id that it first had.
    pub(crate) fn job(&self, id: &str) -> JobPlace {
        let legal = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        JobPlace { root: self.root.join("jobs").join(id.chars().map(legal).collect::<String>()) }
    }

    /// The jobs of a process that died.
    pub(crate) fn jobs(&self) -> io::Result<Vec<(JobPlace, Record)>> {
        let entries = match fs::read_dir(self.root.join("jobs")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let place = JobPlace { root: entry?.path() };
            match read(&place.root.join(JOB))? {
                Some(record) => all.push((place, record)),
                // Nothing was promised yet.
                None => place.remove()?,
            }
        }
        Ok(all)
    }
}

/// One job's directory.
#[derive(Clone, Debug)]
pub(crate) struct JobPlace {
    root: PathBuf,
}

impl JobPlace {
    /// Where its input artifacts are.
    pub(crate) fn inputs(&self) -> PathBuf {
        self.root.join("in")
    }

    /// Where its build puts output artifacts, which also tells the build from all others.
    pub(crate) fn outputs(&self) -> PathBuf {
        self.root.join("out")
    }

    /// Writes down how far the job is; on the disk when this returns.
    pub(crate) fn write(&self, record: &Record) -> io::Result<()> {
        private(&self.root)?;
        write(&self.root.join(JOB), record)
    }

    /// The job is over.
    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.root)
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => from_slice(&bytes?)
            .map(Some)
            .map_err(|error| io::Error::other(format!("{}: {error}", path.display()))),
    }
}

/// The file appears whole, for its owner's eyes only, and stays through a loss of power.
fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let mut file = NamedTempFile::new_in(parent)?;
    file.write_all(&serde_json::to_vec_pretty(value)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(parent)?.sync_all()
}

fn private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
