//! The account of a translation, for people and for programs.

use std::fmt::Write as _;

use runspan_buildspec::{Coverage, Diagnostic, Fidelity, Note, Translation, report};
use serde_json::{Value, json};

use crate::translators::SourceFile;

/// One line for each construct that is not exact, then the counts.
pub(super) fn text(file: &SourceFile, translation: &Translation) -> String {
    let mut text = String::new();
    for note in &translation.notes {
        line(&mut text, file, note);
    }
    let _ = writeln!(text, "{}: {}", file.name, counts(translation.coverage()));
    text
}

/// What is left to a person, then the counts.
pub(super) fn manual(file: &SourceFile, translation: &Translation) -> String {
    let mut text = String::new();
    for note in translation.notes.iter().filter(|note| matches!(note.fidelity, Fidelity::Manual { .. })) {
        line(&mut text, file, note);
    }
    let _ = writeln!(text, "{}: {}", file.name, counts(translation.coverage()));
    text
}

fn line(text: &mut String, file: &SourceFile, note: &Note) {
    let place = format!("{}:{}:{}", file.name, note.span.line, note.span.column);
    match &note.fidelity {
        Fidelity::Exact { .. } => {}
        Fidelity::Approximate { became, difference } => {
            let _ = writeln!(text, "{place}: approximate: {}: {became}; {difference}", note.construct);
        }
        Fidelity::Manual { reason, suggestion } => {
            let _ = writeln!(text, "{place}: manual: {}: {reason}", note.construct);
            for line in suggestion.iter().flat_map(|suggestion| suggestion.lines()) {
                let _ = writeln!(text, "    {line}");
            }
        }
    }
}

/// Counts in words.
pub(super) fn counts(coverage: Coverage) -> String {
    let Coverage { exact, approximate, manual } = coverage;
    let percent = coverage.ratio() * 100.0;
    format!("{exact} exact, {approximate} approximate, {manual} manual: {percent:.1} % done")
}

/// Everything.
pub(super) fn json(file: &SourceFile, translation: &Translation) -> Value {
    let name = file.name.as_str();
    let faults = translation.diagnostics.iter().map(|fault: &Diagnostic| (name, fault));
    let Coverage { exact, approximate, manual } = translation.coverage();
    json!({
        "file": name,
        "format": file.format.id(),
        "jobs": translation.jobs.iter().map(|job| json!({
            "name": job.name,
            "identifier": job.identifier,
            "depends_on": job.depends_on,
            "image": job.env.image,
            "on_demand": job.on_demand,
        })).collect::<Vec<_>>(),
        "coverage": {
            "exact": exact,
            "approximate": approximate,
            "manual": manual,
            "ratio": translation.coverage().ratio(),
        },
        "constructs": translation.notes.iter().map(construct).collect::<Vec<_>>(),
        "diagnostics": report::json(faults),
    })
}

fn construct(note: &Note) -> Value {
    let mut value = json!({
        "line": note.span.line,
        "column": note.span.column,
        "construct": note.construct,
        "fidelity": note.fidelity.name(),
    });
    match &note.fidelity {
        Fidelity::Exact { became } => value["became"] = json!(became),
        Fidelity::Approximate { became, difference } => {
            value["became"] = json!(became);
            value["difference"] = json!(difference);
        }
        Fidelity::Manual { reason, suggestion } => {
            value["reason"] = json!(reason);
            value["suggestion"] = json!(suggestion);
        }
    }
    value
}
