//! Nothing is dropped without a word: every statement of a pipeline has a note, or stands in one that has.

use std::{env, fs, path::Path};

use runspan_buildspec::Translation;
use runspan_jenkinsfile::{
    Context,
    groovy::{self, Arg, Expr, ExprKind, Stmt, StmtKind},
    translate,
};

/// Spans of the statements that must be accounted for: those of blocks, where no block is around them that is noted as
/// a whole.
fn unaccounted(source: &str, translation: &Translation) -> Vec<String> {
    let mut missing = Vec::new();
    walk(&groovy::parse(source).script, translation, source, &mut missing);
    missing
}

fn walk(body: &[Stmt], translation: &Translation, source: &str, missing: &mut Vec<String>) {
    for stmt in body {
        let note = translation.notes.iter().find(|note| note.span.start == stmt.span.start);
        let Some(note) = note else {
            missing.push(source[stmt.span.clone()].lines().next().unwrap_or_default().to_owned());
            continue;
        };
        // What is left to people as a whole needs no account of its parts.
        if note.fidelity.name() == "manual" {
            continue;
        }
        for inner in blocks(stmt) {
            walk(inner, translation, source, missing);
        }
    }
}

/// The statements directly inside of a statement.
fn blocks(stmt: &Stmt) -> Vec<&[Stmt]> {
    match &stmt.kind {
        StmtKind::Expr(Expr { kind: ExprKind::Call(call), .. }) => call
            .args
            .iter()
            .map(|arg| match arg {
                Arg::Value(value) => value,
                Arg::Named(entry) => &entry.value,
            })
            .filter_map(|value| match &value.kind {
                ExprKind::Closure(closure) => Some(closure.body.as_slice()),
                _ => None,
            })
            .filter(|_| !matches!(call.step(), Some("expression" | "agent" | "axis" | "exclude")))
            .collect(),
        StmtKind::If { then, otherwise, .. } => {
            [Some(then), otherwise.as_ref()].into_iter().flatten().map(Vec::as_slice).collect()
        }
        StmtKind::Try { body, catches, finally } => std::iter::once(body)
            .chain(catches.iter().map(|catch| &catch.body))
            .chain(finally)
            .map(Vec::as_slice)
            .collect(),
        StmtKind::ForIn { body, .. } | StmtKind::While { body, .. } | StmtKind::For { body, .. } => {
            vec![body]
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_construct_of_our_cases_is_accounted_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path().join("Jenkinsfile");
        let source = fs::read_to_string(&path).unwrap();
        let translation = translate(&source, &Context::default());
        if translation.has_errors() {
            continue;
        }
        let missing = unaccounted(&source, &translation);
        assert!(missing.is_empty(), "{}: {missing:#?}", path.display());
    }
}

#[test]
fn every_construct_of_real_files_is_accounted_for() {
    let Some(folder) = env::var_os("RUNSPAN_JENKINSFILES") else {
        return super::real::told("SKIPPED: RUNSPAN_JENKINSFILES names no folder with public Jenkinsfiles");
    };
    let mut total = runspan_buildspec::Coverage::default();
    let (mut files, mut missing) = (0, Vec::new());
    for entry in fs::read_dir(Path::new(&folder).join("real")).unwrap() {
        let path = entry.unwrap().path();
        let source = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let translation = translate(&source, &Context::default());
        if translation.has_errors() {
            continue;
        }
        files += 1;
        total += translation.coverage();
        for line in unaccounted(&source, &translation) {
            missing.push(format!("{}: {line}", path.display()));
        }
        for job in &translation.jobs {
            let text = runspan_buildspec::write(&job.buildspec, &job.comments);
            let wrong: Vec<_> = runspan_buildspec::parse(&text)
                .diagnostics
                .into_iter()
                .filter(|it| it.severity() == runspan_buildspec::Severity::Error)
                .collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}\n{text}", path.display());
        }
    }
    super::real::told(&format!(
        "{files} real files translated: {} exact, {} approximate, {} manual: {:.1} % need nobody",
        total.exact,
        total.approximate,
        total.manual,
        total.ratio() * 100.0
    ));
    assert!(missing.is_empty(), "{} without a note: {:#?}", missing.len(), &missing[..missing.len().min(60)]);
}
