//! Jenkinsfiles of our own, and what becomes of them. `RUNSPAN_UPDATE=1` writes the results anew, to be reviewed.

use std::{env, fmt::Write as _, fs, path::Path};

use runspan_buildspec::{Fidelity, Severity, Translation, parse, write};
use runspan_jenkinsfile::{Context, translate};

/// The account of a translation, a line for each construct.
fn report(translation: &Translation) -> String {
    let mut out = String::new();
    for note in &translation.notes {
        let place = format!("{}:{}", note.span.line, note.span.column);
        let text = match &note.fidelity {
            Fidelity::Exact { became } => became.clone(),
            Fidelity::Approximate { became, difference } => format!("{became}; {difference}"),
            Fidelity::Manual { reason, .. } => reason.clone(),
        };
        writeln!(out, "{place:<7} {:<11} {}: {text}", note.fidelity.name(), note.construct).unwrap();
    }
    let coverage = translation.coverage();
    writeln!(
        out,
        "{} exact, {} approximate, {} manual",
        coverage.exact, coverage.approximate, coverage.manual
    )
    .unwrap();
    out
}

fn compare(path: &Path, actual: &str) {
    if env::var_os("RUNSPAN_UPDATE").is_some() {
        fs::write(path, actual).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(expected == actual, "{}\n--- expected\n{expected}\n--- actual\n{actual}", path.display());
}

#[test]
fn every_case_is_as_reviewed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut folders: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 60, "only {} cases", folders.len());
    for folder in folders {
        let source = fs::read_to_string(folder.join("Jenkinsfile")).unwrap();
        let translation = translate(&source, &Context::default());
        if translation.has_errors() {
            let told: Vec<_> = translation.diagnostics.iter().map(ToString::to_string).collect();
            assert!(translation.diagnostics.iter().all(|diagnostic| diagnostic.span.is_some()));
            compare(&folder.join("refused.txt"), &(told.join("\n") + "\n"));
            continue;
        }
        assert!(!folder.join("refused.txt").exists(), "{} is not refused any more", folder.display());
        let (buildspec, comments) = translation.buildspec().unwrap();
        let text = write(&buildspec, &comments);
        compare(&folder.join("buildspec.yml"), &text);
        compare(&folder.join("report.txt"), &report(&translation));
        // What is written can be read, the buildspecs of the single jobs too.
        for text in translation.jobs.iter().map(|job| write(&job.buildspec, &job.comments)).chain([text]) {
            let wrong: Vec<_> =
                parse(&text).diagnostics.into_iter().filter(|it| it.severity() == Severity::Error).collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}\n{text}", folder.display());
        }
    }
}
