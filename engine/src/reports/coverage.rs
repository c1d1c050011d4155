//! Code coverage, file by file.

use std::collections::BTreeMap;
use std::ops::{AddAssign, SubAssign};

/// How many of something were covered and missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Covered.
    pub covered: u64,
    /// Missed.
    pub missed: u64,
}

impl Counts {
    /// Covered and missed from covered and total.
    pub fn of(covered: u64, total: u64) -> Self {
        Self { covered, missed: total.saturating_sub(covered) }
    }

    /// Covered of all, 0 to 100 with two decimals; `None` when there was nothing to cover.
    pub fn percentage(self) -> Option<f64> {
        let total = self.covered.saturating_add(self.missed);
        (total > 0).then(|| (self.covered as f64 / total as f64 * 10_000.0).round() / 100.0)
    }

    fn fraction(self) -> f64 {
        let total = self.covered.saturating_add(self.missed);
        if total == 0 { 0.0 } else { self.covered as f64 / total as f64 }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.covered = self.covered.saturating_add(other.covered);
        self.missed = self.missed.saturating_add(other.missed);
    }
}

impl SubAssign for Counts {
    fn sub_assign(&mut self, other: Self) {
        self.covered = self.covered.saturating_sub(other.covered);
        self.missed = self.missed.saturating_sub(other.missed);
    }
}

/// Lines and branches of one file or of a whole report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeCoverage {
    /// `linesCovered`, `linesMissed`.
    pub lines: Counts,
    /// `branchesCovered`, `branchesMissed`.
    pub branches: Counts,
}

impl CodeCoverage {
    /// Higher line coverage, then higher branch coverage.
    fn beats(&self, other: &Self) -> bool {
        let lines = self.lines.fraction().total_cmp(&other.lines.fraction());
        lines.then(self.branches.fraction().total_cmp(&other.branches.fraction())).is_gt()
    }
}

/// The coverage of every file of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    files: BTreeMap<String, CodeCoverage>,
    summary: CodeCoverage,
}

impl Coverage {
    /// All files together, and each by itself.
    pub(super) fn of(summary: CodeCoverage, files: impl Iterator<Item = (String, CodeCoverage)>) -> Self {
        Self { files: files.collect(), summary }
    }

    /// Adds a file; of two entries for one path the better covered one counts.
    pub fn insert(&mut self, path: impl Into<String>, coverage: CodeCoverage) {
        let path = path.into();
        if let Some(known) = self.files.get(&path) {
            if !coverage.beats(known) {
                return;
            }
            self.summary.lines -= known.lines;
            self.summary.branches -= known.branches;
        }
        self.summary.lines += coverage.lines;
        self.summary.branches += coverage.branches;
        self.files.insert(path, coverage);
    }

    /// Adds another file's results of the same build.
    pub fn append(&mut self, other: Self) {
        for (path, coverage) in other.files {
            self.insert(path, coverage);
        }
    }

    /// Adds another member of a batch: as CodeBuild does it, the summary adds up even where files coincide.
    pub fn merge(&mut self, other: Self) {
        let mut summary = self.summary;
        summary.lines += other.summary.lines;
        summary.branches += other.summary.branches;
        self.append(other);
        self.summary = summary;
    }

    /// Every file by its path, as the report has it.
    pub fn files(&self) -> &BTreeMap<String, CodeCoverage> {
        &self.files
    }

    /// All files together.
    pub fn summary(&self) -> CodeCoverage {
        self.summary
    }
}
