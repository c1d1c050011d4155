//! A job in a runner's hands: acquire, renew, complete.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{
    Annotation, By, Completion, Conclusion, GitHub, Job, JobState, Moment, Output, Refused, TokenKind,
};
use crate::message::{Addresses, JobOrder, LegacyRequest, compose};

/// What a runner says at the end of a job.
#[derive(Clone, Debug)]
pub struct Finish {
    /// How it ended.
    pub conclusion: Conclusion,
    /// Outputs.
    pub outputs: BTreeMap<String, Output>,
    /// Steps, as they came.
    pub step_results: Vec<Json>,
    /// Remarks.
    pub annotations: Vec<Annotation>,
    /// Telemetry, as it came.
    pub telemetry: Vec<Json>,
    /// The environment's address.
    pub environment_url: Option<String>,
}

/// The branch that every repository has.
const DEFAULT_REFERENCE: &str = "refs/heads/main";

impl GitHub {
    /// Hands the job of a request to the runner.
    ///
    /// # Errors
    /// There is no such request, or the job is not the runner's to have.
    pub fn acquire(&mut self, runner: u64, request: Uuid) -> Result<Json, Refused> {
        self.tick();
        let Some(job) = self.jobs.values().find(|job| job.request == request) else {
            return Err(Refused::Conflict(format!("MissingKey: job {request} is not in the queue")));
        };
        match job.state {
            JobState::Delivered { runner: own, .. } if own == runner => {}
            JobState::Running { .. } => {
                return Err(Refused::Conflict("The job was already acquired".to_owned()));
            }
            JobState::Completed(_) => {
                return Err(Refused::NotFound("The job is not there any more".to_owned()));
            }
            JobState::Queued | JobState::Delivered { .. } => {
                return Err(Refused::Unprocessable("The job is not for this runner".to_owned()));
            }
        }
        let (id, known) = (job.id, matches!(job.state, JobState::Delivered { acknowledged: true, .. }));
        if self.settings.acknowledge && !known {
            self.violation(format!("job {id} was acquired without being acknowledged"));
        }
        let message = self.take(id, runner, None);
        self.happened(id, Moment::Acquired);
        Ok(message)
    }

    /// The job's message for the older queue.
    pub(super) fn hand_over(&mut self, id: Uuid, runner: u64) -> super::Message {
        let request = self.jobs.get(&id).map_or(0, |job| job.request_number);
        let body = self.take(id, runner, Some(request));
        self.happened(id, Moment::Acquired);
        super::Message { kind: super::MessageKind::PipelineAgentJobRequest, body }
    }

    /// Makes the job the runner's and tells all of it.
    fn take(&mut self, id: Uuid, runner: u64, legacy: Option<u64>) -> Json {
        let now = self.now();
        let locked_until = self.lock_end();
        if let Some(job) = self.jobs.get_mut(&id) {
            job.state = JobState::Running { runner, locked_until, since: now };
            job.worked_by = Some(runner);
        }
        match self.compose(id, runner, legacy.map(|request| (request, locked_until))) {
            Ok(message) => message,
            Err(why) => {
                self.complete_by_github(id, Conclusion::Failure, &why);
                json!({})
            }
        }
    }

    fn compose(&mut self, id: Uuid, runner: u64, legacy: Option<(u64, Timestamp)>) -> Result<Json, String> {
        let gone = || "The job is not there any more".to_owned();
        let job = self.jobs.get(&id).ok_or_else(gone)?.clone();
        let run = self.runs.get(&job.run).ok_or_else(gone)?.clone();
        // Its own scope to read and write, and the default branch's to read.
        let mut scopes = vec![json!({"Scope": run.event.reference, "Permission": 3})];
        if run.event.reference != DEFAULT_REFERENCE {
            scopes.push(json!({"Scope": DEFAULT_REFERENCE, "Permission": 1}));
        }
        let scopes = Json::from(scopes).to_string();
        let lifetime = std::time::Duration::from_secs(6 * 3600);
        let job_token = self.jwt(
            TokenKind::Job(id),
            lifetime,
            json!({
                "scp": format!("Actions.Results:{}:{id} Actions.UploadArtifacts:{}", run.plan, run.plan),
                "ac": scopes,
                "orch_id": format!("{}.{}.{}", run.plan, job.key, job.matrix_key),
            }),
        );
        let token = format!("ghs_{}fake", Uuid::new_v4().simple());
        self.issue(&token, TokenKind::Workflow(id), Some(lifetime));

        let repository = self.repositories.get(&run.repository.to_lowercase());
        let secrets = repository.map(|repository| repository.secrets.clone()).unwrap_or_default();
        let group = self.runners.get(&runner).and_then(|runner| {
            self.groups.iter().find(|group| group.id == runner.registration.group).map(|g| g.name.clone())
        });
        let permissions = super::instance::permissions(&run.workflow, &job.definition);
        let base = &self.base;
        let id_token = (permissions.get("IdToken").map(String::as_str) == Some("write"))
            .then(|| format!("{base}/run/1//idtoken/{}/{id}?api-version=2.0", run.plan));
        let addresses = Addresses {
            run_service: format!("{base}/run/1/"),
            pipelines: format!("{base}/_services/pipelines/fake/"),
            results: format!("{base}/"),
            launch: base.clone(),
            cache: format!("{base}/_services/cache/"),
            feed: format!("{}/_ws/ingest.sock", base.replacen("http", "ws", 1)),
            id_token,
        };
        let contexts = self.job_contexts(&job, &run);
        let owner = self.billing_owner(run.id).unwrap_or_default();
        let order = JobOrder {
            workflow: &run.workflow,
            job: &job.definition,
            plan: run.plan,
            job_id: id,
            display_name: &job.name,
            matrix_key: &job.matrix_key,
            runner_group: group.as_deref().unwrap_or("Default"),
            addresses: &addresses,
            job_token: &job_token,
            token: &token,
            permissions: &permissions,
            secrets: &secrets,
            contexts: &contexts,
            billing_owner: &owner,
            legacy: legacy.map(|(request, until)| LegacyRequest { request, locked_until: until.to_string() }),
        };
        let mut message = compose(&order).map_err(|error| error.to_string())?;
        if self.settings.padding > 0 {
            message["variables"]["fake.padding"] = json!({"value": "x".repeat(self.settings.padding)});
        }
        Ok(message)
    }

    fn lock_end(&self) -> Timestamp {
        self.now().checked_add(self.settings.lock).unwrap_or(Timestamp::MAX)
    }

    /// Prolongs the lock.
    ///
    /// # Errors
    /// The job does not run.
    pub fn renew(&mut self, id: Uuid) -> Result<Timestamp, Refused> {
        self.tick();
        let until = self.lock_end();
        match self.jobs.get_mut(&id).map(|job| &mut job.state) {
            Some(JobState::Running { locked_until, .. }) => *locked_until = until,
            _ => return Err(Refused::NotFound(format!("Job {id} not found"))),
        }
        self.happened(id, Moment::Renewed);
        Ok(until)
    }

    /// The runner ends the job.
    ///
    /// # Errors
    /// The job does not run.
    pub fn finish(&mut self, id: Uuid, finish: Finish) -> Result<(), Refused> {
        self.tick();
        if self.jobs.contains_key(&id) {
            self.happened(id, Moment::CompletionReceived);
        }
        let now = self.now();
        let Some(job) = self.jobs.get_mut(&id) else {
            return Err(Refused::NotFound(format!("Job {id} not found")));
        };
        let accepted = matches!(job.state, JobState::Running { .. });
        let conclusion = finish.conclusion;
        job.completions.push(Completion { at: now, by: By::Runner, conclusion, accepted, reason: None });
        if !accepted {
            return Err(Refused::NotFound(format!("Job {id} not found")));
        }
        job.outputs = finish.outputs;
        job.step_results = finish.step_results;
        job.annotations.extend(finish.annotations);
        job.telemetry = finish.telemetry;
        job.environment_url = finish.environment_url;
        self.conclude(id, conclusion);
        Ok(())
    }

    /// GitHub itself ends the job, unless it has ended.
    pub fn complete_by_github(&mut self, id: Uuid, conclusion: Conclusion, reason: &str) {
        let now = self.now();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.conclusion().is_some() {
            return;
        }
        job.completions.push(Completion {
            at: now,
            by: By::GitHub,
            conclusion,
            accepted: true,
            reason: Some(reason.to_owned()),
        });
        job.annotations.push(Annotation {
            level: "failure".to_owned(),
            message: reason.to_owned(),
            start_line: 1,
            end_line: 1,
            ..Annotation::default()
        });
        self.conclude(id, conclusion);
    }

    fn conclude(&mut self, id: Uuid, conclusion: Conclusion) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let runner = job.runner();
        job.state = JobState::Completed(conclusion);
        let run = job.run;
        self.happened(id, Moment::Completed);
        self.expire_job_tokens(id);
        if let Some(runner) = runner
            && self.runners.get(&runner).is_some_and(|runner| runner.registration.ephemeral)
        {
            self.revoke(runner);
        }
        self.advance(run, self.jobs.get(&id).cloned());
    }

    /// Notes a moment of a job, and cancels the job when that is wished for.
    pub(super) fn happened(&mut self, id: Uuid, moment: Moment) {
        let now = self.now();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let first = !job.has_been(moment);
        job.history.push((now, moment));
        if first && self.settings.cancel_at == Some(moment) {
            self.cancel_job(id);
        }
    }

    /// The runner of a running job that holds the token, checked against the identities in the call.
    ///
    /// # Errors
    /// The token is another job's.
    pub fn own_job(&self, holder: &TokenKind, plan: &str, job: &str) -> Result<Uuid, Refused> {
        let TokenKind::Job(id) = holder else {
            return Err(Refused::Forbidden("This call takes the job's token".to_owned()));
        };
        let named: Option<&Job> = job.parse().ok().and_then(|id: Uuid| self.jobs.get(&id));
        let named = named.ok_or_else(|| Refused::NotFound(format!("Job {job} not found")))?;
        let of_plan = self.runs.get(&named.run).is_some_and(|run| run.plan.to_string() == plan);
        if named.id == *id && of_plan {
            Ok(*id)
        } else {
            Err(Refused::Forbidden("The token is another job's".to_owned()))
        }
    }
}
