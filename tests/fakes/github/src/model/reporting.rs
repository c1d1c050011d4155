//! What a job's runner reports while it works.

use uuid::Uuid;

use super::{GitHub, JobLog, LiveLine, Moment, Refused, Step};

/// Which log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogKind {
    Step(Uuid),
    Summary(Uuid),
    Job,
    Diagnostics,
}

impl GitHub {
    /// States of steps.
    ///
    /// # Errors
    /// There is no such job.
    pub fn update_steps(&mut self, id: Uuid, order: u64, steps: Vec<Step>) -> Result<(), Refused> {
        let job = self.jobs.get_mut(&id).ok_or_else(|| Refused::NotFound(format!("Job {id} not found")))?;
        let last = job.change_order;
        let ended = job.conclusion().is_some();
        if order > last {
            job.change_order = order;
            for step in steps {
                job.steps.insert(step.id, step);
            }
        }
        if order <= last {
            self.violation(format!("job {id}: change_order {order} after {last}"));
        }
        if ended {
            self.violation(format!("job {id}: steps were updated after the job had ended"));
        }
        self.happened(id, Moment::StepsUpdated);
        Ok(())
    }

    /// The name of the file in which a log is kept.
    pub(crate) fn log_name(&self, id: Uuid, log: LogKind) -> String {
        match log {
            LogKind::Step(step) => format!("logs/{id}/{step}.txt"),
            LogKind::Summary(step) => format!("summaries/{id}/{step}.md"),
            LogKind::Job => format!("logs/{id}/job.txt"),
            LogKind::Diagnostics => format!("logs/{id}/diagnostics.zip"),
        }
    }

    /// A log is whole.
    ///
    /// # Errors
    /// It was never stored.
    pub(crate) fn log_stored(&mut self, id: Uuid, log: LogKind, lines: Option<u64>) -> Result<(), Refused> {
        let blob = self.log_name(id, log);
        if !self.blobs.contains_key(&blob) {
            return Err(Refused::NotFound(format!("{blob} was not uploaded")));
        }
        let Some(job) = self.jobs.get_mut(&id) else {
            return Err(Refused::NotFound(format!("Job {id} not found")));
        };
        let stored = JobLog { blob, lines };
        match log {
            LogKind::Step(step) => drop(job.step_logs.insert(step, stored)),
            LogKind::Summary(step) => drop(job.summaries.insert(step, stored)),
            LogKind::Job => job.log = Some(stored),
            LogKind::Diagnostics => job.diagnostics = Some(stored),
        }
        self.happened(id, Moment::LogStored);
        Ok(())
    }

    /// Lines of the live console.
    pub fn live_lines(&mut self, id: Uuid, step: Option<Uuid>, first: Option<u64>, lines: Vec<String>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        for (offset, text) in (0..).zip(lines) {
            job.live.push(LiveLine { step, number: first.map(|first| first + offset), text });
        }
    }

    /// The text of a job's whole log, or of its steps' logs when the whole one is missing.
    pub fn job_log(&self, id: Uuid) -> Option<String> {
        let job = self.jobs.get(&id)?;
        match &job.log {
            Some(log) => self.blob_text(&log.blob),
            None => {
                let texts = job.steps_in_order().into_iter().filter_map(|step| self.step_log(id, step.id));
                Some(texts.collect())
            }
        }
    }

    /// The text of a step's log.
    pub fn step_log(&self, id: Uuid, step: Uuid) -> Option<String> {
        self.blob_text(&self.jobs.get(&id)?.step_logs.get(&step)?.blob)
    }

    /// The text of a step's summary.
    pub fn summary(&self, id: Uuid, step: Uuid) -> Option<String> {
        self.blob_text(&self.jobs.get(&id)?.summaries.get(&step)?.blob)
    }
}
