//! Builds the jobs of hosts.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use runspan_actions::expressions::Value;
use runspan_actions::message::Job;
use runspan_engine::build::Build;
use runspan_engine::journal::Journal;
use runspan_engine::{BuildHandle, Control, EngineError, Supervisor};
use runspan_github::{Conclusion, JobMessage, Registration, Results, StepsEnded, Stop, Work, Workshop};
use serde_json::json;

use super::feed::feed;
use super::job;
use crate::cli::watch::Session;

/// What jobs get that say nothing else.
pub(super) struct Defaults {
    pub(super) image: Option<String>,
    pub(super) privileged: bool,
    pub(super) host_network: bool,
    pub(super) cache_dir: PathBuf,
}

/// Builds with this program's engine.
pub(super) struct Builder {
    journal: Arc<Journal>,
    supervisor: Supervisor,
    defaults: Defaults,
}

impl Builder {
    pub(super) fn new(session: &Session, defaults: Defaults) -> Self {
        Self { journal: Arc::clone(&session.journal), supervisor: session.supervisor.clone(), defaults }
    }

    fn work(&self, handle: BuildHandle, job: Job) -> Work {
        let BuildHandle { id, position, control, .. } = handle;
        Work {
            build: id.to_string(),
            outline: job::outline(&job),
            feed: feed(Arc::clone(&self.journal), id.uuid(), Some(position)),
            stop: Arc::new(move |stop| halt(&control, stop)),
            outcome: Box::new(move |build, steps| outcome(&job, build, steps)),
        }
    }
}

fn halt(control: &Control, stop: Stop) {
    match stop {
        Stop::Gently => control.stop(),
        Stop::AtOnce => control.kill(),
    }
}

#[async_trait]
impl Workshop for Builder {
    async fn start(&self, runner: &Registration, message: &JobMessage) -> Result<Work, String> {
        let mut job = job::read(message, &runner.name)?;
        job.settle();
        let request = job::request(&job, &runner.name, &self.defaults)?;
        let handle = self.supervisor.start(request).map_err(|error| error.to_string())?;
        Ok(self.work(handle, job))
    }

    async fn resume(&self, message: &JobMessage, build: &str) -> Result<Work, String> {
        let job = job::read(message, "")?;
        match self.supervisor.attach(build) {
            Ok(handle) => Ok(self.work(handle, job)),
            // It has ended, or somebody has ended it, since.
            Err(EngineError::Complete(id)) => {
                let uuid = id.rsplit_once(':').map_or(id.as_str(), |(_, uuid)| uuid);
                Ok(Work {
                    build: build.to_owned(),
                    outline: job::outline(&job),
                    feed: feed(Arc::clone(&self.journal), uuid, None),
                    stop: Arc::new(|_| {}),
                    outcome: Box::new(move |build, steps| outcome(&job, build, steps)),
                })
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Outputs and environment URL, by what the steps left.
fn outcome(job: &Job, build: &Build, ended: &StepsEnded) -> Results {
    let mut results = Results::default();
    let steps = job.steps.iter().filter_map(|step| {
        let (_, conclusion, outputs) = ended.iter().find(|(id, ..)| id.to_string() == step.id)?;
        let name = Some(&step.context_name).filter(|name| !name.is_empty() && !name.starts_with("__"))?;
        let outputs = outputs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        let word = word(*conclusion);
        let entries = [
            ("outputs", Value::object(outputs.collect::<Vec<_>>())),
            ("outcome", word.into()),
            ("conclusion", word.into()),
        ];
        Some((name.clone(), Value::object(entries)))
    });
    let steps = Value::object(steps.collect::<Vec<_>>());
    let status = if build.build_status == runspan_engine::lifecycle::Status::Succeeded {
        "success"
    } else {
        "failure"
    };
    let more = [("steps", steps), ("job", Value::object([("status", Value::from(status))]))];
    for (name, template) in &job.outputs {
        match job.evaluate(template, &more) {
            Ok(value) => {
                let text = value.to_text();
                if is_secret(job, &text) {
                    results.warnings.push(format!("Skip output '{name}' since it may contain secret."));
                } else if !text.is_empty() {
                    results.outputs.insert(name.clone(), json!({ "value": &*text }));
                }
            }
            Err(error) => results.error = Some(format!("Output '{name}' cannot be evaluated: {error}")),
        }
    }
    if let Some((name, Some(url))) = &job.environment
        && let Ok(value) = job.evaluate(url, &more)
    {
        let text = value.to_text();
        if is_secret(job, &text) {
            results
                .warnings
                .push(format!("Skip setting environment url as environment '{name}' may contain secret."));
        } else if !text.is_empty() {
            results.environment_url = Some(text.to_string());
        }
    }
    results
}

fn is_secret(job: &Job, text: &str) -> bool {
    job.masks.iter().any(|mask| text.contains(mask.reveal()))
}

const fn word(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Succeeded => "success",
        Conclusion::Failed | Conclusion::Abandoned => "failure",
        Conclusion::Canceled => "cancelled",
        Conclusion::Skipped => "skipped",
    }
}
