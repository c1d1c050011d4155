//! `runspan conformance`: checks CodeBuild's behaviour case by case, through `runspan run` itself, so that every
//! executor can be held to the same suite. The cases' format is described in `tests/conformance/README.md`.

mod case;
mod expect;
mod gather;
mod list;
mod pattern;
mod runner;
mod side_by_side;

use crate::exit_code::Exit;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use case::{Case, Image};
use runner::{Outcome, Runner};

/// Check CodeBuild's behaviour case by case.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Case files, or directories of them.
    #[arg(default_value = "tests/conformance/cases")]
    paths: Vec<PathBuf>,
    /// Executor of the builds; when repeated, every case runs on each, and they stand side by side.
    #[arg(long = "executor", value_name = "EXECUTOR", default_value = "auto")]
    executors: Vec<String>,
    /// Image for the cases that need one of this kind: any, bash or debian; for one executor only when its name comes
    /// first. May be repeated; a case runs once on every image of its kind, and is skipped when there is none.
    #[arg(long = "image", value_name = "[EXECUTOR/]KIND=IMAGE", value_parser = parse_image)]
    images: Vec<GivenImage>,
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

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// A line for each case.
    Human,
    /// A JSON object for each case on each executor and image.
    Json,
    /// A Markdown table with a column for each executor.
    Table,
}

/// An image as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GivenImage {
    /// The only executor it is for.
    executor: Option<String>,
    kind: Image,
    name: String,
}

fn parse_image(text: &str) -> Result<GivenImage, String> {
    let (kind, name) = text.split_once('=').ok_or("expected KIND=IMAGE, as in any=busybox")?;
    let (executor, kind) = match kind.split_once('/') {
        Some((executor, kind)) => (Some(executor.to_owned()), kind),
        None => (None, kind),
    };
    let kind = <Image as clap::ValueEnum>::from_str(kind, false)
        .map_err(|_| format!("no such kind of image: {kind} (any, bash, debian)"))?;
    if name.is_empty() {
        return Err(format!("no image given for {kind}"));
    }
    Ok(GivenImage { executor, kind, name: name.to_owned() })
}

/// One case on one executor and image; no image when none of its kind was given.
struct Trial<'a> {
    case: &'a Case,
    executor: &'a str,
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
    let runner = match Runner::new(Duration::from_secs(args.case_timeout)) {
        Ok(runner) => runner,
        Err(error) => {
            eprintln!("runspan conformance: cannot prepare the run: {error}");
            return Exit::Infrastructure;
        }
    };
    let trials = trials(&cases, &args.executors, &args.images);
    let mut totals = Totals::new(&args.executors);
    if matches!(args.format, Format::Table) {
        print!("{}", side_by_side::head(&args.executors));
    }
    each(&runner, &trials, args.jobs, |row| {
        totals.add(row);
        match args.format {
            Format::Human => print_human(row),
            Format::Json => row.iter().for_each(print_json),
            Format::Table => print!("{}", side_by_side::row(&args.executors, row)),
        }
    });
    match args.format {
        Format::Human => print!("{totals}"),
        Format::Json => println!("{}", totals.json()),
        Format::Table => print!("\n{totals}"),
    }
    if totals.failed() == 0 { Exit::Success } else { Exit::BuildFailed }
}

/// All trials of a case are beside each other.
fn trials<'a>(cases: &'a [Case], executors: &'a [String], images: &'a [GivenImage]) -> Vec<Trial<'a>> {
    let mut trials = Vec::new();
    for case in cases {
        for executor in executors {
            let before = trials.len();
            let is_for = |given: &&GivenImage| {
                given.kind == case.image && given.executor.as_ref().is_none_or(|only| only == executor)
            };
            trials.extend(images.iter().filter(is_for).map(|given| Trial {
                case,
                executor,
                image: Some(&given.name),
            }));
            if trials.len() == before {
                trials.push(Trial { case, executor, image: None });
            }
        }
    }
    trials
}

/// Runs the trials on so many threads and hands over those of each case as they are complete.
fn each(runner: &Runner, trials: &[Trial], jobs: u16, mut done: impl FnMut(&[(&Trial, Outcome)])) {
    let next = AtomicUsize::new(0);
    let (sender, outcomes) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = match trial.image {
                        Some(image) => runner.run(trial.case, trial.executor, image),
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
        let mut rows: BTreeMap<&str, Vec<(&Trial, Outcome)>> = BTreeMap::new();
        for (trial, outcome) in outcomes {
            let id = trial.case.id.as_str();
            let row = rows.entry(id).or_default();
            row.push((trial, outcome));
            if row.len() == trials.iter().filter(|other| other.case.id == id).count()
                && let Some(row) = rows.remove(id)
            {
                done(&row);
            }
        }
    });
}

/// How many trials ended how, by executor.
struct Totals(Vec<(String, BTreeMap<&'static str, usize>)>);

impl Totals {
    fn new(executors: &[String]) -> Self {
        Self(executors.iter().map(|executor| (executor.clone(), BTreeMap::new())).collect())
    }

    fn add(&mut self, row: &[(&Trial, Outcome)]) {
        for (trial, outcome) in row {
            for (_, counts) in self.0.iter_mut().filter(|(executor, _)| executor == trial.executor) {
                *counts.entry(outcome.word()).or_default() += 1;
            }
        }
    }

    fn failed(&self) -> usize {
        self.0.iter().filter_map(|(_, counts)| counts.get("failed")).sum()
    }

    fn json(&self) -> serde_json::Value {
        self.0.iter().map(|(executor, counts)| (executor.clone(), serde_json::json!(counts))).collect()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (executor, counts) in &self.0 {
            let count = |word| counts.get(word).copied().unwrap_or_default();
            let (passed, failed, skipped) = (count("passed"), count("failed"), count("skipped"));
            writeln!(out, "{executor}: {passed} passed, {failed} failed, {skipped} skipped")?;
        }
        Ok(())
    }
}

fn print_human(row: &[(&Trial, Outcome)]) {
    for (trial, outcome) in row {
        let (id, executor, image) = (&trial.case.id, trial.executor, trial.image.unwrap_or("-"));
        match outcome {
            Outcome::Passed { seconds } => println!("passed   {id}  {executor}  {image}  {seconds:.2}s"),
            Outcome::Skipped(reason) => println!("skipped  {id}  {executor}  {reason}"),
            Outcome::Failed { seconds, differences, log } => {
                println!("failed   {id}  {executor}  {image}  {seconds:.2}s");
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
}

fn print_json((trial, outcome): &(&Trial, Outcome)) {
    let mut line = serde_json::json!({
        "case": trial.case.id,
        "executor": trial.executor,
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

    fn images(given: &[&str]) -> Vec<GivenImage> {
        given.iter().map(|text| parse_image(text).unwrap()).collect()
    }

    #[test]
    fn a_case_runs_on_every_image_of_its_kind_and_is_skipped_without_one() {
        let case = |image| Case { image, ..Case::default() };
        let cases = [case(Image::Any), case(Image::Bash)];
        let images = images(&["any=a", "debian=d", "any=b"]);
        let executors = ["x".to_owned()];
        let found: Vec<_> =
            trials(&cases, &executors, &images).iter().map(|trial| (trial.case.image, trial.image)).collect();
        assert_eq!(found, [(Image::Any, Some("a")), (Image::Any, Some("b")), (Image::Bash, None)]);
    }

    #[test]
    fn every_executor_has_its_images() {
        let cases = [Case { image: Image::Any, ..Case::default() }];
        let images = images(&["x/any=a", "y/any=b", "any=c"]);
        let executors = ["x".to_owned(), "y".to_owned()];
        let trials = trials(&cases, &executors, &images);
        let found: Vec<_> = trials.iter().map(|trial| (trial.executor, trial.image.unwrap())).collect();
        assert_eq!(found, [("x", "a"), ("x", "c"), ("y", "b"), ("y", "c")]);
    }

    #[test]
    fn an_image_needs_a_known_kind_and_a_name() {
        let given = |executor: Option<&str>, kind, name: &str| GivenImage {
            executor: executor.map(str::to_owned),
            kind,
            name: name.to_owned(),
        };
        assert_eq!(parse_image("bash=x:1"), Ok(given(None, Image::Bash, "x:1")));
        assert_eq!(parse_image("any=r/x@sha256:0="), Ok(given(None, Image::Any, "r/x@sha256:0=")));
        assert_eq!(parse_image("sandbox/any=/r"), Ok(given(Some("sandbox"), Image::Any, "/r")));
        for bad in ["busybox", "alpine=x", "any="] {
            assert!(parse_image(bad).is_err(), "{bad}");
        }
    }
}
