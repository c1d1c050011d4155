//! Ends that come from outside: cancelling, time limits, lost runners.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Conclusion, GitHub, JobState, runner::within};

impl GitHub {
    /// Wants a job to end. One that no runner has acquired ends at once.
    pub fn cancel_job(&mut self, id: Uuid) {
        let now = self.now();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match job.state {
            JobState::Running { .. } => {
                job.cancel.get_or_insert(now);
            }
            JobState::Queued | JobState::Delivered { .. } => {
                self.complete_by_github(id, Conclusion::Cancelled, "The operation was canceled.");
            }
            JobState::Completed(_) => {}
        }
    }

    /// Wants a run to end.
    pub fn cancel_run(&mut self, id: u64) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.cancelled = true;
        for job in run.jobs.clone() {
            self.cancel_job(job);
        }
        self.advance(id, None);
    }

    /// What time brings about.
    pub fn tick(&mut self) {
        let now = self.now();
        let open: Vec<Uuid> =
            self.jobs.values().filter(|job| job.conclusion().is_none()).map(|job| job.id).collect();
        for id in open {
            self.tick_job(id, now);
        }
    }

    fn tick_job(&mut self, id: Uuid, now: Timestamp) {
        let (redelivery, limit) = (self.settings.redelivery, self.settings.deliveries);
        let cancel_timeout = self.settings.cancel_timeout;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match job.state {
            JobState::Delivered { runner, at, times, acknowledged } if !within(at, now, redelivery) => {
                if times >= limit {
                    let reason =
                        "The job was not acquired by Runner of type self-hosted even after multiple attempts";
                    self.complete_by_github(id, Conclusion::Cancelled, reason);
                } else if acknowledged || !self.runners.contains_key(&runner) {
                    // Read and then forgotten, or the runner is gone: it is anyone's again.
                    job.state = JobState::Queued;
                    job.request = Uuid::new_v4();
                }
            }
            JobState::Running { locked_until, since, .. } => {
                let minutes = job.timeout_minutes;
                let overdue = now.duration_since(since).as_secs_f64() > minutes * 60.0;
                if locked_until <= now {
                    let reason = "The self-hosted runner lost communication with the server. Verify the machine is running and has a healthy network connection.";
                    self.complete_by_github(id, Conclusion::Failure, reason);
                } else if job.cancel.is_some_and(|since| !within(since, now, cancel_timeout)) {
                    self.complete_by_github(id, Conclusion::Cancelled, "The operation was canceled.");
                } else if overdue && job.cancel.is_none() {
                    job.cancel = Some(now);
                    let message =
                        format!("The job has exceeded the maximum execution time of {minutes} minutes");
                    job.annotations.push(super::Annotation {
                        level: "failure".to_owned(),
                        message,
                        start_line: 1,
                        end_line: 1,
                        ..super::Annotation::default()
                    });
                }
            }
            _ => {}
        }
    }
}
