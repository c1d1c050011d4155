//! Test cases, and as many of them as a report keeps.

/// Test cases that a report keeps; failed ones first.
pub const MAX_TEST_CASES: usize = 500;
/// Characters of a test case's name.
pub const MAX_NAME: usize = 1000;
/// Characters of a test case's message.
pub const MAX_MESSAGE: usize = 5000;

/// The outcome of a test case, from best to worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are CodeBuild's")]
pub enum TestStatus {
    #[default]
    Succeeded,
    Unknown,
    Skipped,
    Failed,
    Error,
}

impl TestStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Succeeded, Self::Unknown, Self::Skipped, Self::Failed, Self::Error];

    /// CodeBuild's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Unknown => "UNKNOWN",
            Self::Skipped => "SKIPPED",
            Self::Failed => "FAILED",
            Self::Error => "ERROR",
        }
    }

    /// Whether the case makes its report FAILED.
    pub fn is_failure(self) -> bool {
        self >= Self::Failed
    }
}

/// One test case, in the words of CodeBuild's `TestCase`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestCase {
    /// `testRawDataPath`: the report file.
    pub test_raw_data_path: String,
    /// `prefix`: what qualifies the name, most often a class.
    pub prefix: String,
    /// `name`, at most [`MAX_NAME`] characters.
    pub name: String,
    /// `status`.
    pub status: TestStatus,
    /// `durationInNanoSeconds`.
    pub duration_in_nano_seconds: u64,
    /// `message`, at most [`MAX_MESSAGE`] characters.
    pub message: String,
    /// `testSuiteName`.
    pub test_suite_name: String,
    /// Ours: where it stands in the source, when the file says so.
    pub place: Option<SourcePlace>,
}

/// A line of a source file, as the tool wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePlace {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

/// Test results: exact totals of all cases, and the cases that a report can keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestResults {
    counts: [u64; TestStatus::ALL.len()],
    duration_in_nano_seconds: u64,
    failures: Vec<TestCase>,
    others: Vec<TestCase>,
}

impl TestResults {
    /// Totals of all cases, by [`TestStatus::ALL`], and the cases that were kept.
    pub(super) fn of(
        counts: [u64; TestStatus::ALL.len()],
        duration_in_nano_seconds: u64,
        kept: impl Iterator<Item = TestCase>,
    ) -> Self {
        let mut results = Self { counts, duration_in_nano_seconds, ..Self::default() };
        kept.for_each(|case| results.keep(case));
        results
    }

    /// Adds a case.
    pub fn push(&mut self, case: TestCase) {
        self.counts[case.status as usize] += 1;
        self.duration_in_nano_seconds =
            self.duration_in_nano_seconds.saturating_add(case.duration_in_nano_seconds);
        self.keep(case);
    }

    /// Adds the results of another file of the same build: durations add up.
    pub fn append(&mut self, other: Self) {
        let duration = self.duration_in_nano_seconds.saturating_add(other.duration_in_nano_seconds);
        self.merge(other);
        self.duration_in_nano_seconds = duration;
    }

    /// Adds the results of another member of a batch: members run side by side, so the longest counts.
    pub fn merge(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.duration_in_nano_seconds = self.duration_in_nano_seconds.max(other.duration_in_nano_seconds);
        other.failures.into_iter().chain(other.others).for_each(|case| self.keep(case));
    }

    /// Cases seen.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Cases seen with this status.
    pub fn count(&self, status: TestStatus) -> u64 {
        self.counts[status as usize]
    }

    /// The duration of all cases.
    pub fn duration_in_nano_seconds(&self) -> u64 {
        self.duration_in_nano_seconds
    }

    /// The kept cases: failed ones first, else as in the files.
    pub fn cases(&self) -> impl Iterator<Item = &TestCase> {
        self.failures.iter().chain(&self.others).take(MAX_TEST_CASES)
    }

    /// The kept cases that failed.
    pub fn failures(&self) -> &[TestCase] {
        &self.failures
    }

    /// The kept cases, to be changed.
    pub(super) fn cases_mut(&mut self) -> impl Iterator<Item = &mut TestCase> {
        self.failures.iter_mut().chain(&mut self.others)
    }

    /// Whether some cases were not kept.
    pub fn truncated(&self) -> bool {
        self.total() > MAX_TEST_CASES as u64
    }

    fn keep(&mut self, case: TestCase) {
        let kept = if case.status.is_failure() { &mut self.failures } else { &mut self.others };
        if kept.len() < MAX_TEST_CASES {
            kept.push(case);
        }
    }
}

impl Extend<OpenCase> for TestResults {
    fn extend<I: IntoIterator<Item = OpenCase>>(&mut self, cases: I) {
        cases.into_iter().for_each(|open| self.push(open.finish()));
    }
}

/// A case whose message is still being read.
#[derive(Default)]
pub(super) struct OpenCase {
    pub(super) case: TestCase,
    /// What the tool says in short.
    pub(super) head: Excerpt,
    /// What it says at length: a stack trace or output.
    pub(super) body: Excerpt,
    message: Excerpt,
}

impl OpenCase {
    pub(super) fn new(file: &str, name: &str, prefix: &str, suite: &str) -> Self {
        let case = TestCase {
            test_raw_data_path: file.to_owned(),
            prefix: clip(prefix),
            name: clip(name),
            test_suite_name: clip(suite),
            ..TestCase::default()
        };
        Self { case, ..Self::default() }
    }

    /// Where the case stands; nowhere without a file and a line.
    pub(super) fn place(&mut self, file: &str, line: &str) {
        if let (false, Ok(line)) = (file.is_empty(), line.trim().parse::<u32>()) {
            // Some tools count from 0.
            self.case.place = Some(SourcePlace { file: clip(file), line: line.max(1) });
        }
    }

    /// Ends one problem of the case: its head, unless the body begins by saying it, and its body.
    pub(super) fn close_problem(&mut self) {
        let (head, body) = (self.head.take(), self.body.take());
        let (head, body) = (head.trim(), body.trim_matches(['\n', '\r']).trim_end());
        let is_repeated = body.find(head).is_some_and(|at| !body[..at].contains('\n'));
        for text in [if is_repeated { "" } else { head }, body] {
            if !text.is_empty() && !self.message.text.is_empty() {
                self.message.push("\n");
            }
            self.message.push(text);
        }
    }

    pub(super) fn finish(mut self) -> TestCase {
        self.close_problem();
        self.case.message = self.message.text;
        self.case
    }
}

/// The first [`MAX_MESSAGE`] characters of a text that comes in pieces.
#[derive(Default)]
pub(super) struct Excerpt {
    text: String,
    chars: usize,
}

impl Excerpt {
    pub(super) fn push(&mut self, piece: &str) {
        for char in piece.chars().take(MAX_MESSAGE - self.chars) {
            self.text.push(char);
            self.chars += 1;
        }
    }

    fn take(&mut self) -> String {
        std::mem::take(self).text
    }
}

fn clip(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

/// Nanoseconds of a number of seconds as tools write it: `0.123`, `1,234.5`, `1e-05`, in some locales `0,123`.
/// 0 when it is none of these.
pub(super) fn seconds(text: &str) -> u64 {
    let text = text.trim();
    let plain = match (text.matches(',').count(), text.contains('.')) {
        (0, _) => text.to_owned(),
        (1, false) => text.replace(',', "."),
        _ => text.replace(',', ""),
    };
    let seconds: f64 = plain.parse().unwrap_or(0.0);
    // `as` takes NaN and negative numbers to 0 and clamps the rest.
    (seconds * 1e9).round() as u64
}

/// Nanoseconds of .NET's `[days.]hours:minutes:seconds[.fraction]`; 0 when it is none.
pub(super) fn time_span(text: &str) -> u64 {
    let Some((hours, rest)) = text.trim().split_once(':') else { return 0 };
    let Some((minutes, rest)) = rest.split_once(':') else { return 0 };
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let whole = |text: &str| text.parse::<u64>().unwrap_or(0);
    let minutes = whole(days)
        .saturating_mul(24)
        .saturating_add(whole(hours))
        .saturating_mul(60)
        .saturating_add(whole(minutes));
    minutes.saturating_mul(60_000_000_000).saturating_add(seconds(rest))
}
