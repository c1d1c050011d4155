//! The page of a run: what a person would see at GitHub.

use serde_json::{Value, json};

use crate::model::{GitHub, Job};

/// Everything of a run.
pub fn of_run(github: &GitHub, id: u64) -> Option<Value> {
    let run = github.runs.get(&id)?;
    let jobs: Vec<Value> =
        run.jobs.iter().filter_map(|job| github.jobs.get(job)).map(|job| of_job(github, job)).collect();
    let artifacts: Vec<Value> = github
        .artifacts
        .values()
        .filter(|artifact| artifact.plan == run.plan)
        .filter_map(|artifact| {
            let (size, digest) = artifact.finalized.as_ref()?;
            Some(json!({"name": artifact.name, "size": size, "digest": digest}))
        })
        .collect();
    Some(json!({
        "id": run.id,
        "repository": run.repository,
        "workflow": run.workflow.name,
        "title": run.title,
        "event": run.event.name,
        "ref": run.event.reference,
        "sha": run.sha,
        "attempt": run.attempt,
        "conclusion": github.run_conclusion(id),
        "error": run.error,
        "waiting": run.waiting,
        "jobs": jobs,
        "artifacts": artifacts,
        "unsettled": github.unsettled(id),
    }))
}

fn of_job(github: &GitHub, job: &Job) -> Value {
    let steps: Vec<Value> = job
        .steps_in_order()
        .into_iter()
        .map(|step| {
            let mut shown = json!(step);
            shown["log_lines"] = json!(github.step_log(job.id, step.id).map(|log| log.lines().count()));
            shown["summary"] = json!(github.summary(job.id, step.id));
            shown
        })
        .collect();
    let history: Vec<Value> =
        job.history.iter().map(|(at, moment)| json!({"at": at, "moment": moment})).collect();
    json!({
        "id": job.number,
        "backend_id": job.id,
        "name": job.name,
        "conclusion": job.conclusion(),
        "runner": job.worked_by,
        "steps": steps,
        "outputs": job.outputs,
        "annotations": job.annotations,
        "environment_url": job.environment_url,
        "completions": job.completions,
        "live_lines": job.live.len(),
        "history": history,
    })
}

/// The same in a few lines.
pub fn text(github: &GitHub, id: u64) -> Option<String> {
    let run = github.runs.get(&id)?;
    let word =
        |conclusion: Option<crate::model::Conclusion>| conclusion.map_or("in progress", |c| c.as_str());
    let mut page = String::new();
    let mut line = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    line(format!("{} #{} ({}): {}", run.title, run.number, run.event.name, word(github.run_conclusion(id))));
    if let Some(error) = &run.error {
        line(format!("  {error}"));
    }
    for key in &run.waiting {
        line(format!("  {key}: waits for other jobs"));
    }
    for job in run.jobs.iter().filter_map(|job| github.jobs.get(job)) {
        line(format!("  {} [{}]: {}", job.name, job.number, word(job.conclusion())));
        for step in job.steps_in_order() {
            line(format!("    {:>3} {}: {:?}", step.number, step.name, step.conclusion));
        }
        for (name, output) in &job.outputs {
            line(format!("    output {name} = {}", output.value));
        }
        for annotation in &job.annotations {
            let place = annotation.path.as_ref().map(|path| format!(" {path}:{}", annotation.start_line));
            line(format!("    {}{}: {}", annotation.level, place.unwrap_or_default(), annotation.message));
        }
    }
    Some(page)
}
