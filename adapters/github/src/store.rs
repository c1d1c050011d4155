//! What is kept beside a runner's registration: how far its job has come, and whether it has a session.

use std::fs;
use std::io;

use runspan_engine::{private, registrations};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::report::Outline;
use crate::run_service::Completion;
use crate::{JobOffer, Registration};

/// All registrations of this machine.
pub type Store = registrations::Registrations<Registration>;

/// One registration's place.
pub type Place = registrations::Place<Registration>;

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

const JOB: &str = "job.json";
const SESSION: &str = "session";

/// What a runner keeps.
pub(crate) trait Kept {
    /// The job of a process that died, if there is one.
    fn job(&self) -> io::Result<Option<JobRecord>>;

    /// Writes down how far the job is; on the disk when this returns.
    fn write_job(&self, record: &JobRecord) -> io::Result<()>;

    /// The job is settled at GitHub.
    fn forget_job(&self) -> io::Result<()>;

    /// Whether a process that died had a session open.
    fn had_session(&self) -> bool;

    /// Notes that a session is open, or that none is.
    fn note_session(&self, session: Option<Uuid>) -> io::Result<()>;
}

impl Kept for Place {
    fn job(&self) -> io::Result<Option<JobRecord>> {
        private::read(&self.root().join(JOB))
    }

    fn write_job(&self, record: &JobRecord) -> io::Result<()> {
        private::write(&self.root().join(JOB), &serde_json::to_vec(record)?)
    }

    fn forget_job(&self) -> io::Result<()> {
        absent_is_fine(fs::remove_file(self.root().join(JOB)))
    }

    fn had_session(&self) -> bool {
        self.root().join(SESSION).exists()
    }

    fn note_session(&self, session: Option<Uuid>) -> io::Result<()> {
        let path = self.root().join(SESSION);
        match session {
            Some(session) => private::write(&path, session.to_string().as_bytes()),
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
