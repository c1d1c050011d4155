//! Files of other systems, what they become, and that what they become does what they promise.
//!
//! A case is a directory `<format>/<name>/` with the source file (`bitbucket-pipelines.yml`, `Jenkinsfile` or
//! `.github/workflows/*.yml`), whatever that refers to, `buildspec.yml` and `report.txt` as reviewed, and where it can
//! be run an `outcome.yml`. `RUNSPAN_UPDATE_TRANSLATIONS=1` writes what comes out now, to be reviewed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod case;
mod outcome;

use std::io::Write as _;
use std::panic::catch_unwind;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use case::{Case, cases};

/// Builds at once: most of one is waiting for the engine.
const AT_ONCE: usize = 4;

#[test]
fn every_translation_is_as_reviewed() {
    all(cases(), Case::compare);
}

#[test]
fn every_build_ends_as_its_source_promises() {
    let executor = std::env::var("RUNSPAN_TEST_EXECUTOR").unwrap_or_else(|_| "docker".into());
    if let Some(missing) = (executor == "docker").then(missing_image).flatten() {
        let message = format!("no Docker engine with {missing}; tests/images/make makes the images");
        assert!(std::env::var_os("RUNSPAN_REQUIRE_SERVICES").is_none(), "{message}");
        drop(writeln!(std::io::stderr(), "SKIPPED: builds of translated files: {message}"));
        return;
    }
    let run: Vec<Case> = cases().into_iter().filter(|case| case.outcome.exit.is_some()).collect();
    all(run, |case| case.run(&executor));
}

fn missing_image() -> Option<&'static str> {
    ["runspan-test/busybox", "runspan-test/debian"].into_iter().find(|image| {
        let inspect = Command::new("docker").args(["image", "inspect", image]).output();
        !inspect.is_ok_and(|output| output.status.success())
    })
}

/// Does this with every case, a few at once, and tells of every one that failed.
fn all(cases: Vec<Case>, check: impl Fn(&Case) + Sync + std::panic::RefUnwindSafe) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if catch_unwind(|| check(case)).is_err() {
                        failed.lock().unwrap().push(case.name.clone());
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    assert!(failed.is_empty(), "{} of {} cases failed: {}", failed.len(), cases.len(), failed.join(", "));
}
