//! SIMPLECOV: the `.resultset.json` of SimpleCov: command name to coverage, file by file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::source::Source;
use super::{CodeCoverage, Counts, Coverage, ReportError};

#[derive(Deserialize)]
struct Command {
    coverage: BTreeMap<String, FileCoverage>,
}

/// Before 0.18 a file was its list of lines alone.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a file must be a list of lines or a map with `lines`")]
enum FileCoverage {
    Lines(Vec<Value>),
    Parts {
        #[serde(default)]
        lines: Vec<Value>,
        #[serde(default)]
        branches: BTreeMap<String, BTreeMap<String, u64>>,
    },
}

/// What all commands together did with a file.
#[derive(Default)]
struct Merged {
    /// Hits by line; `None` for a line that cannot be hit, as comments and ignored ones.
    lines: Vec<Option<u64>>,
    /// Hits by condition and branch.
    branches: BTreeMap<(String, String), u64>,
}

pub(super) fn parse(source: &Source<'_>) -> Result<Coverage, ReportError> {
    let commands: BTreeMap<String, Command> =
        serde_json::from_str(source.text).map_err(|error| source.json_error(&error))?;
    let mut files: BTreeMap<String, Merged> = BTreeMap::new();
    for (path, coverage) in commands.into_values().flat_map(|command| command.coverage) {
        files.entry(path).or_default().add(coverage);
    }
    let mut coverage = Coverage::default();
    for (path, file) in files {
        coverage.insert(
            path,
            CodeCoverage { lines: hit(file.lines.iter().flatten()), branches: hit(file.branches.values()) },
        );
    }
    Ok(coverage)
}

impl Merged {
    fn add(&mut self, coverage: FileCoverage) {
        let (lines, branches) = match coverage {
            FileCoverage::Lines(lines) => (lines, BTreeMap::new()),
            FileCoverage::Parts { lines, branches } => (lines, branches),
        };
        self.lines.resize(self.lines.len().max(lines.len()), None);
        for (known, hits) in self.lines.iter_mut().zip(lines.iter().map(Value::as_u64)) {
            if let Some(hits) = hits {
                *known = Some(known.unwrap_or(0).saturating_add(hits));
            }
        }
        for (condition, sides) in branches {
            for (side, hits) in sides {
                let known = self.branches.entry((condition.clone(), side)).or_default();
                *known = known.saturating_add(hits);
            }
        }
    }
}

fn hit<'a>(hits: impl Iterator<Item = &'a u64>) -> Counts {
    let mut counts = Counts::default();
    for &hits in hits {
        counts += Counts::of(u64::from(hits > 0), 1);
    }
    counts
}
