//! The older queue, and the timelines that its jobs report to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{Delivery, GitHub, JobLog, Message, Refused, Step, StepConclusion, StepStatus, encryption};

/// A record of a timeline.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TimelineRecord {
    /// Identity; the job's own record has the job's.
    pub id: Uuid,
    /// The record above.
    pub parent_id: Option<Uuid>,
    /// Job or Task
    #[serde(rename = "type")]
    pub kind: String,
    /// Display name.
    pub name: String,
    /// Name in the workflow.
    pub ref_name: Option<String>,
    /// pending, inProgress or completed
    pub state: Option<String>,
    /// How it ended.
    pub result: Option<String>,
    /// Place.
    pub order: Option<u64>,
    /// When it began.
    pub start_time: Option<String>,
    /// When it ended.
    pub finish_time: Option<String>,
    /// Its log.
    pub log: Option<Json>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Json>,
}

/// A timeline and the logs beside it.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// Records.
    pub records: BTreeMap<Uuid, TimelineRecord>,
}

impl GitHub {
    /// What a poll of the older queue gets: a message that was not deleted comes again.
    ///
    /// # Errors
    /// See [`GitHub::poll`]; or the message cannot be encrypted.
    pub fn poll_queue(
        &mut self,
        runner: u64,
        session: Uuid,
        last: u64,
        busy: bool,
        runner_version: &str,
    ) -> Result<Option<Json>, Refused> {
        if let Some((_, wire)) = self.outbox.get(&runner).and_then(|sent| sent.range(last + 1..).next()) {
            let wire = wire.clone();
            self.admit(runner_version)?;
            return Ok(Some(wire));
        }
        if self.settings.delivery == Delivery::Migration {
            let body = json!({"brokerBaseUrl": format!("{}/broker/", self.base)});
            let message = Message { kind: super::MessageKind::BrokerMigration, body };
            return self.enqueue(runner, message).map(Some);
        }
        match self.poll(runner, session, busy, runner_version)? {
            Some(message) => self.enqueue(runner, message).map(Some),
            None => Ok(None),
        }
    }

    fn enqueue(&mut self, runner: u64, message: Message) -> Result<Json, Refused> {
        let id = self.next_id();
        let key = self.runners.get(&runner).and_then(|runner| runner.session.as_ref()?.key);
        let body = message.body.to_string();
        let wire = match key {
            Some(key) => {
                let (body, iv) = encryption::encrypt(&key, &body)
                    .map_err(|_| Refused::BadRequest("The message cannot be encrypted".to_owned()))?;
                json!({"messageId": id, "messageType": message.kind, "iv": iv, "body": body})
            }
            None => json!({"messageId": id, "messageType": message.kind, "iv": null, "body": body}),
        };
        // A migration notice is only for the poll that gets it.
        if message.kind != super::MessageKind::BrokerMigration {
            self.outbox.entry(runner).or_default().insert(id, wire.clone());
        }
        Ok(wire)
    }

    /// The runner has a message.
    pub fn delete_message(&mut self, runner: u64, id: u64) {
        self.outbox.entry(runner).or_default().remove(&id);
    }

    /// The wrapped key of a runner's session.
    pub(crate) fn session_key(&self, runner: u64) -> Option<String> {
        let Delivery::Queue { fips, .. } = self.settings.delivery else { return None };
        let runner = self.runners.get(&runner)?;
        let key = runner.session.as_ref()?.key?;
        encryption::wrap(&key, &runner.registration.key, fips).ok()
    }

    /// Takes records over; those below a job's record become its steps.
    pub fn update_timeline(&mut self, timeline: Uuid, records: Vec<TimelineRecord>) -> Vec<TimelineRecord> {
        let known = self.timelines.entry(timeline).or_default();
        for record in records {
            known.records.insert(record.id, record);
        }
        let all: Vec<TimelineRecord> = known.records.values().cloned().collect();
        for record in &all {
            let log = record.log.as_ref().and_then(|log| log["id"].as_u64());
            let stored =
                |job: Uuid| log.map(|id| JobLog { blob: format!("logs/{job}/{id}.txt"), lines: None });
            if let Some(job) = self.jobs.get_mut(&record.id) {
                job.log = stored(job.id).or(job.log.take());
            } else if let Some(job) = record.parent_id.and_then(|parent| self.jobs.get_mut(&parent)) {
                job.steps.insert(record.id, record.step());
                job.step_logs.extend(stored(job.id).map(|log| (record.id, log)));
            }
        }
        all
    }
}

impl TimelineRecord {
    fn step(&self) -> Step {
        let lower = |text: &Option<String>| text.as_deref().unwrap_or_default().to_lowercase();
        Step {
            id: self.id,
            number: self.order.unwrap_or_default(),
            name: self.name.clone(),
            status: match lower(&self.state).as_str() {
                "pending" => StepStatus::Pending,
                "inprogress" => StepStatus::InProgress,
                "completed" => StepStatus::Completed,
                _ => StepStatus::Unknown,
            },
            conclusion: match lower(&self.result).as_str() {
                "succeeded" | "succeededwithissues" => StepConclusion::Success,
                "failed" | "abandoned" => StepConclusion::Failure,
                "canceled" => StepConclusion::Cancelled,
                "skipped" => StepConclusion::Skipped,
                _ => StepConclusion::Unknown,
            },
            started_at: self.start_time.clone(),
            completed_at: self.finish_time.clone(),
        }
    }
}
