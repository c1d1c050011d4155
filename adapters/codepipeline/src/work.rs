//! What a job became on this machine: a build, or the builds of a batch.

use runspan_engine::batch::{BatchHandle, BatchOutcome, BuildBatch};
use runspan_engine::build::{Build, BuildArtifacts};
use runspan_engine::{BuildHandle, Control, EngineError, Outcome};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};

use crate::order::Order;
use crate::worker::Desk;

/// Work that runs.
pub(crate) struct Running {
    id: String,
    stop: Stop,
    end: JoinHandle<Option<Over>>,
}

enum Stop {
    Build(Control),
    Batch(watch::Sender<bool>),
}

/// Work that is over.
pub(crate) enum Over {
    Build(Box<Build>),
    Batch(Box<BuildBatch>),
}

/// Work of a process that died.
pub(crate) enum Found {
    Running(Running),
    /// A build that had no container yet, so that there is nothing to be adopted: it is over now, and was nothing.
    Unbegun,
    Over(Over),
}

impl Running {
    /// Begins it, with so many builds of a batch at once.
    pub(crate) fn begin(desk: &Desk, order: Order, at_once: usize) -> Result<Self, EngineError> {
        if !order.is_batch {
            return desk.supervisor.start(order.request).map(Self::build);
        }
        desk.supervisor.open_batch(order.request, at_once, None).map(Self::batch)
    }

    fn batch(handle: BatchHandle) -> Self {
        let BatchHandle { id, stop, outcome, .. } = handle;
        let over = |done: Result<Result<BatchOutcome, EngineError>, JoinError>| {
            Some(Over::Batch(Box::new(done.ok()?.ok()?.batch)))
        };
        Self {
            id: id.uuid().to_owned(),
            stop: Stop::Batch(stop),
            end: tokio::spawn(async move { over(outcome.await) }),
        }
    }

    fn build(handle: BuildHandle) -> Self {
        let BuildHandle { id, control, outcome, .. } = handle;
        let over = |done: Result<Result<Outcome, EngineError>, JoinError>| {
            Some(Over::Build(Box::new(done.ok()?.ok()?.build)))
        };
        Self {
            id: id.uuid().to_owned(),
            stop: Stop::Build(control),
            end: tokio::spawn(async move { over(outcome.await) }),
        }
    }

    /// The id of the build or the batch, without the project.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn stop(&self) {
        match &self.stop {
            Stop::Build(control) => control.stop(),
            // Nobody listens when it is over.
            Stop::Batch(stop) => drop(stop.send(true)),
        }
    }

    /// How it ended; `None` when its task could not say. To be waited for once.
    pub(crate) async fn end(&mut self) -> Option<Over> {
        (&mut self.end).await.ok().flatten()
    }
}

impl Over {
    /// As the journal has it.
    pub(crate) fn find(desk: &Desk, id: &str) -> Result<Option<Self>, EngineError> {
        if let Some(stored) = desk.journal.find(id)? {
            return Ok(Some(Self::Build(Box::new(stored.build))));
        }
        Ok(desk.journal.find_batch(id)?.map(|batch| Self::Batch(Box::new(batch))))
    }

    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Build(build) => build.id.uuid(),
            Self::Batch(batch) => batch.id.uuid(),
        }
    }

    pub(crate) fn arn(&self) -> &str {
        match self {
            Self::Build(build) => &build.arn,
            Self::Batch(batch) => &batch.arn,
        }
    }

    /// What it made for an output artifact of this name. The only one is the primary artifact; of several each is the
    /// secondary one with that identifier. A batch whose artifacts are not combined has `<build>` for the primary
    /// artifact of one of its builds, and `<build>_<identifier>` for a secondary one.
    pub(crate) fn artifact(&self, name: &str, is_only: bool) -> Option<&BuildArtifacts> {
        let (primary, secondary) = match self {
            Self::Build(build) => (&build.artifacts, &build.secondary_artifacts),
            Self::Batch(batch) => (&batch.artifacts, &batch.secondary_artifacts),
        };
        let of_all = || {
            if is_only {
                return primary.as_ref();
            }
            secondary.iter().find(|made| made.artifact_identifier.as_deref() == Some(name))
        };
        // A build without any has one that lies nowhere.
        let is_made = |made: &&BuildArtifacts| !made.location.is_empty();
        of_all().filter(is_made).or_else(|| self.of_one_build(name).filter(is_made))
    }

    fn of_one_build(&self, name: &str) -> Option<&BuildArtifacts> {
        let Self::Batch(batch) = self else { return None };
        batch.build_groups.iter().find_map(|group| {
            let rest = name.strip_prefix(&group.identifier)?;
            let made = group.current_build_summary.as_ref()?;
            match rest.strip_prefix('_') {
                None if rest.is_empty() => made.primary_artifact.as_ref(),
                None => None,
                identifier => made
                    .secondary_artifacts
                    .iter()
                    .find(|made| made.artifact_identifier.as_deref() == identifier),
            }
        })
    }
}

impl Found {
    /// Takes over what a process before this one began; of a batch, so many builds at once go on.
    pub(crate) async fn take_over(
        desk: &Desk,
        id: &str,
        at_once: usize,
    ) -> Result<Option<Self>, EngineError> {
        let Some(stored) = desk.journal.find(id)? else {
            return match desk.supervisor.resume_batch(id, at_once, &mut Vec::new()) {
                Ok(handle) => Ok(Some(Self::Running(Running::batch(handle)))),
                Err(EngineError::Complete(_)) => Ok(Over::find(desk, id)?.map(Self::Over)),
                Err(EngineError::Unknown(_)) => Ok(None),
                Err(error) => Err(error),
            };
        };
        let has_run = stored.build.build_complete || stored.placement.is_some();
        match desk.supervisor.attach(id) {
            Ok(handle) if has_run => Ok(Some(Self::Running(Running::build(handle)))),
            Ok(handle) => {
                let _ended = handle.outcome.await;
                Ok(Some(Self::Unbegun))
            }
            Err(EngineError::Complete(_)) => Ok(Over::find(desk, id)?.map(Self::Over)),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn artifacts_of_a_batch_are_found_by_their_names() {
        let made = |location: &str, identifier: Value| json!({ "location": location, "artifactIdentifier": identifier, "files": 1, "bytes": 1 });
        let group = |identifier: &str, primary: &str, secondary: &str| {
            json!({
                "identifier": identifier, "dependsOn": [], "ignoreFailure": false,
                "currentBuildSummary": {
                    "arn": "arn", "requestedOn": "2026-01-01T00:00:00Z", "buildStatus": "SUCCEEDED",
                    "primaryArtifact": made(primary, Value::Null),
                    "secondaryArtifacts": [made(secondary, "c".into()), made("/b_c", "b_c".into())],
                },
            })
        };
        let batch = |artifacts: Value| {
            let batch = json!({
                "id": "p:u", "arn": "arn", "buildBatchNumber": 1, "projectName": "p",
                "startTime": "2026-01-01T00:00:00Z", "buildBatchStatus": "SUCCEEDED", "phases": [], "complete": true,
                "buildGroups": [group("a", "/a", "/a/c"), group("a_b", "", "/a_b/c")], "artifacts": artifacts,
            });
            Over::Batch(Box::new(serde_json::from_value(batch).unwrap()))
        };
        let each = batch(Value::Null);
        let found = |name: &str, is_only| each.artifact(name, is_only).map(|made| made.location.as_str());
        assert_eq!((found("a", true), found("a", false)), (Some("/a"), Some("/a")));
        assert_eq!(found("a_c", false), Some("/a/c"));
        assert_eq!(found("a_b_c", false), Some("/b_c"), "the first build that has it");
        assert_eq!((found("a_b", false), found("ac", false), found("x", false)), (None, None, None));
        let all = batch(made("/all", Value::Null));
        assert_eq!(all.artifact("Made", true).map(|made| made.location.as_str()), Some("/all"));
    }
}
