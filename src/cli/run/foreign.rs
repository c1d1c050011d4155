//! Files of other systems: translated, and built from the text of the buildspec.

use std::path::PathBuf;

use runspan_buildspec::{Job, Runs, Translation, write};
use runspan_engine::project::EnvironmentVariable;
use runspan_pipelines::Selection;

use crate::cli::translate::{faulty, warn};
use crate::console;
use crate::event::Event;
use crate::failure::Failure;
use crate::translators::{Chosen, SourceFile, choose};

/// What a translated file asks of a build, beside its buildspec.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The text of the buildspec.
    pub(super) buildspec: String,
    /// Of the one job; the builds of a batch say their own.
    pub(super) image: Option<String>,
    pub(super) compute_type: Option<String>,
    pub(super) privileged: Option<bool>,
    pub(super) variables: Vec<EnvironmentVariable>,
    /// Whether a build has no image of its own.
    pub(super) needs_image: bool,
}

/// Where a file's paths are meant from.
pub(super) fn root(file: &SourceFile) -> PathBuf {
    crate::translators::Tree::around(&file.path, file.format).root().to_owned()
}

/// Translates a file. An image of the user's own takes the place of the file's.
pub(super) fn ask(
    file: &SourceFile,
    job: Option<&str>,
    event: Option<&Event>,
    image: Option<&str>,
) -> Result<Asked, Failure> {
    let selection = match (job, event) {
        (Some(name), _) => Selection::Named(name.to_owned()),
        (None, Some(event)) => event.selection(),
        (None, None) => Selection::Default,
    };
    let mut translation = file.translate(&selection);
    if translation.has_errors() {
        return Err(faulty(file, &translation));
    }
    warn(file, &translation);
    let manual = translation.coverage().manual;
    if manual > 0 {
        let name = &file.name;
        console::note(&format!(
            "note: {manual} of the constructs in {name} are left to a person: see `runspan translate {name} --report -`"
        ));
    }
    if image.is_some() {
        without_images(&mut translation);
    }
    asked(file, &translation, job)
}

fn without_images(translation: &mut Translation) {
    for job in &mut translation.jobs {
        job.env.image = None;
        if let Runs::Legs(legs) = &mut job.runs {
            legs.iter_mut().for_each(|leg| leg.env.image = None);
        }
    }
}

fn asked(file: &SourceFile, translation: &Translation, job: Option<&str>) -> Result<Asked, Failure> {
    match choose(file, translation, job)? {
        Chosen::One(job) if job.runs == Runs::Once => Ok(Asked {
            buildspec: write(&job.buildspec, &job.comments),
            image: job.env.image.clone(),
            compute_type: job.env.compute_type.clone(),
            privileged: job.env.privileged_mode,
            variables: variables(job),
            needs_image: job.env.image.is_none(),
        }),
        Chosen::One(job) => {
            let (buildspec, comments) = job.alone();
            Ok(Asked {
                buildspec: write(&buildspec, &comments),
                needs_image: lacks_image(job),
                ..Asked::default()
            })
        }
        Chosen::All => {
            let (buildspec, comments) = translation.buildspec().unwrap_or_default();
            Ok(Asked {
                buildspec: write(&buildspec, &comments),
                needs_image: translation.jobs.iter().filter(|job| !job.on_demand).any(lacks_image),
                ..Asked::default()
            })
        }
    }
}

fn lacks_image(job: &Job) -> bool {
    let of_legs = match &job.runs {
        Runs::Legs(legs) => legs.iter().all(|leg| leg.env.image.is_some()),
        Runs::Once | Runs::Matrix(_) => false,
    };
    job.env.image.is_none() && !of_legs
}

fn variables(job: &Job) -> Vec<EnvironmentVariable> {
    let own = job.env.variables.iter();
    own.map(|(name, value)| EnvironmentVariable::plain(name, value)).collect()
}
