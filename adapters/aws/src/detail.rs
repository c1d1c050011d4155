//! CodeBuild's events, in the schema that rules and functions were written for.

use jiff::Timestamp;
use runspan_engine::Event;
use runspan_engine::build::{Build, BuildArtifacts};
use runspan_engine::journal::StoredEvent;
use runspan_engine::lifecycle::{BuildPhase, PhaseContext, PhaseType, Status};
use runspan_engine::project::{CacheType, ProjectSource};
use serde_json::{Value, json};

pub(crate) const STATE_CHANGE: &str = "CodeBuild Build State Change";
pub(crate) const PHASE_CHANGE: &str = "CodeBuild Build Phase Change";

/// One event for the world outside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    pub(crate) detail_type: &'static str,
    pub(crate) time: Timestamp,
    pub(crate) detail: Value,
    /// As notification rules name it.
    pub(crate) rule: &'static str,
    /// The same whenever it is made again, so that whoever gets it twice can tell.
    pub(crate) id: String,
}

/// What others are told of an event; most are of no concern to them. `record` is the build as it stands.
pub(crate) fn notice(record: &Build, event: &StoredEvent) -> Option<Notice> {
    let (detail_type, rule, detail) = match &event.event {
        Event::Submitted { build } | Event::Build { build } => {
            (STATE_CHANGE, state_rule(build.build_status), state_change(build))
        }
        Event::Phase { phase } => {
            (PHASE_CHANGE, phase_rule(phase), phase_change(&as_of(record, phase), phase))
        }
        _ => return None,
    };
    let uuid = record.id.uuid();
    let id = format!("{}{:012x}", uuid.get(..24).unwrap_or(uuid), event.number);
    Some(Notice { detail_type, time: event.time, detail, rule, id })
}

/// The record as it stood when a phase ended.
fn as_of(record: &Build, ended: &BuildPhase) -> Build {
    let mut build = record.clone();
    let is_it =
        |phase: &BuildPhase| phase.phase_type == ended.phase_type && phase.start_time == ended.start_time;
    let last = build.phases.iter().position(is_it).map_or(build.phases.len(), |at| at + 2);
    build.phases.truncate(last);
    if let Some(running) = build.phases.last_mut().filter(|phase| !is_it(phase)) {
        *running = BuildPhase {
            phase_status: None,
            end_time: None,
            duration_in_seconds: None,
            contexts: Vec::new(),
            ..running.clone()
        };
    }
    build.build_complete = false;
    if ended.phase_type < PhaseType::UploadArtifacts {
        build.artifacts = None;
    }
    build
}

fn state_change(build: &Build) -> Value {
    let current = build.phases.iter().rev().find(|phase| phase.phase_type == build.current_phase);
    json!({
        "build-status": state(build.build_status),
        "project-name": build.project_name,
        "build-id": build.arn,
        "additional-information": additional_information(build),
        "current-phase": build.current_phase.name(),
        "current-phase-context": bracketed(current.map_or(&[], |phase| phase.contexts.as_slice())),
        "version": "1",
    })
}

fn phase_change(build: &Build, phase: &BuildPhase) -> Value {
    json!({
        "completed-phase": phase.phase_type.name(),
        "project-name": build.project_name,
        "build-id": build.arn,
        "completed-phase-context": bracketed(&phase.contexts),
        "additional-information": additional_information(build),
        "completed-phase-status": phase.phase_status.map(Status::name),
        "completed-phase-duration-seconds": phase.duration_in_seconds,
        "version": "1",
        "completed-phase-start": date(phase.start_time),
        "completed-phase-end": phase.end_time.map(date),
    })
}

fn additional_information(build: &Build) -> Value {
    let environment = &build.environment;
    let mut information = json!({
        "environment": {
            "image": environment.image,
            "privileged-mode": environment.privileged_mode,
            "image-pull-credentials-type": environment.image_pull_credentials_type.as_deref().unwrap_or("CODEBUILD"),
            "compute-type": environment.compute_type,
            "type": environment.kind,
            "environment-variables": environment.environment_variables,
        },
        "timeout-in-minutes": build.timeout_in_minutes,
        "queued-timeout-in-minutes": build.queued_timeout_in_minutes,
        "build-complete": build.build_complete,
        "build-number": build.build_number,
        "initiator": build.initiator,
        "build-start-time": date(build.start_time),
        "source": source(&build.source),
        // Those who read events expect one, even of a build that makes none.
        "artifact": build.artifacts.as_ref().map_or_else(|| json!({ "location": "" }), artifact),
        "project-file-system-locations": [],
        "cache": { "type": build.cache.kind.unwrap_or(CacheType::NoCache) },
        "logs": {
            "group-name": build.logs.group_name,
            "stream-name": build.logs.stream_name,
            "deep-link": build.logs.deep_link,
        },
        "phases": build.phases.iter().map(phase).collect::<Vec<_>>(),
    });
    if let Some(version) = &build.source_version {
        information["source-version"] = version.as_str().into();
    }
    if !build.secondary_artifacts.is_empty() {
        information["secondary-artifacts"] = build.secondary_artifacts.iter().map(artifact).collect();
    }
    information
}

fn source(source: &ProjectSource) -> Value {
    let mut found = json!({ "type": source.kind.name() });
    for (name, value) in [("location", &source.location), ("buildspec", &source.buildspec)] {
        if let Some(value) = value {
            found[name] = value.as_str().into();
        }
    }
    found
}

fn artifact(made: &BuildArtifacts) -> Value {
    let mut artifact = json!({ "location": made.location });
    let parts = [
        ("md5sum", &made.md5sum),
        ("sha256sum", &made.sha256sum),
        ("artifact-identifier", &made.artifact_identifier),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            artifact[name] = value.as_str().into();
        }
    }
    artifact
}

fn phase(phase: &BuildPhase) -> Value {
    let mut found = json!({ "phase-type": phase.phase_type.name(), "start-time": date(phase.start_time) });
    if let Some(end) = phase.end_time {
        found["end-time"] = date(end).into();
        found["duration-in-seconds"] = phase.duration_in_seconds.into();
        found["phase-status"] = phase.phase_status.map(Status::name).into();
        found["phase-context"] = phase.contexts.iter().map(context).collect();
    }
    found
}

fn context(context: &PhaseContext) -> String {
    format!("{}: {}", context.status_code, context.message)
}

/// A list as the text that it is beside `phases`.
fn bracketed(contexts: &[PhaseContext]) -> String {
    format!("[{}]", contexts.iter().map(context).collect::<Vec<_>>().join(", "))
}

/// As in `Sep 1, 2017 4:12:29 PM`, UTC.
fn date(time: Timestamp) -> String {
    time.strftime("%b %-d, %Y %-I:%M:%S %p").to_string()
}

/// Events know four states.
const fn state(status: Status) -> &'static str {
    match status {
        Status::Succeeded => "SUCCEEDED",
        Status::Failed | Status::Fault | Status::TimedOut => "FAILED",
        Status::InProgress => "IN_PROGRESS",
        Status::Stopped => "STOPPED",
    }
}

const STATE_FAILED: &str = "codebuild-project-build-state-failed";
const STATE_SUCCEEDED: &str = "codebuild-project-build-state-succeeded";
const STATE_IN_PROGRESS: &str = "codebuild-project-build-state-in-progress";
const STATE_STOPPED: &str = "codebuild-project-build-state-stopped";
const PHASE_FAILURE: &str = "codebuild-project-build-phase-failure";
const PHASE_SUCCESS: &str = "codebuild-project-build-phase-success";

/// The names of all events.
pub(crate) const RULES: [&str; 6] =
    [STATE_FAILED, STATE_SUCCEEDED, STATE_IN_PROGRESS, STATE_STOPPED, PHASE_FAILURE, PHASE_SUCCESS];

const fn state_rule(status: Status) -> &'static str {
    match status {
        Status::Succeeded => STATE_SUCCEEDED,
        Status::Failed | Status::Fault | Status::TimedOut => STATE_FAILED,
        Status::InProgress => STATE_IN_PROGRESS,
        Status::Stopped => STATE_STOPPED,
    }
}

const fn phase_rule(phase: &BuildPhase) -> &'static str {
    match phase.phase_status {
        Some(Status::Succeeded) => PHASE_SUCCESS,
        _ => PHASE_FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_contexts_are_texts_as_codebuild_writes_them() {
        let time: Timestamp = "2017-09-01T16:04:09Z".parse().unwrap();
        assert_eq!(date(time), "Sep 1, 2017 4:04:09 PM");
        assert_eq!(bracketed(&[]), "[]");
        assert_eq!(bracketed(&[PhaseContext::default()]), "[: ]");
        assert_eq!(state(Status::TimedOut), "FAILED");
    }
}
