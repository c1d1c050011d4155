//! How a build ended, for people.

use std::fmt::Write as _;
use std::path::Path;

use runspan_engine::build::{Build, BuildArtifacts};
use runspan_engine::lifecycle::{BuildPhase, Status};
use serde_json::Value;

/// What became of a complete build, in one line.
pub(crate) fn headline(build: &Build) -> String {
    let took = build.end_time.map_or(0.0, |end| end.duration_since(build.start_time).as_secs_f64());
    let Build { id, build_number, build_status, .. } = build;
    format!("{} {id} (build {build_number}) in {}\n", build_status.name(), duration(took))
}

/// Where the results of a complete build are, below its headline and why it failed.
pub(crate) fn summary(build: &Build, log: &Path, reports: &Path) -> String {
    let mut text = headline(build);
    for failure in build.phases.iter().filter_map(failure) {
        let _ = writeln!(text, "  {failure}");
    }
    for artifacts in build.artifacts.iter().chain(&build.secondary_artifacts).filter(|kept| kept.files > 0) {
        let _ = writeln!(text, "  artifacts  {}", stored(artifacts));
    }
    for report in &build.reports {
        let _ = writeln!(text, "  report     {}", reported(report));
    }
    if !build.reports.is_empty() {
        let _ = writeln!(text, "  reports    {}", reports.display());
    }
    let _ = writeln!(text, "  log        {}", log.display());
    text
}

/// Why a phase did not succeed; `None` when it did, or has not ended.
fn failure(phase: &BuildPhase) -> Option<String> {
    let status = phase.phase_status.filter(|status| *status != Status::Succeeded)?;
    let mut text = format!("{} {}", phase.phase_type.name(), status.name());
    for context in phase.contexts.iter().filter(|context| !context.status_code.is_empty()) {
        let _ = write!(text, ": {}: {}", context.status_code, context.message.trim_end());
    }
    Some(text)
}

fn stored(artifacts: &BuildArtifacts) -> String {
    let name = artifacts.artifact_identifier.as_ref().map_or_else(String::new, |name| format!("{name}: "));
    let files = if artifacts.files == 1 { "file" } else { "files" };
    format!("{name}{} ({} {files}, {})", artifacts.location, artifacts.files, size(artifacts.bytes))
}

fn reported(report: &Value) -> String {
    let mut text =
        format!("{}: {}", report["name"].as_str().unwrap_or("?"), report["status"].as_str().unwrap_or("?"));
    if let Some(total) = report["testSummary"]["total"].as_u64() {
        let _ = write!(text, ", {total} {}", if total == 1 { "test" } else { "tests" });
        for (status, count) in report["testSummary"]["statusCounts"].as_object().into_iter().flatten() {
            if let Some(count @ 1..) = count.as_u64() {
                let _ = write!(text, ", {count} {}", status.to_lowercase());
            }
        }
    }
    let coverage = &report["codeCoverageSummary"];
    for (kind, key) in [("lines", "lineCoveragePercentage"), ("branches", "branchCoveragePercentage")] {
        if let Some(percent) = coverage[key].as_f64() {
            let _ = write!(text, ", {percent:.1}% of {kind} covered");
        }
    }
    text
}

/// A time as people say it.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Bytes as people say them.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_and_sizes_are_readable() {
        assert_eq!([duration(0.25), duration(61.9), duration(7260.0)], ["0.2 s", "1 min 1 s", "2 h 1 min"]);
        assert_eq!([size(0), size(1536), size(5 << 30)], ["0 B", "1.5 KiB", "5.0 GiB"]);
    }

    #[test]
    fn reports_are_counted() {
        let tests = json!({"name": "web-unit", "status": "FAILED",
            "testSummary": {"total": 3, "statusCounts": {"SUCCEEDED": 2, "FAILED": 1, "SKIPPED": 0}}});
        assert_eq!(reported(&tests), "web-unit: FAILED, 3 tests, 1 failed, 2 succeeded");
        let coverage = json!({"name": "web-cover", "status": "SUCCEEDED",
            "codeCoverageSummary": {"lineCoveragePercentage": 81.25}});
        assert_eq!(reported(&coverage), "web-cover: SUCCEEDED, 81.2% of lines covered");
    }
}
