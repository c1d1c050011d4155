//! What is kept beside a worker's registration: how far each of its jobs has come.

use std::fs;
use std::io;
use std::path::PathBuf;

use runspan_engine::registrations::file_name;
use runspan_engine::{private, registrations};
use serde::{Deserialize, Serialize};

use crate::Registration;
use crate::outcome::JobResult;

const JOBS: &str = "jobs";
const JOB: &str = "job.json";

/// All workers of this machine.
pub type Store = registrations::Registrations<Registration>;

/// One worker's place.
pub type Place = registrations::Place<Registration>;

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

/// What a worker keeps.
pub(crate) trait Kept {
    /// The directory of a job, by the id that it first had.
    fn job(&self, id: &str) -> JobPlace;

    /// The jobs of a process that died.
    fn jobs(&self) -> io::Result<Vec<(JobPlace, Record)>>;
}

impl Kept for Place {
    fn job(&self, id: &str) -> JobPlace {
        JobPlace { root: self.root().join(JOBS).join(file_name(id)) }
    }

    fn jobs(&self) -> io::Result<Vec<(JobPlace, Record)>> {
        let entries = match fs::read_dir(self.root().join(JOBS)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let place = JobPlace { root: entry?.path() };
            match private::read(&place.root.join(JOB))? {
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
        private::directory(&self.root)?;
        private::write(&self.root.join(JOB), &serde_json::to_vec_pretty(record)?)
    }

    /// The job is over.
    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.root)
    }
}
