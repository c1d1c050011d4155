//! A run of a workflow.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Conclusion, GitHub};
use crate::workflow::{Event, Workflow};

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Number, unique at GitHub.
    pub id: u64,
    /// Number among the workflow's runs, from 1.
    pub number: u64,
    /// From 1.
    pub attempt: u64,
    /// `owner/name`
    pub repository: String,
    /// The workflow.
    pub workflow: Arc<Workflow>,
    /// What started it.
    pub event: Event,
    /// The commit.
    pub sha: String,
    /// Who started it.
    pub actor: String,
    /// Title.
    pub title: String,
    /// Identity (`workflow_run_backend_id`).
    pub plan: Uuid,
    /// Someone wants it to end.
    pub cancelled: bool,
    /// Keys of jobs that wait for others.
    pub waiting: Vec<String>,
    /// Jobs, in order of their making.
    pub jobs: Vec<Uuid>,
    /// When it began.
    pub created_at: Timestamp,
    /// Why it could not start.
    pub error: Option<String>,
}

impl GitHub {
    /// How a run ended; nothing while it has not.
    pub fn run_conclusion(&self, id: u64) -> Option<Conclusion> {
        let run = self.runs.get(&id)?;
        if run.error.is_some() {
            return Some(Conclusion::Failure);
        }
        if !run.waiting.is_empty() {
            return None;
        }
        let results: Option<Vec<Conclusion>> =
            run.jobs.iter().map(|job| self.jobs.get(job).and_then(super::Job::result)).collect();
        let results = results?;
        let any = |wanted| results.contains(&wanted);
        Some(if any(Conclusion::Failure) {
            Conclusion::Failure
        } else if any(Conclusion::Cancelled) || run.cancelled && !any(Conclusion::Success) {
            Conclusion::Cancelled
        } else if any(Conclusion::Success) {
            Conclusion::Success
        } else {
            Conclusion::Skipped
        })
    }

    /// What is wrong with the ends of a run's jobs: each must have exactly one, and the run must be over.
    pub fn unsettled(&self, id: u64) -> Vec<String> {
        let Some(run) = self.runs.get(&id) else { return vec![format!("there is no run {id}")] };
        let mut faults: Vec<String> =
            run.waiting.iter().map(|key| format!("job {key} still waits for others")).collect();
        for job in run.jobs.iter().filter_map(|job| self.jobs.get(job)) {
            let accepted = job.completions.iter().filter(|completion| completion.accepted).count();
            match (job.conclusion(), accepted) {
                (Some(_), 1) => {}
                (conclusion, accepted) => faults.push(format!(
                    "job {} has {accepted} terminal states, its conclusion is {conclusion:?}",
                    job.name
                )),
            }
        }
        faults
    }
}
