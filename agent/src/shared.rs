//! What all threads of the agent share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::capture::Capture;
use crate::carried::CarriedState;
use crate::cgroup::Cgroup;
use crate::control::Control;
use crate::environment::Environment;
use crate::layout::Layout;
use crate::log::Log;
use crate::processes::Processes;
use crate::spool::Spool;

/// The parts of a running agent; each guards itself.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The attempt that this agent was placed for.
    pub(crate) attempt: String,
    /// Where things are.
    pub(crate) layout: Layout,
    /// The spool.
    pub(crate) spool: Arc<Spool>,
    /// The log and events into it.
    pub(crate) log: Arc<Log>,
    /// Output of processes.
    pub(crate) capture: Arc<Capture>,
    /// Processes.
    pub(crate) processes: Arc<Processes>,
    /// Stops, deadline, pauses.
    pub(crate) control: Control,
    /// Resource use.
    pub(crate) cgroup: Cgroup,
    /// What an interactive shell starts with; nothing before the build is configured.
    pub(crate) session: Mutex<Option<Session>>,
}

/// A build's environment and state, as they were last set.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// What processes start with.
    pub(crate) environment: Environment,
    /// What commands have saved.
    pub(crate) state: CarriedState,
    /// The source directory.
    pub(crate) source_dir: PathBuf,
    /// `codebuild-breakpoint` pauses.
    pub(crate) breakpoints: bool,
}

impl Shared {
    /// The session as it is now.
    pub(crate) fn session(&self) -> Option<Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the session.
    pub(crate) fn set_session(&self, session: Session) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }
}
