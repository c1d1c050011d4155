//! What the program's exit status says.

use std::process::ExitCode;

use runspan_engine::build::Build;
use runspan_engine::lifecycle::{PhaseType, Status};

/// Exit statuses; scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It succeeded.
    Success,
    /// The build ran and failed, or its time was over.
    BuildFailed,
    /// Bad input or usage; no command of a build was run.
    BadInput,
    /// The machine failed: no container, no disk, no engine.
    Infrastructure,
    /// A translation left work to a person.
    Manual,
    /// Somebody stopped it.
    Stopped,
    /// A command that was run for the user ended so.
    Passed(u8),
}

impl Exit {
    /// How a build that is over ended.
    pub(crate) fn of(build: &Build) -> Self {
        let failed = build
            .phases
            .iter()
            .find(|phase| phase.phase_status.is_some_and(|status| status != Status::Succeeded));
        let bad_buildspec =
            failed.is_some_and(|phase| phase.contexts.iter().any(|why| why.status_code == "YAML_FILE_ERROR"));
        match (build.build_status, failed.map(|phase| phase.phase_type)) {
            (Status::Succeeded, _) => Self::Success,
            (Status::Stopped, _) => Self::Stopped,
            (Status::Fault | Status::InProgress, _) => Self::Infrastructure,
            (_, Some(PhaseType::Submitted | PhaseType::Queued | PhaseType::Provisioning)) => {
                Self::Infrastructure
            }
            (Status::Failed, Some(PhaseType::DownloadSource)) if bad_buildspec => Self::BadInput,
            (Status::Failed | Status::TimedOut, _) => Self::BuildFailed,
        }
    }

    /// The number.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::BuildFailed => 1,
            Self::BadInput => 2,
            Self::Infrastructure => 3,
            Self::Manual => 4,
            Self::Stopped => 130,
            Self::Passed(status) => status,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}
