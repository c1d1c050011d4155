//! The contexts that GitHub fills.

use super::{GitHub, Job, Run};
use crate::{Object, Value};

impl GitHub {
    /// The node id of the account that pays.
    pub(super) fn billing_owner(&self, run: u64) -> Option<String> {
        let owner = self.runs.get(&run)?.repository.split_once('/')?.0;
        Some(format!("O_{owner}"))
    }

    /// github, inputs and vars: what is the same for all jobs of a run.
    pub(super) fn run_contexts(&self, run: &Run) -> Object {
        let repository = self.repositories.get(&run.repository.to_lowercase());
        let variables = repository.map(|repository| repository.variables.clone()).unwrap_or_default();
        let variables: Object = variables.into_iter().map(|(name, value)| (name, value.into())).collect();
        Object::from_iter([
            ("github".to_owned(), self.github_context(run)),
            ("inputs".to_owned(), run.event.inputs.clone().into()),
            ("vars".to_owned(), variables.into()),
        ])
    }

    /// All contexts of a job's message.
    pub(super) fn job_contexts(&self, job: &Job, run: &Run) -> Value {
        let mut contexts = self.run_contexts(run);
        let reference = workflow_reference(run);
        #[expect(clippy::cast_precision_loss, reason = "numbers of jobs are small")]
        let number = job.number as f64;
        let own = Value::from([
            ("check_run_id", number.into()),
            ("workflow_ref", reference.into()),
            ("workflow_sha", run.sha.clone().into()),
            ("workflow_repository", run.repository.clone().into()),
            ("workflow_file_path", run.workflow.path.clone().into()),
        ]);
        for (name, value) in [
            ("job", own),
            ("matrix", job.matrix.clone()),
            ("needs", job.needs.clone()),
            ("strategy", job.strategy.clone()),
        ] {
            contexts.insert(name.to_owned(), value);
        }
        contexts.into()
    }

    fn github_context(&self, run: &Run) -> Value {
        let (owner, _) = run.repository.split_once('/').unwrap_or((&run.repository, ""));
        let repository = self.repositories.get(&run.repository.to_lowercase());
        let pull = |side: &str| {
            let pull = run.event.payload.get("pull_request");
            let name = pull.and_then(|pull| pull.member(side)?.member("ref")?.as_str());
            name.unwrap_or_default().to_owned()
        };
        let reference = &run.event.reference;
        let short = |prefix: &str| reference.strip_prefix(prefix);
        let (kind, short) = match short("refs/tags/") {
            Some(tag) => ("tag", tag),
            None => ("branch", short("refs/heads/").or(short("refs/pull/")).unwrap_or(reference)),
        };
        let id = repository.map_or(0, |repository| repository.id);
        let private = repository.is_some_and(|repository| repository.private);
        let text = |text: &str| Value::from(text);
        Value::from([
            ("ref", text(reference)),
            ("sha", text(&run.sha)),
            ("repository", text(&run.repository)),
            ("repository_owner", text(owner)),
            ("repository_owner_id", text("1")),
            (
                "repositoryUrl",
                text(&format!("{}/{}.git", self.base, run.repository).replacen("http", "git", 1)),
            ),
            ("run_id", text(&run.id.to_string())),
            ("run_number", text(&run.number.to_string())),
            ("retention_days", text("90")),
            ("run_attempt", text(&run.attempt.to_string())),
            ("artifact_cache_size_limit", text("10")),
            ("repository_visibility", text(if private { "private" } else { "public" })),
            ("actor_id", text("1")),
            ("actor", text(&run.actor)),
            ("workflow", text(&run.workflow.name)),
            ("head_ref", text(&pull("head"))),
            ("base_ref", text(&pull("base"))),
            ("event_name", text(&run.event.name)),
            ("server_url", text(self.settings.server_url.as_ref().unwrap_or(&self.base))),
            ("api_url", text(&format!("{}/api/v3", self.base))),
            ("graphql_url", text(&format!("{}/api/graphql", self.base))),
            ("ref_name", text(short)),
            ("ref_protected", false.into()),
            ("ref_type", text(kind)),
            ("secret_source", text("Actions")),
            ("event", run.event.payload.clone().into()),
            ("workflow_ref", text(&workflow_reference(run))),
            ("workflow_sha", text(&run.sha)),
            ("repository_id", text(&id.to_string())),
            ("triggering_actor", text(&run.actor)),
        ])
    }
}

fn workflow_reference(run: &Run) -> String {
    format!("{}/{}@{}", run.repository, run.workflow.path, run.event.reference)
}
