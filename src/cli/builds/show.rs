//! `runspan builds show`.

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use runspan_engine::batch::BuildBatch;
use runspan_engine::build::Build;
use runspan_engine::journal::{Journal, Stored, StoredDelivery, StoredEvent};
use runspan_engine::lifecycle::BuildPhase;
use runspan_engine::steps::{StepRecord, steps_of};
use serde::Serialize;

use super::{Format, Found, NamedAny};
use crate::console::{self, duration, table};
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Show the record of a build or a batch.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    named: NamedAny,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(super) fn show(journal: &Journal, args: &ShowArgs) -> Result<Exit, Failure> {
    let found = Found::named(journal, &args.named.name)?;
    let text = match (&found, args.format) {
        (Found::Build(stored), Format::Human) => {
            human(stored, found.is_orphan(journal))
                + &steps_for_people(&steps(journal, stored)?)
                + &waiting(&journal.deliveries(stored.build.id.uuid())?)
        }
        (Found::Batch(batch), Format::Human) => {
            batch_for_people(batch, found.is_orphan(journal))
                + &waiting(&journal.deliveries(batch.id.uuid())?)
        }
        (Found::Build(stored), Format::Json) => {
            json(&WithSteps { steps: steps(journal, stored)?, build: &stored.build })?
        }
        (Found::Batch(batch), Format::Json) => json(batch)?,
    };
    console::print(&text);
    Ok(Exit::Success)
}

/// A record, and what its steps have come to.
#[derive(Serialize)]
struct WithSteps<'a> {
    #[serde(flatten)]
    build: &'a Build,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepRecord>,
}

fn steps(journal: &Journal, stored: &Stored) -> Result<Vec<StepRecord>, Failure> {
    let mut all = Vec::new();
    loop {
        let more = journal.events(stored.build.id.uuid(), all.len() as u64)?;
        if more.is_empty() {
            return Ok(steps_of(all.iter().map(|stored: &StoredEvent| &stored.event)));
        }
        all.extend(more);
    }
}

fn steps_for_people(steps: &[StepRecord]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = steps
        .iter()
        .map(|step| {
            let result = match (step.outcome, step.conclusion) {
                (Some(outcome), Some(conclusion)) if outcome != conclusion => {
                    format!("{}, tolerated", outcome.name())
                }
                (Some(outcome), _) => outcome.name().to_owned(),
                (None, _) => "running".to_owned(),
            };
            #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
            let took = duration(step.duration_ms as f64 / 1000.0);
            [step.phase.name().to_owned(), result, took, step.name.clone()]
        })
        .collect();
    let mut text = format!("\n{}", table(["PHASE", "RESULT", "TOOK", "STEP"], &rows));
    for step in steps {
        for annotation in &step.annotations {
            let place = annotation.file.as_deref().map_or_else(String::new, |file| {
                let line = annotation.line.map_or_else(String::new, |line| format!(":{line}"));
                format!("{file}{line}: ")
            });
            let message = annotation.message.replace('\n', "\n  ");
            let _ = writeln!(text, "{}: {place}{message} ({})", annotation.level.name(), step.name);
        }
    }
    for step in steps.iter().filter(|step| !step.summary.is_empty()) {
        let _ = writeln!(text, "\nSummary of {}\n\n{}", step.name, step.summary.trim_end());
    }
    text
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::of(&error))?;
    Ok(text + "\n")
}

fn human(stored: &Stored, orphan: bool) -> String {
    let Build {
        id,
        build_number,
        build_status,
        start_time,
        end_time,
        environment,
        source,
        initiator,
        phases,
        artifacts,
        secondary_artifacts,
        exported_environment_variables,
        resolved_source_version,
        ..
    } = &stored.build;
    let mut text = String::new();
    let mut say = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10} {value}");
    };
    say("build", id.as_str());
    say("number", &build_number.to_string());
    say("status", build_status.name());
    say("started", &format!("{} by {initiator}", time(*start_time)));
    say("took", &took(*start_time, *end_time));
    say("source", source.location.as_deref().unwrap_or("none"));
    if let Some(version) = resolved_source_version {
        say("version", version);
    }
    say("image", &environment.image);
    for artifacts in artifacts.iter().chain(secondary_artifacts).filter(|kept| kept.files > 0) {
        say("artifacts", &artifacts.location);
    }
    for exported in exported_environment_variables {
        say("exported", &format!("{}={}", exported.name, exported.value));
    }
    if orphan {
        let _ = writeln!(
            text,
            "\nThe process that supervised this build was killed in phase {}.\n\
             `runspan builds attach {id}` goes on with it if its container still runs;\n\
             `runspan builds stop {id}` ends it. The next `runspan run` ends it too.",
            stored.build.current_phase.name()
        );
    }
    text.push('\n');
    text + &table(["PHASE", "STATUS", "TOOK", "CONTEXT"], &phases.iter().map(row).collect::<Vec<_>>())
}

/// What is not delivered.
fn waiting(deliveries: &[StoredDelivery]) -> String {
    let rows: Vec<_> = deliveries
        .iter()
        .filter(|delivery| !delivery.done)
        .map(|delivery| {
            let why = delivery.error.as_deref().unwrap_or("on its way");
            [delivery.name.clone(), why.replace("\n\t", "; ")]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let again = "`runspan builds deliver` tries again now; so does every later build.\n";
    format!("\n{}{again}", table(["UNDELIVERED", "REASON"], &rows))
}

fn row(phase: &BuildPhase) -> [String; 4] {
    let contexts = phase
        .contexts
        .iter()
        .filter(|context| !context.status_code.is_empty())
        .map(|context| format!("{}: {}", context.status_code, context.message.trim_end()))
        .collect::<Vec<_>>()
        .join("; ");
    [
        phase.phase_type.name().into(),
        phase.phase_status.map_or("-", runspan_engine::lifecycle::Status::name).into(),
        phase.end_time.map_or_else(String::new, |_| took(phase.start_time, phase.end_time)),
        contexts,
    ]
}

fn batch_for_people(batch: &BuildBatch, orphan: bool) -> String {
    let rows: Vec<_> = batch
        .build_groups
        .iter()
        .map(|group| {
            let summary = group.current_build_summary.as_ref();
            [
                group.identifier.clone(),
                summary.map_or("-", |summary| summary.build_status.name()).into(),
                group.depends_on.join(", "),
                summary
                    .and_then(|summary| summary.arn.rsplit_once('/'))
                    .map_or_else(String::new, |(_, id)| id.to_owned()),
            ]
        })
        .collect();
    let orphan = match orphan {
        false => String::new(),
        true => format!(
            "\nThe process that supervised this batch was killed. `runspan builds attach {id}` goes on with it;\n\
             `runspan builds stop {id}` ends it. The next `runspan run` ends it too.\n",
            id = batch.id
        ),
    };
    format!(
        "batch      {}\nnumber     {}\nstatus     {}\nstarted    {}\ntook       {}\n{orphan}\n{}",
        batch.id,
        batch.build_batch_number,
        batch.build_batch_status.name(),
        time(batch.start_time),
        took(batch.start_time, batch.end_time),
        table(["BUILD", "STATUS", "AFTER", "ID"], &rows)
    )
}

pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub(super) fn took(start: Timestamp, end: Option<Timestamp>) -> String {
    duration(end.unwrap_or_else(Timestamp::now).duration_since(start).as_secs_f64())
}
