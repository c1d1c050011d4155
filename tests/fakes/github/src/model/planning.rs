//! What a run does next: `needs`, job-level `if`, matrix, names, labels.

use std::sync::Arc;

use uuid::Uuid;

use super::{Conclusion, GitHub, Job, Moment, Run};
use crate::{
    Object, Value,
    workflow::{
        self, Event, ExpressionError, Node, NodeKind, Scope, Status, Workflow, combinations, condition,
        evaluate, guarded, interpolate, resolve, text, triggers, truthy,
    },
};

impl GitHub {
    /// Starts the runs of an event: one for each of the workflows that it triggers.
    pub fn start_runs(
        &mut self,
        repository: &str,
        event: &Event,
        sha: &str,
        actor: &str,
        workflows: &[(String, String)],
    ) -> Vec<u64> {
        let mut started = Vec::new();
        for (path, text) in workflows {
            match Workflow::read(path, text) {
                Ok(workflow) if triggers(&workflow, event) => {
                    started.push(self.start_run(repository, event, sha, actor, workflow));
                }
                Ok(_) => {}
                Err(error) => started.push(self.refuse_run(repository, event, sha, actor, path, &error)),
            }
        }
        started
    }

    fn new_run(
        &mut self,
        repository: &str,
        event: &Event,
        sha: &str,
        actor: &str,
        workflow: Workflow,
    ) -> Run {
        let before = self
            .runs
            .values()
            .filter(|run| run.repository == repository && run.workflow.path == workflow.path)
            .count();
        Run {
            id: self.next_id(),
            number: before as u64 + 1,
            attempt: 1,
            repository: repository.to_owned(),
            title: workflow.name.clone(),
            event: event.clone(),
            sha: sha.to_owned(),
            actor: actor.to_owned(),
            plan: Uuid::new_v4(),
            cancelled: false,
            waiting: workflow.jobs.iter().map(|job| job.id.clone()).collect(),
            jobs: Vec::new(),
            created_at: self.now(),
            error: None,
            workflow: Arc::new(workflow),
        }
    }

    /// Starts a run of a workflow, whatever its `on` says.
    pub fn start_run(
        &mut self,
        repository: &str,
        event: &Event,
        sha: &str,
        actor: &str,
        workflow: Workflow,
    ) -> u64 {
        let mut run = self.new_run(repository, event, sha, actor, workflow);
        let id = run.id;
        if let Some(run_name) = run.workflow.run_name.clone() {
            let scope = Scope { contexts: self.run_contexts(&run).into(), status: Status::Success };
            match interpolate(&run_name, &scope) {
                Ok(title) => run.title = text(&title),
                Err(error) => run.error = Some(error.to_string()),
            }
        }
        self.runs.insert(id, run);
        self.advance(id, None);
        id
    }

    fn refuse_run(
        &mut self,
        repository: &str,
        event: &Event,
        sha: &str,
        actor: &str,
        path: &str,
        error: &workflow::WorkflowError,
    ) -> u64 {
        let empty = Node { line: 0, column: 0, kind: NodeKind::Null };
        let workflow = Workflow {
            path: path.to_owned(),
            name: path.to_owned(),
            run_name: None,
            on: empty,
            env: None,
            defaults: None,
            permissions: None,
            concurrency: None,
            jobs: Vec::new(),
        };
        let mut run = self.new_run(repository, event, sha, actor, workflow);
        run.error = Some(error.to_string());
        let id = run.id;
        self.runs.insert(id, run);
        id
    }

    /// Runs the jobs of a run again, under a new attempt: all of them, or those that did not succeed and what
    /// needs them.
    pub fn rerun(&mut self, id: u64, failed_only: bool) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let kept: Vec<Uuid> = run
            .jobs
            .iter()
            .filter(|job| {
                failed_only && self.jobs.get(job).and_then(Job::conclusion) == Some(Conclusion::Success)
            })
            .copied()
            .collect();
        let done: Vec<&str> =
            kept.iter().filter_map(|job| self.jobs.get(job)).map(|job| job.key.as_str()).collect();
        run.waiting = run
            .workflow
            .jobs
            .iter()
            .map(|job| job.id.clone())
            .filter(|key| !done.contains(&key.as_str()))
            .collect();
        run.jobs = kept;
        run.attempt += 1;
        run.cancelled = false;
        run.plan = Uuid::new_v4();
        self.advance(id, None);
    }

    /// Queues the jobs of a run whose needs have ended; `ended` is the job that just did.
    pub(super) fn advance(&mut self, id: u64, ended: Option<Job>) {
        if let Some(ended) = ended
            && ended.fail_fast
            && ended.result() == Some(Conclusion::Failure)
            && ended.matrix != Value::Null
        {
            let siblings = self.runs.get(&id).map(|run| run.jobs.clone()).unwrap_or_default();
            for sibling in siblings {
                let is_one = self.jobs.get(&sibling).is_some_and(|job| job.key == ended.key);
                if is_one && sibling != ended.id {
                    self.cancel_job(sibling);
                }
            }
        }
        while let Some(job) = self.next_ready(id) {
            let Some(run) = self.runs.get_mut(&id) else { return };
            run.waiting.retain(|key| *key != job.id);
            let run = run.clone();
            if let Err(error) = self.plan(&run, &job)
                && let Some(run) = self.runs.get_mut(&id)
            {
                run.error = Some(error.to_string());
                run.waiting.clear();
            }
        }
    }

    fn next_ready(&self, id: u64) -> Option<workflow::Job> {
        let run = self.runs.get(&id)?;
        let ready = |job: &&workflow::Job| {
            run.waiting.contains(&job.id) && job.needs.iter().all(|need| self.key_result(run, need).is_some())
        };
        run.workflow.jobs.iter().find(ready).cloned()
    }

    fn instances<'a>(&'a self, run: &'a Run, key: &'a str) -> impl Iterator<Item = &'a Job> {
        run.jobs.iter().filter_map(|job| self.jobs.get(job)).filter(move |job| job.key == key)
    }

    /// The result of all instances of a key; nothing while one is open.
    fn key_result(&self, run: &Run, key: &str) -> Option<Conclusion> {
        if run.waiting.iter().any(|waiting| waiting == key) {
            return None;
        }
        let results: Vec<Conclusion> =
            self.instances(run, key).map(Job::result).collect::<Option<Vec<_>>>()?;
        [Conclusion::Failure, Conclusion::Cancelled, Conclusion::Success]
            .into_iter()
            .find(|wanted| results.contains(wanted))
            .or(Some(Conclusion::Skipped))
    }

    fn needs(&self, run: &Run, job: &workflow::Job) -> Value {
        let one = |need: &String| {
            let result = self.key_result(run, need).unwrap_or(Conclusion::Skipped);
            let mut outputs = Object::new();
            for (name, output) in self.instances(run, need).flat_map(|job| &job.outputs) {
                if !output.value.is_empty() || !outputs.contains_key(name) {
                    outputs.insert(name.clone(), output.value.clone().into());
                }
            }
            let value =
                Value::from([("result", result.as_str().into()), ("outputs", Value::Object(outputs))]);
            (need.clone(), value)
        };
        Value::Object(job.needs.iter().map(one).collect())
    }

    /// What the status functions of a job's `if` answer: all that it needs, and what those need, counts.
    fn status(&self, run: &Run, job: &workflow::Job) -> Status {
        if run.cancelled {
            return Status::Cancelled;
        }
        let mut status = Status::Success;
        for need in &job.needs {
            let own = match self.key_result(run, need) {
                Some(Conclusion::Failure | Conclusion::Cancelled) => Status::Failure,
                Some(Conclusion::Success) => Status::Success,
                Some(Conclusion::Skipped) | None => Status::Skipped,
            };
            let before = run
                .workflow
                .jobs
                .iter()
                .find(|other| other.id == *need)
                .map_or(Status::Success, |other| self.status(run, other));
            for one in [own, before] {
                if one == Status::Failure || status == Status::Success {
                    status = one;
                }
            }
        }
        status
    }

    /// Evaluates what GitHub evaluates of a job, and queues its instances or skips it.
    fn plan(&mut self, run: &Run, definition: &workflow::Job) -> Result<(), ExpressionError> {
        let needs = self.needs(run, definition);
        let mut contexts = self.run_contexts(run);
        contexts.insert("needs".to_owned(), needs.clone());
        contexts.insert("matrix".to_owned(), Value::Null);
        let mut scope = Scope { contexts: contexts.into(), status: self.status(run, definition) };

        let condition = definition.text("if").map(|text| condition(&text)).transpose()?.unwrap_or_default();
        if !truthy(&evaluate(&guarded(&condition), &scope)?) {
            let cancelled = scope.status == Status::Cancelled;
            let job = Job::planned(self, run, definition, needs, None, (0, 1), &scope)?;
            let id = self.add(job);
            let conclusion = if cancelled { Conclusion::Cancelled } else { Conclusion::Skipped };
            self.complete_by_github(id, conclusion, "The job's condition is false.");
            if let Some(job) = self.jobs.get_mut(&id) {
                job.annotations.clear();
            }
            return Ok(());
        }
        let matrix = definition.key("strategy").and_then(|strategy| strategy.get("matrix"));
        let combinations = match matrix {
            Some(matrix) => combinations(&resolve(matrix, &scope)?).into_iter().map(Some).collect(),
            None => vec![None],
        };
        let total = combinations.len();
        for (index, combination) in combinations.iter().enumerate() {
            if let Value::Object(contexts) = &mut scope.contexts {
                let matrix = combination.as_ref().map(|combination| combination.values.clone().into());
                contexts.insert("matrix".to_owned(), matrix.unwrap_or_default());
            }
            let job = Job::planned(
                self,
                run,
                definition,
                needs.clone(),
                combination.as_ref(),
                (index, total),
                &scope,
            )?;
            let id = self.add(job);
            self.happened(id, Moment::Queued);
        }
        Ok(())
    }

    fn add(&mut self, job: Job) -> Uuid {
        let id = job.id;
        if let Some(run) = self.runs.get_mut(&job.run) {
            run.jobs.push(id);
        }
        self.jobs.insert(id, job);
        id
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}
