//! Which jobs of a file are wanted.

use runspan_buildspec::{Job, Translation};
use runspan_pipelines::Selection;

use super::{FileFormat, SourceFile};
use crate::failure::Failure;

/// What of a translation is wanted.
#[derive(Debug, PartialEq)]
pub(crate) enum Chosen<'a> {
    /// Every job that starts by itself, as a batch.
    All,
    /// One job.
    One(&'a Job),
}

/// Takes `--job`: the name of a job, or of a pipeline where the file has several.
pub(crate) fn choose<'a>(
    file: &SourceFile,
    translation: &'a Translation,
    job: Option<&str>,
) -> Result<Chosen<'a>, Failure> {
    let pipelines = match file.format {
        FileFormat::Pipelines => runspan_pipelines::pipelines(&file.text),
        FileFormat::Workflow | FileFormat::Jenkinsfile => Vec::new(),
    };
    let mut started = translation.jobs.iter().filter(|job| !job.on_demand);
    let Some(wanted) = job else {
        return match (started.next(), started.next()) {
            (Some(job), None) => Ok(Chosen::One(job)),
            (Some(_), Some(_)) => Ok(Chosen::All),
            (None, _) if translation.jobs.is_empty() => {
                Err(Failure::input(format!("{} holds no job", file.name)).help(named(&pipelines, &[])))
            }
            (None, _) => {
                let help = named(&pipelines, &translation.jobs);
                Err(Failure::input(format!("{}: no job starts by itself", file.name)).help(help))
            }
        };
    };
    let is_pipeline =
        |place: &String| place == wanted || place.split_once('.').is_some_and(|(_, name)| name == wanted);
    if pipelines.iter().any(is_pipeline) {
        return choose(file, translation, None);
    }
    if let Some(job) = translation.jobs.iter().find(|job| job.name == wanted || job.identifier == wanted) {
        return Ok(Chosen::One(job));
    }
    Err(Failure::input(format!("{} has no job `{wanted}`", file.name))
        .help(named(&pipelines, &translation.jobs)))
}

/// What can be chosen, in words.
fn named(pipelines: &[String], jobs: &[Job]) -> String {
    let mut lines = Vec::new();
    if !pipelines.is_empty() {
        lines.push(format!("its pipelines are {}", pipelines.join(", ")));
    }
    if !jobs.is_empty() {
        let names: Vec<_> = jobs.iter().map(|job| job.name.as_str()).collect();
        lines.push(format!("its jobs are {}", names.join(", ")));
    }
    if lines.is_empty() { "a file needs at least one job with work in it".into() } else { lines.join("; ") }
}

/// The pipeline that `--job` asks for.
pub(crate) fn selection(job: Option<&str>) -> Selection {
    job.map_or_else(Selection::default, |name| Selection::Named(name.to_owned()))
}
