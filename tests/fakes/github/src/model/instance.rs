//! One job of a combination: what GitHub evaluates of it before a runner sees it.

use std::{collections::BTreeMap, sync::Arc};

use uuid::Uuid;

use super::{GitHub, Job, JobState, Run};
use crate::{
    Value,
    workflow::{self, Combination, ExpressionError, Scope, Workflow, interpolate, resolve, text, truthy},
};

impl Job {
    pub(super) fn planned(
        github: &mut GitHub,
        run: &Run,
        definition: &workflow::Job,
        needs: Value,
        combination: Option<&Combination>,
        (index, total): (usize, usize),
        scope: &Scope,
    ) -> Result<Self, ExpressionError> {
        let strategy = definition.key("strategy");
        let evaluated = |name: &str| -> Result<Option<Value>, ExpressionError> {
            strategy.and_then(|strategy| strategy.get(name)).map(|node| resolve(node, scope)).transpose()
        };
        let fail_fast = evaluated("fail-fast")?.is_none_or(|value| truthy(&value));
        let max_parallel = match evaluated("max-parallel")? {
            Some(Value::Number(most)) if most >= 1.0 => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least one")]
                let most = most as usize;
                most
            }
            _ => total,
        };
        #[expect(clippy::cast_precision_loss, reason = "counts of jobs are small")]
        let number = |count: usize| Value::Number(count as f64);
        let labels = combination.map(|combination| combination.labels.clone()).unwrap_or_default();
        let named = definition.text("name").map(|name| interpolate(&name, scope)).transpose()?;
        let name = match (named, labels.as_slice()) {
            (Some(name), _) => text(&name),
            (None, []) => definition.id.clone(),
            (None, labels) => format!("{} ({})", definition.id, labels.join(", ")),
        };
        let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
        let matrix_key = match labels.as_slice() {
            [] => "__default".to_owned(),
            labels => labels.join("_").chars().map(legal).collect(),
        };
        let runs_on = definition.key("runs-on").map(|node| resolve(node, scope)).transpose()?;
        let (labels, group) = runs_on.map(runs_on_labels).unwrap_or_default();
        let minutes = definition.key("timeout-minutes").map(|node| resolve(node, scope)).transpose()?;
        let tolerated = definition.key("continue-on-error").map(|node| resolve(node, scope)).transpose()?;
        Ok(Self {
            id: Uuid::new_v4(),
            run: run.id,
            number: github.next_id(),
            key: definition.id.clone(),
            definition: Arc::new(definition.clone()),
            name,
            matrix_key,
            matrix: combination.map(|combination| combination.values.clone().into()).unwrap_or_default(),
            strategy: Value::from([
                ("fail-fast", fail_fast.into()),
                ("job-index", number(index)),
                ("job-total", number(total)),
                ("max-parallel", number(max_parallel)),
            ]),
            fail_fast,
            max_parallel,
            labels,
            group,
            timeout_minutes: match minutes {
                Some(Value::Number(minutes)) => minutes,
                _ => 360.0,
            },
            continue_on_error: tolerated.is_some_and(|value| truthy(&value)),
            needs,
            state: JobState::Queued,
            request: Uuid::new_v4(),
            request_number: github.next_id(),
            cancel: None,
            history: Vec::new(),
            completions: Vec::new(),
            worked_by: None,
            outputs: BTreeMap::new(),
            steps: BTreeMap::new(),
            change_order: 0,
            annotations: Vec::new(),
            step_results: Vec::new(),
            telemetry: Vec::new(),
            environment_url: None,
            step_logs: BTreeMap::new(),
            summaries: BTreeMap::new(),
            log: None,
            diagnostics: None,
            live: Vec::new(),
        })
    }
}

/// Labels and group of an evaluated `runs-on`.
fn runs_on_labels(value: Value) -> (Vec<String>, Option<String>) {
    match value {
        Value::Array(items) => (items.iter().map(text).collect(), None),
        Value::Object(members) => {
            let labels = members.get("labels").cloned().unwrap_or_default();
            let labels = match labels {
                Value::Null => Vec::new(),
                labels => runs_on_labels(labels).0,
            };
            (labels, members.get("group").map(text))
        }
        label => (vec![text(&label)], None),
    }
}

impl super::GitHub {
    /// Whether a job's token was given a permission to write, in the words of the job message.
    pub fn may_write(&self, job: Uuid, permission: &str) -> bool {
        let Some(job) = self.jobs.get(&job) else { return false };
        let Some(run) = self.runs.get(&job.run) else { return false };
        let granted = permissions(&run.workflow, &job.definition);
        granted.get(permission).is_some_and(|access| access == "write")
    }
}

/// The permissions of a job's token, in the words of the job message.
pub(super) fn permissions(workflow: &Workflow, job: &workflow::Job) -> BTreeMap<String, String> {
    let pascal = |name: &str| -> String {
        name.split('-')
            .map(|word| {
                word.chars()
                    .take(1)
                    .map(|c| c.to_ascii_uppercase())
                    .chain(word.chars().skip(1))
                    .collect::<String>()
            })
            .collect()
    };
    let all = |access: &str| {
        ["checks", "contents", "packages", "statuses"]
            .into_iter()
            .map(|scope| (pascal(scope), access.to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    let mut granted = match job.key("permissions").or(workflow.permissions.as_ref()) {
        None => {
            ["Contents", "Packages"].into_iter().map(|scope| (scope.to_owned(), "read".to_owned())).collect()
        }
        Some(node) => match node.text().as_deref() {
            Some("read-all") => all("read"),
            Some("write-all") => {
                let mut granted = all("write");
                granted.insert("IdToken".to_owned(), "write".to_owned());
                granted
            }
            _ => node
                .entries()
                .iter()
                .filter_map(|(scope, access)| Some((pascal(&scope.text()?), access.text()?)))
                .filter(|(_, access)| access != "none")
                .collect(),
        },
    };
    granted.insert("Metadata".to_owned(), "read".to_owned());
    granted
}
