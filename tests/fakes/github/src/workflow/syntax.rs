//! A workflow file, taken apart as far as GitHub itself looks into it.

use super::{Node, NodeKind};

/// Why a file is no workflow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} (Line: {line}): {message}")]
pub struct WorkflowError {
    /// The file.
    pub path: String,
    /// Where, from 1; 0 when the whole file is meant.
    pub line: u64,
    /// What is wrong.
    pub message: String,
}

/// A workflow.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// Path in the repository.
    pub path: String,
    /// `name`, or the path.
    pub name: String,
    /// `run-name`.
    pub run_name: Option<String>,
    /// `on`.
    pub on: Node,
    /// `env`.
    pub env: Option<Node>,
    /// `defaults`.
    pub defaults: Option<Node>,
    /// `permissions`.
    pub permissions: Option<Node>,
    /// `concurrency`.
    pub concurrency: Option<Node>,
    /// `jobs`, in order.
    pub jobs: Vec<Job>,
}

/// A job as it is written: its keys stay nodes until GitHub evaluates them.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its key.
    pub id: String,
    /// The keys of the jobs that it needs.
    pub needs: Vec<String>,
    /// Everything else of it.
    pub node: Node,
}

impl Job {
    /// A key of the job that is not empty.
    pub fn key(&self, name: &str) -> Option<&Node> {
        self.node.get(name).filter(|node| node.kind != NodeKind::Null)
    }

    /// A key as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.key(name).and_then(Node::text)
    }

    /// The steps.
    pub fn steps(&self) -> Vec<&Node> {
        self.key("steps").map(Node::items).unwrap_or_default()
    }
}

impl Workflow {
    /// Reads a file.
    ///
    /// # Errors
    /// It is not YAML, or not a workflow that GitHub would run.
    pub fn read(path: &str, text: &str) -> Result<Self, WorkflowError> {
        let fault = |line: u64, message: String| WorkflowError { path: path.to_owned(), line, message };
        let root = Node::read(text).map_err(|message| fault(0, message))?;
        let Some(on) = root.get("on").cloned() else {
            return Err(fault(root.line, "Required property is missing: on".to_owned()));
        };
        let jobs_node = root
            .get("jobs")
            .ok_or_else(|| fault(root.line, "Required property is missing: jobs".to_owned()))?;
        let jobs: Vec<Job> = jobs_node
            .entries()
            .iter()
            .map(|(key, node)| Job {
                id: key.text().unwrap_or_default(),
                needs: node
                    .get("needs")
                    .map(|needs| needs.items().into_iter().filter_map(Node::text).collect())
                    .unwrap_or_default(),
                node: node.clone(),
            })
            .collect();
        if jobs.is_empty() {
            return Err(fault(jobs_node.line, "The workflow must contain at least one job".to_owned()));
        }
        for job in &jobs {
            if let Some(missing) = job.needs.iter().find(|need| !jobs.iter().any(|job| job.id == **need)) {
                let message = format!("Job '{}' depends on unknown job '{missing}'.", job.id);
                return Err(fault(job.node.line, message));
            }
            if job.key("uses").is_some() {
                let message = "This GitHub does not run reusable workflows".to_owned();
                return Err(fault(job.node.line, message));
            }
            if job.key("runs-on").is_none() {
                return Err(fault(job.node.line, "Required property is missing: runs-on".to_owned()));
            }
            for step in job.steps() {
                if step.get("run").is_some() == step.get("uses").is_some() {
                    let message = "A step must define either a 'run' or a 'uses' key".to_owned();
                    return Err(fault(step.line, message));
                }
            }
        }
        if let Some(id) = in_a_circle(&jobs) {
            let message = format!(
                "The workflow must contain at least one job with no dependencies: '{id}' needs itself"
            );
            return Err(fault(jobs_node.line, message));
        }
        let kept = |name: &str| root.get(name).filter(|node| node.kind != NodeKind::Null).cloned();
        Ok(Self {
            path: path.to_owned(),
            name: root.get("name").and_then(Node::text).unwrap_or_else(|| path.to_owned()),
            run_name: root.get("run-name").and_then(Node::text),
            on,
            env: kept("env"),
            defaults: kept("defaults"),
            permissions: kept("permissions"),
            concurrency: kept("concurrency"),
            jobs,
        })
    }
}

/// A job that is reachable from itself.
fn in_a_circle(jobs: &[Job]) -> Option<&str> {
    let mut settled: Vec<&str> = Vec::new();
    loop {
        let next = jobs.iter().find(|job| {
            !settled.contains(&job.id.as_str())
                && job.needs.iter().all(|need| settled.contains(&need.as_str()))
        });
        match next {
            Some(job) => settled.push(&job.id),
            None => return jobs.iter().map(|job| job.id.as_str()).find(|id| !settled.contains(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_that_github_refuses_is_refused_with_its_place() {
        for (text, wanted) in [
            ("jobs:\n  a:\n    runs-on: x\n", "missing: on"),
            ("on: push\njobs:\n  a:\n    steps: []\n", "(Line: 4): Required property is missing: runs-on"),
            ("on: push\njobs:\n  a:\n    runs-on: x\n    needs: b\n", "unknown job 'b'"),
            ("on: push\njobs:\n  a: {runs-on: x, needs: b}\n  b: {runs-on: x, needs: a}\n", "needs itself"),
            ("on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - name: n\n", "(Line: 6)"),
        ] {
            let error = Workflow::read("w.yml", text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error} lacks {wanted}");
        }
    }

    #[test]
    fn on_is_a_key_and_not_a_truth_value() {
        let workflow = Workflow::read("w.yml", "on: [push]\njobs:\n  a:\n    runs-on: x\n").unwrap();
        assert_eq!(workflow.on.items().len(), 1);
        assert_eq!(workflow.name, "w.yml");
    }
}
