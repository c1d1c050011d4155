//! Every public file of the shared corpus: what becomes of it, and that nothing of it is forgotten.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use runspan_buildspec::yaml::{self, Node, Value};
use runspan_buildspec::{Coverage, Severity, parse, write};
use runspan_pipelines::{Context, Selection, pipelines, translate};

/// Files that are not YAML, or hold no pipelines; each was looked at.
const FAULTY: &[(&str, &str)] = &[
    ("10002856340c__ETL-OpenSearch__bitbucket-pipelines.yml", "15:15: error[yaml-syntax]: this alias"),
    ("1919sai__multiple-projects-deployment__bitbucket-pipelines.yml", "13:1: error[duplicate-key]: the key"),
    ("4dboard__stonexy__bitbucket-pipelines.yml", "1:1: error[missing-key]: the file has no `pipelines`"),
];

/// Keys whose note says nothing of what they hold: each key in them has a note of its own.
const OPEN: &[&str] = &[
    "pipelines",
    "branches",
    "tags",
    "bookmarks",
    "pull-requests",
    "custom",
    "default",
    "step",
    "parallel",
    "stage",
    "steps",
    "definitions",
    "caches",
    "services",
    "options",
    "clone",
    "artifacts",
    "upload",
    "condition",
    "changesets",
    "runtime",
    "cloud",
    "image",
    "final",
];

/// Name and text of every file; nothing outside the team's own machines.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/bitbucket");
    let Ok(entries) = fs::read_dir(&root) else {
        let stderr = std::io::stderr();
        drop(writeln!(&stderr, "SKIPPED: the corpus of public pipelines is not at {}", root.display()));
        return Vec::new();
    };
    let file = |path: &Path| {
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
    };
    let mut files: Vec<_> = entries.map(|entry| file(&entry.unwrap().path())).collect();
    files.sort();
    assert_eq!(files.len(), 69);
    files
}

#[test]
fn every_pipeline_of_every_file_is_a_buildspec() {
    let mut coverage = Coverage::default();
    let mut jobs = 0;
    for (name, text) in files() {
        let expected = FAULTY.iter().find(|(file, _)| *file == name).map(|(_, fault)| *fault);
        let translation = translate(&text, &Context::default());
        if let Some(expected) = expected {
            let faults: Vec<_> = translation.diagnostics.iter().map(ToString::to_string).collect();
            assert!(faults.iter().any(|fault| fault.contains(expected)), "{name}: {faults:?}");
            assert!(translation.jobs.is_empty(), "{name}");
            continue;
        }
        assert!(!translation.has_errors(), "{name}: {:?}", translation.diagnostics);
        coverage += translation.coverage();
        for place in pipelines(&text) {
            let context = Context { selection: Selection::Named(place.clone()), ..Context::default() };
            let translation = translate(&text, &context);
            assert!(!translation.jobs.is_empty(), "{name}: {place}");
            for job in &translation.jobs {
                let text = write(&job.buildspec, &job.comments);
                let parsed = parse(&text);
                assert_eq!(parsed.diagnostics, [], "{name}: {place}: {}\n{text}", job.name);
                assert_eq!(parsed.buildspec.as_ref(), Some(&job.buildspec), "{name}: {place}\n{text}");
                jobs += 1;
            }
            if let Some((buildspec, comments)) = translation.buildspec() {
                let text = write(&buildspec, &comments);
                let faults = parse(&text).diagnostics;
                let errors = faults.iter().filter(|fault| fault.severity() == Severity::Error);
                assert_eq!(errors.count(), 0, "{name}: {place}\n{text}");
            }
        }
    }
    if jobs > 0 {
        drop(writeln!(std::io::stderr(), "{jobs} jobs, {coverage:?}, {:.1} %", coverage.ratio() * 100.0));
        assert!(coverage.ratio() >= 0.9, "{coverage:?}");
    }
}

/// Every key that no note covers.
fn forgotten(node: &Node, path: &str, noted: &BTreeSet<usize>, is_covered: bool, into: &mut Vec<String>) {
    match &node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                forgotten(item, &format!("{path}[{index}]"), noted, is_covered, into);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let path = format!("{path}.{}", entry.key.text);
                let has_note = noted.contains(&entry.key.span.start);
                if !has_note && !is_covered {
                    into.push(path.clone());
                }
                let covers = has_note && !OPEN.contains(&entry.key.text.as_str());
                forgotten(&entry.value, &path, noted, is_covered || covers, into);
            }
        }
    }
}

#[test]
fn every_key_has_its_note() {
    for (name, text) in files() {
        let Ok(node) = yaml::read(&text) else { continue };
        let translation = translate(&text, &Context::default());
        if translation.has_errors() {
            continue;
        }
        let noted: BTreeSet<usize> = translation.notes.iter().map(|note| note.span.start).collect();
        assert_eq!(noted.len(), translation.notes.len(), "{name}: two notes at one place");
        let mut missing = Vec::new();
        forgotten(&node, "", &noted, false, &mut missing);
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}
