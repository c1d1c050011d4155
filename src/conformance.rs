//! `runspan conformance`: checks CodeBuild's behaviour case by case, through `runspan run` itself, so that every
//! executor can be held to the same suite. The cases' format is described in `tests/conformance/README.md`.

mod case;
mod expect;
mod gather;
mod list;
mod pattern;
mod runner;

use std::collections::BTreeMap;
use std::path::PathBuf;
use crate::exit_code::Exit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use case::{Case, Image};
use runner::{Outcome, Runner};

/// Check CodeBuild's behaviour case by case.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Case files, or directories of them.
    #[arg(default_value = "tests/conformance/cases")]
    paths: Vec<PathBuf>,
    /// Executor of the builds.
    #[arg(long, default_value = "auto")]
    executor: String,
    /// Image for the cases that need one of this kind: any, bash or debian. May be repeated; a case runs once on
    /// every image of its kind, and is skipped when there is none.
    #[arg(long = "image", value_name = "KIND=IMAGE", value_parser = parse_image)]
    images: Vec<(Image, String)>,
    /// Cases at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Only cases whose area/name holds this text.
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Seconds until a build is given up.
    #[arg(long, default_value_t = 120)]
    case_timeout: u64,
    /// Print the cases as a Markdown table and run nothing.
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Human,
    Json,
}

fn parse_image(text: &str) -> Result<(Image, String), String> {
    let (kind, image) = text.split_once('=').ok_or("expected KIND=IMAGE, as in any=busybox")?;
    let kind = <Image as clap::ValueEnum>::from_str(kind, false)
        .map_err(|_| format!("no such kind of image: {kind} (any, bash, debian)"))?;
    if image.is_empty() {
        return Err(format!("no image given for {kind}"));
    }
    Ok((kind, image.to_owned()))
}

/// One case on one image; none when no image of its kind was given.
struct Trial<'a> {
    case: &'a Case,
    image: Option<&'a str>,
}

/// Runs the suite: exit status 0 when every case passed, 1 when one failed, 2 when the cases cannot be read, 3 when
/// the suite itself cannot run.
pub(crate) fn run(args: &Args) -> Exit {
    let mut cases = match case::load(&args.paths) {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("runspan conformance: {error}");
            return Exit::BadInput;
        }
    };
    cases.retain(|case| case.id.contains(&args.filter));
    if args.list {
        print!("{}", list::table(&cases));
        return Exit::Success;
    }
    if cases.is_empty() {
        eprintln!("runspan conformance: no case matches; look at the paths and at --filter");
        return Exit::BadInput;
    }
    let runner = match Runner::new(&args.executor, Duration::from_secs(args.case_timeout)) {
        Ok(runner) => runner,
        Err(error) => {
            eprintln!("runspan conformance: cannot prepare the run: {error}");
            return Exit::Infrastructure;
        }
    };
    let trials = trials(&cases, &args.images);
    let mut totals = BTreeMap::from([("passed", 0_usize), ("failed", 0), ("skipped", 0)]);
    each(&runner, &trials, args.jobs, |trial, outcome| {
        *totals.entry(outcome.word()).or_default() += 1;
        match args.format {
            Format::Human => print_human(trial, outcome),
            Format::Json => print_json(trial, outcome),
        }
    });
    let (passed, failed, skipped) = (totals["passed"], totals["failed"], totals["skipped"]);
    match args.format {
        Format::Human => println!("{passed} passed, {failed} failed, {skipped} skipped"),
        Format::Json => {
            println!("{}", serde_json::json!({"passed": passed, "failed": failed, "skipped": skipped}));
        }
    }
    if failed == 0 { Exit::Success } else { Exit::BuildFailed }
}

fn trials<'a>(cases: &'a [Case], images: &'a [(Image, String)]) -> Vec<Trial<'a>> {
    let mut trials = Vec::new();
    for case in cases {
        let before = trials.len();
        for (_, image) in images.iter().filter(|(kind, _)| *kind == case.image) {
            trials.push(Trial { case, image: Some(image) });
        }
        if trials.len() == before {
            trials.push(Trial { case, image: None });
        }
    }
    trials
}

/// Runs the trials on so many threads and hands over each outcome as it comes.
fn each(runner: &Runner, trials: &[Trial], jobs: u16, mut done: impl FnMut(&Trial, &Outcome)) {
    let next = AtomicUsize::new(0);
    let (sender, outcomes) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = match trial.image {
                        Some(image) => runner.run(trial.case, image),
                        None => {
                            Outcome::Skipped(format!("no image: give --image {}=IMAGE", trial.case.image))
                        }
                    };
                    if sender.send((trial, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (trial, outcome) in outcomes {
            done(trial, &outcome);
        }
    });
}

fn print_human(trial: &Trial, outcome: &Outcome) {
    let (id, image) = (&trial.case.id, trial.image.unwrap_or("-"));
    match outcome {
        Outcome::Passed { seconds } => println!("passed   {id}  {image}  {seconds:.2}s"),
        Outcome::Skipped(reason) => println!("skipped  {id}  {reason}"),
        Outcome::Failed { seconds, differences, log } => {
            println!("failed   {id}  {image}  {seconds:.2}s");
            println!("    {} ({})", trial.case.fact, trial.case.path.display());
            for difference in differences {
                println!("    {}", difference.replace('\n', "\n    "));
            }
            println!("    log:");
            for line in log.lines() {
                println!("    | {line}");
            }
        }
    }
}

fn print_json(trial: &Trial, outcome: &Outcome) {
    let mut line = serde_json::json!({
        "case": trial.case.id,
        "image": trial.image,
        "result": outcome.word(),
    });
    match outcome {
        Outcome::Passed { seconds } => line["seconds"] = (*seconds).into(),
        Outcome::Skipped(reason) => line["reason"] = reason.as_str().into(),
        Outcome::Failed { seconds, differences, log } => {
            line["seconds"] = (*seconds).into();
            line["differences"] = differences.as_slice().into();
            line["log"] = log.as_str().into();
        }
    }
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_runs_on_every_image_of_its_kind_and_is_skipped_without_one() {
        let case = |image| Case { image, ..Case::default() };
        let cases = [case(Image::Any), case(Image::Bash)];
        let images =
            [(Image::Any, "a".to_owned()), (Image::Debian, "d".to_owned()), (Image::Any, "b".to_owned())];
        let found: Vec<_> =
            trials(&cases, &images).iter().map(|trial| (trial.case.image, trial.image)).collect();
        assert_eq!(found, [(Image::Any, Some("a")), (Image::Any, Some("b")), (Image::Bash, None)]);
    }

    #[test]
    fn an_image_needs_a_known_kind_and_a_name() {
        assert_eq!(parse_image("bash=x:1"), Ok((Image::Bash, "x:1".to_owned())));
        assert_eq!(parse_image("any=r/x@sha256:0="), Ok((Image::Any, "r/x@sha256:0=".to_owned())));
        for bad in ["busybox", "alpine=x", "any="] {
            assert!(parse_image(bad).is_err(), "{bad}");
        }
    }
}
