//! Shows the build's reports as check runs, where the job's token may do that.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::check_run::CheckRun;
use crate::retry::{Backoff, persist};
use crate::{GitHubError, JobApi};

/// Annotations that one call may bring; those of later calls are added.
const BATCH: usize = 50;
/// How long the job's end waits for all of its check runs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a job's check runs go.
#[derive(Clone, Debug)]
pub struct Checks {
    /// The API, by the job's own token.
    pub api: JobApi,
    /// The commit that people look at: of a pull request its head, not the merge that is built.
    pub head_sha: String,
    /// Which attempt of the workflow run this is.
    pub attempt: String,
}

impl Checks {
    /// Shows them, within bounds; whatever goes wrong is said and no more. An earlier process may have shown some when
    /// it `is_resumed`.
    pub(crate) async fn show(&self, job: Uuid, runs: &[CheckRun], is_resumed: bool, warn: impl Fn(String)) {
        let external_id = format!("{job}/{}", self.attempt);
        let until = Instant::now() + PATIENCE;
        for run in runs {
            let name = &run.name;
            match timeout_at(until, self.publish(&external_id, run, is_resumed, until)).await {
                Ok(Ok(())) => {}
                Ok(Err(GitHubError::Refused { status: 403, reason, .. })) => {
                    return warn(format!(
                        "the job's token may not show reports as check runs ({reason}); `permissions: {{checks: write}}` \
                         in the workflow lets it"
                    ));
                }
                Ok(Err(error)) => warn(format!("the report {name} has no check run: {error}")),
                Err(_) => {
                    return warn(format!(
                        "the check run of the report {name} is not whole: GitHub took longer than {} s",
                        PATIENCE.as_secs()
                    ));
                }
            }
        }
    }

    async fn publish(
        &self,
        external_id: &str,
        run: &CheckRun,
        is_resumed: bool,
        until: Instant,
    ) -> Result<(), GitHubError> {
        let backoff = Backoff::new(Duration::from_millis(300), Duration::from_secs(3));
        // What became of a call whose answer was lost is not known either.
        let mut may_be_there = is_resumed;
        let attempt = || self.put(external_id, run, std::mem::replace(&mut may_be_there, true));
        persist(backoff, until, attempt).await
    }

    /// Makes the check run, or goes on with the one that is there.
    async fn put(&self, external_id: &str, run: &CheckRun, may_be_there: bool) -> Result<(), GitHubError> {
        let known = match may_be_there {
            true => self.api.check_run(&self.head_sha, &run.name, external_id).await?,
            false => None,
        };
        let (known, shown) = known.map_or((None, 0), |known| (Some(known.id), known.annotations));
        let mut bodies = bodies(run, shown).into_iter();
        let id = match known {
            Some(id) => id,
            None => {
                let mut body = bodies.next().unwrap_or_default();
                body["external_id"] = json!(external_id);
                body["head_sha"] = json!(self.head_sha);
                self.api.make_check_run(&body).await?
            }
        };
        for body in bodies {
            self.api.change_check_run(id, &body).await?;
        }
        Ok(())
    }
}

/// What the calls for a check run say, when so many of its annotations are there already; at least one.
fn bodies(run: &CheckRun, shown: usize) -> Vec<Value> {
    let left = run.annotations.get(shown..).unwrap_or_default();
    let batches = left.chunks(BATCH).chain(left.is_empty().then_some(left));
    batches
        .map(|annotations| {
            let mut output = json!(run.output);
            output["annotations"] = json!(annotations);
            let mut body = json!({ "name": run.name, "conclusion": run.conclusion, "output": output });
            if let Some(url) = &run.details_url {
                body["details_url"] = json!(url);
            }
            body
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::check_run::{Annotation, Output};
    use super::*;

    fn run(annotations: u32) -> CheckRun {
        let at = |line| Annotation {
            path: "a.c".into(),
            start_line: line,
            end_line: line,
            annotation_level: "failure",
            title: "t".into(),
            message: "m".into(),
        };
        CheckRun {
            name: "unit / build".into(),
            conclusion: "failure",
            details_url: None,
            output: Output { title: "t".into(), summary: "s".into(), text: String::new() },
            annotations: (1..=annotations).map(at).collect(),
        }
    }

    #[test]
    fn annotations_go_fifty_at_a_time_and_none_goes_twice() {
        for (annotations, shown, batches) in [
            (0, 0, vec![0]),
            (1, 0, vec![1]),
            (50, 0, vec![50]),
            (51, 0, vec![50, 1]),
            (120, 50, vec![50, 20]),
            (120, 120, vec![0]),
            (1, 9, vec![0]),
        ] {
            let bodies = bodies(&run(annotations), shown);
            let sent = |body: &Value| body["output"]["annotations"].as_array().unwrap().len();
            assert_eq!(bodies.iter().map(sent).collect::<Vec<_>>(), batches, "{annotations} {shown}");
            for body in &bodies {
                assert_eq!(
                    (&body["conclusion"], &body["output"]["summary"]),
                    (&json!("failure"), &json!("s"))
                );
            }
        }
        let second = &bodies(&run(51), 0)[1];
        assert_eq!(second["output"]["annotations"][0]["start_line"], 51);
    }
}
