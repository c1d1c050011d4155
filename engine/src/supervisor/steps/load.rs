//! Actions on their way into the container.

use std::pin::Pin;
use std::sync::Arc;

use indexmap::IndexMap;
use runspan_agent_protocol::{Reply, StopReason, Verb, layout};
use runspan_archive::SendFile;
use runspan_buildspec::StepAction;

use super::action::DEEPEST;
use super::checkout::is_checkout;
use super::run::{Done, Running};
use super::{Steps, Stop};
use crate::lifecycle::PhaseOutcome;
use crate::project::SourceType;
use crate::steps::{ActionRef, DockerAction, Manifest, Runs, Uses, read};
use crate::supervisor::session::Interrupt;

/// A larger file describes no action.
const MOST_MANIFEST: u64 = 1 << 20;

/// An action that is in the container.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Its directory.
    pub(super) directory: String,
    pub(super) manifest: Manifest,
}

impl Steps<'_> {
    /// Whether an action is a checkout of what the build has as its source anyway.
    pub(super) fn is_own_source(&self, uses: &Uses, with: &IndexMap<String, String>) -> bool {
        let own = |name: &str| {
            let given = with.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
            match (name, given) {
                (_, None) => true,
                ("repository", Some(text)) => text.replace(' ', "") == "${{github.repository}}",
                ("ref", Some(text)) => {
                    matches!(text.replace(' ', "").as_str(), "${{github.ref}}" | "${{github.sha}}")
                }
                ("path", Some(text)) => matches!(text, "." | "./"),
                _ => true,
            }
        };
        is_checkout(uses)
            && self.driver.request.source.kind != SourceType::NoSource
            && ["repository", "ref", "path"].into_iter().all(own)
    }

    pub(super) async fn own_source(&mut self, running: &Running) -> Result<Done, Stop> {
        let directory = self.driver.dirs.primary.clone();
        let commit = self.driver.build.resolved_source_version.clone();
        let of = commit.as_ref().map_or_else(String::new, |commit| format!(" at {commit}"));
        self.tell_pending().await?;
        let line = format!("{}: the build's source is in {directory} already{of}", running.name);
        self.driver.say(self.session, [line]);
        let outputs = commit.map(|commit| ("commit".to_owned(), commit)).into_iter().collect();
        Ok(Done::of(outputs, None))
    }

    /// Fetches an action and all it is made of.
    pub(super) fn preload<'s>(
        &'s mut self,
        uses: &'s Uses,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<(), Stop>> + Send + 's>> {
        Box::pin(async move {
            let Uses::Repository(action) = uses else { return Ok(()) };
            if depth > DEEPEST {
                return Err(Stop::Fault(format!("Composite action depth exceeded max depth {DEEPEST}")));
            }
            let loaded = self.load_repository(action).await?;
            if let Runs::Composite(steps) = &loaded.manifest.runs {
                for step in steps {
                    if let StepAction::Uses { uses, with } = &step.action
                        && let Ok(inner) = Uses::parse(uses)
                        && !self.is_own_source(&inner, with)
                    {
                        self.preload(&inner, depth + 1).await?;
                    }
                }
            }
            Ok(())
        })
    }

    pub(super) async fn load_repository(&mut self, action: &ActionRef) -> Result<Arc<Loaded>, Stop> {
        let key = action.repository();
        let top = match self.job.provided.get(&key) {
            Some(directory) => directory.clone(),
            None => {
                let ActionRef { owner, name, version, .. } = action;
                let directory = format!("{}/{owner}/{name}/{version}", layout::STEPS_ACTIONS);
                self.provide(action, &directory).await?;
                self.job.provided.insert(key, directory.clone());
                directory
            }
        };
        let directory = if action.path.is_empty() { top } else { format!("{top}/{}", action.path) };
        self.load(action.to_string(), directory).await
    }

    async fn provide(&mut self, action: &ActionRef, directory: &str) -> Result<(), Stop> {
        let source = Arc::clone(&self.driver.supervisor.actions);
        let known = self.contexts.actions.get(&action.repository()).cloned();
        let fetched = self.driver.interruptible(source.action(action, known.as_ref())).await;
        let archive = ended_early(fetched)?.map_err(|error| Stop::Fault(error.to_string()))?;
        self.driver.say(self.session, [format!("Download action repository '{}'", action.repository())]);
        let send = Box::new(move |to: &mut dyn SendFile| super::archive::send_action(&archive, to));
        self.driver.send_tar(self.session, directory, false, send).await.map(drop).map_err(|interrupt| {
            match interrupt {
                Interrupt::Failed(message) => Stop::Fault(format!("action `{action}`: {message}")),
                other => other.into(),
            }
        })
    }

    /// Reads what an action says of itself.
    pub(super) async fn load(&mut self, name: String, directory: String) -> Result<Arc<Loaded>, Stop> {
        if let Some(loaded) = self.loaded.get(&name) {
            return Ok(Arc::clone(loaded));
        }
        let mut manifest = None;
        for file in ["action.yml", "action.yaml"] {
            if let Some(bytes) = self.read(&format!("{directory}/{file}")).await? {
                let text = String::from_utf8_lossy(&bytes);
                let read = read(&text).map_err(|error| Stop::Fault(format!("{name}: {file}: {error}")))?;
                manifest = Some(read);
                break;
            }
        }
        if manifest.is_none() {
            for file in ["Dockerfile", "dockerfile"] {
                if self.read(&format!("{directory}/{file}")).await?.is_some() {
                    let docker = DockerAction { image: file.to_owned(), ..DockerAction::default() };
                    manifest = Some(Manifest { runs: Runs::Docker(docker), ..Manifest::default() });
                    break;
                }
            }
        }
        let manifest = manifest.ok_or_else(|| {
            Stop::Fault(format!(
                "Can't find 'action.yml', 'action.yaml' or 'Dockerfile' under '{directory}'. \
                 Did you forget to run actions/checkout before running your local action?"
            ))
        })?;
        let loaded = Arc::new(Loaded { directory, manifest });
        self.loaded.insert(name, Arc::clone(&loaded));
        Ok(loaded)
    }

    async fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>, Stop> {
        let verb = Verb::ReadFile { path: path.to_owned(), max_bytes: MOST_MANIFEST };
        match self.session.call(self.driver, verb).await? {
            Reply::File(file) => Ok(file),
            other => Err(self.session.unexpected(&other).into()),
        }
    }
}

/// What cuts a fetch short.
pub(super) fn ended_early<T>(result: Result<T, PhaseOutcome>) -> Result<T, Stop> {
    result.map_err(|outcome| {
        let reason =
            if outcome == PhaseOutcome::TimedOut { StopReason::TimedOut } else { StopReason::Stopped };
        Stop::Interrupt(Interrupt::Ended(reason))
    })
}
