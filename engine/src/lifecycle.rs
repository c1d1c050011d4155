//! CodeBuild's phases as one explicit state machine.
//!
//! Sources: CodeBuild API `BuildPhaseType` and `StatusType`; user guide, "View build details" (the picture of
//! transitions) and `on-failure` of the build specification reference.

use jiff::Timestamp;
use runspan_buildspec::OnFailure;
use serde::{Deserialize, Serialize};

/// `phaseType`, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum PhaseType {
    Submitted,
    Queued,
    Provisioning,
    DownloadSource,
    Install,
    PreBuild,
    Build,
    PostBuild,
    UploadArtifacts,
    Finalizing,
    Completed,
}

impl PhaseType {
    /// Every phase, in order.
    pub const ALL: [Self; 11] = [
        Self::Submitted,
        Self::Queued,
        Self::Provisioning,
        Self::DownloadSource,
        Self::Install,
        Self::PreBuild,
        Self::Build,
        Self::PostBuild,
        Self::UploadArtifacts,
        Self::Finalizing,
        Self::Completed,
    ];

    /// CodeBuild's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Queued => "QUEUED",
            Self::Provisioning => "PROVISIONING",
            Self::DownloadSource => "DOWNLOAD_SOURCE",
            Self::Install => "INSTALL",
            Self::PreBuild => "PRE_BUILD",
            Self::Build => "BUILD",
            Self::PostBuild => "POST_BUILD",
            Self::UploadArtifacts => "UPLOAD_ARTIFACTS",
            Self::Finalizing => "FINALIZING",
            Self::Completed => "COMPLETED",
        }
    }

    const fn successor(self) -> Self {
        match self {
            Self::Submitted => Self::Queued,
            Self::Queued => Self::Provisioning,
            Self::Provisioning => Self::DownloadSource,
            Self::DownloadSource => Self::Install,
            Self::Install => Self::PreBuild,
            Self::PreBuild => Self::Build,
            Self::Build => Self::PostBuild,
            Self::PostBuild => Self::UploadArtifacts,
            Self::UploadArtifacts => Self::Finalizing,
            Self::Finalizing | Self::Completed => Self::Completed,
        }
    }
}

/// `StatusType`, of builds and of phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum Status {
    Succeeded,
    Failed,
    Fault,
    TimedOut,
    InProgress,
    Stopped,
}

impl Status {
    /// CodeBuild's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Fault => "FAULT",
            Self::TimedOut => "TIMED_OUT",
            Self::InProgress => "IN_PROGRESS",
            Self::Stopped => "STOPPED",
        }
    }
}

/// How a phase ended, with the context that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhaseOutcome {
    /// It succeeded.
    Succeeded,
    /// It did what it had to, and something in it failed.
    Failed(PhaseContext),
    /// The machine failed, not the build.
    Fault(PhaseContext),
    /// The build's time was over.
    TimedOut,
    /// Somebody stopped the build.
    Stopped,
}

impl PhaseOutcome {
    /// A failure with CodeBuild's status code and message.
    pub fn failed(status_code: &str, message: impl Into<String>) -> Self {
        Self::Failed(PhaseContext { status_code: status_code.to_owned(), message: message.into() })
    }

    /// A fault of the machine.
    pub fn fault(status_code: &str, message: impl Into<String>) -> Self {
        Self::Fault(PhaseContext { status_code: status_code.to_owned(), message: message.into() })
    }

    /// The phase's status.
    pub const fn status(&self) -> Status {
        match self {
            Self::Succeeded => Status::Succeeded,
            Self::Failed(_) => Status::Failed,
            Self::Fault(_) => Status::Fault,
            Self::TimedOut => Status::TimedOut,
            Self::Stopped => Status::Stopped,
        }
    }

    /// The phase's context, empty after success.
    pub fn context(&self) -> PhaseContext {
        match self {
            Self::Succeeded | Self::Stopped => PhaseContext::default(),
            Self::Failed(context) | Self::Fault(context) => context.clone(),
            Self::TimedOut => PhaseContext {
                status_code: "BUILD_TIMED_OUT".into(),
                // The trailing space is CodeBuild's.
                message: "Build has timed out. ".into(),
            },
        }
    }
}

/// One of `BuildPhase.contexts`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseContext {
    /// `statusCode`, as in `YAML_FILE_ERROR`; empty after success.
    pub status_code: String,
    /// `message`.
    pub message: String,
}

/// One of `Build.phases`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the members are those of CodeBuild's API")]
pub struct BuildPhase {
    pub phase_type: PhaseType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase_status: Option<Status>,
    pub start_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// Whole seconds, as CodeBuild counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_in_seconds: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<PhaseContext>,
}

/// The phases of one build so far; the last one is running, or is COMPLETED.
#[derive(Clone, Debug, PartialEq)]
pub struct Lifecycle {
    phases: Vec<BuildPhase>,
}

impl Lifecycle {
    /// A build that was just SUBMITTED.
    pub fn new(now: Timestamp) -> Self {
        Self { phases: vec![begin(PhaseType::Submitted, now)] }
    }

    /// A build as its record has it.
    pub fn resume(phases: Vec<BuildPhase>, now: Timestamp) -> Self {
        if phases.is_empty() { Self::new(now) } else { Self { phases } }
    }

    /// The phase that runs now.
    pub fn current(&self) -> PhaseType {
        self.phases.last().map_or(PhaseType::Submitted, |phase| phase.phase_type)
    }

    /// Every phase so far.
    pub fn phases(&self) -> &[BuildPhase] {
        &self.phases
    }

    /// `CODEBUILD_BUILD_SUCCEEDING`: whether no phase has failed.
    pub fn is_succeeding(&self) -> bool {
        self.phases.iter().all(|phase| matches!(phase.phase_status, None | Some(Status::Succeeded)))
    }

    /// The build's status: IN_PROGRESS until COMPLETED, then that of the first phase that did not succeed.
    pub fn status(&self) -> Status {
        if self.current() == PhaseType::Completed { self.verdict() } else { Status::InProgress }
    }

    /// What the build's status will be if nothing else fails.
    pub fn verdict(&self) -> Status {
        self.phases
            .iter()
            .filter_map(|phase| phase.phase_status)
            .find(|status| *status != Status::Succeeded)
            .unwrap_or(Status::Succeeded)
    }

    /// Ends the running phase and begins the one that follows by the transition table. `retry` says that the whole
    /// build will be tried again, so that nothing more of this one runs.
    pub fn end_phase(
        &mut self,
        now: Timestamp,
        outcome: &PhaseOutcome,
        on_failure: Option<&OnFailure>,
        retry: bool,
    ) -> PhaseType {
        let next = next(self.current(), outcome.status(), on_failure, retry);
        if let Some(phase) = self.phases.last_mut() {
            phase.phase_status = Some(outcome.status());
            phase.end_time = Some(now);
            phase.duration_in_seconds = Some((now.as_second() - phase.start_time.as_second()).max(0));
            phase.contexts = vec![outcome.context()];
        }
        self.phases.push(begin(next, now));
        next
    }
}

fn begin(phase_type: PhaseType, now: Timestamp) -> BuildPhase {
    BuildPhase {
        phase_type,
        phase_status: None,
        start_time: now,
        end_time: None,
        duration_in_seconds: None,
        contexts: Vec::new(),
    }
}

/// The transition table: which phase follows one that ended so.
pub fn next(phase: PhaseType, status: Status, on_failure: Option<&OnFailure>, retry: bool) -> PhaseType {
    use PhaseType as P;
    if status == Status::Succeeded {
        return phase.successor();
    }
    match phase {
        P::Submitted | P::Queued | P::Provisioning | P::Finalizing | P::Completed => P::Completed,
        P::DownloadSource | P::UploadArtifacts => P::Finalizing,
        _ if status != Status::Failed || retry => P::Finalizing,
        P::Install | P::PreBuild => match on_failure {
            Some(OnFailure::Continue) => phase.successor(),
            _ => P::Finalizing,
        },
        P::Build | P::PostBuild => match on_failure {
            Some(OnFailure::Abort) => P::Finalizing,
            _ => phase.successor(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PhaseType as P;

    fn walk(failing: &[(P, Option<OnFailure>)]) -> (Vec<P>, Status) {
        let mut life = Lifecycle::new(Timestamp::UNIX_EPOCH);
        while life.current() != P::Completed {
            let found = failing.iter().find(|(phase, _)| *phase == life.current());
            let outcome = match found {
                Some(_) => PhaseOutcome::failed("COMMAND_EXECUTION_ERROR", "x"),
                None => PhaseOutcome::Succeeded,
            };
            life.end_phase(Timestamp::UNIX_EPOCH, &outcome, found.and_then(|(_, f)| f.as_ref()), false);
        }
        (life.phases().iter().map(|phase| phase.phase_type).collect(), life.status())
    }

    #[test]
    fn a_good_build_visits_every_phase() {
        assert_eq!(walk(&[]), (P::ALL.to_vec(), Status::Succeeded));
    }

    #[test]
    fn a_failed_install_or_pre_build_skips_to_finalizing() {
        let (phases, status) = walk(&[(P::Install, None)]);
        assert_eq!(phases[4..], [P::Install, P::Finalizing, P::Completed]);
        assert_eq!(status, Status::Failed);
        let (phases, _) = walk(&[(P::PreBuild, Some(OnFailure::Abort))]);
        assert_eq!(phases[5..], [P::PreBuild, P::Finalizing, P::Completed]);
    }

    #[test]
    fn a_failed_build_still_runs_post_build_and_uploads() {
        let (phases, status) = walk(&[(P::Build, None)]);
        assert_eq!(phases, P::ALL);
        assert_eq!(status, Status::Failed);
        let (phases, _) = walk(&[(P::Build, Some(OnFailure::Abort))]);
        assert_eq!(phases[6..], [P::Build, P::Finalizing, P::Completed]);
        let (phases, _) = walk(&[(P::PostBuild, Some(OnFailure::Abort))]);
        assert_eq!(phases[7..], [P::PostBuild, P::Finalizing, P::Completed]);
    }

    #[test]
    fn continue_goes_on_and_does_not_launder_the_failure() {
        let (phases, status) = walk(&[(P::Install, Some(OnFailure::Continue))]);
        assert_eq!(phases, P::ALL);
        assert_eq!(status, Status::Failed);
    }

    #[test]
    fn what_ends_from_outside_runs_no_further_command() {
        for status in [Status::Stopped, Status::TimedOut, Status::Fault] {
            for phase in [P::Install, P::PreBuild, P::Build, P::PostBuild] {
                assert_eq!(next(phase, status, Some(&OnFailure::Continue), false), P::Finalizing);
            }
        }
        assert_eq!(next(P::Build, Status::Failed, None, true), P::Finalizing);
        assert_eq!(next(P::Queued, Status::TimedOut, None, false), P::Completed);
    }
}
