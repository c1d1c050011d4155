//! Whatever the bytes, parsers and discovery give a result and the summary keeps its width.

use proptest::prelude::*;
use runspan_buildspec::ReportFormat;
use runspan_engine::reports::{FileReport, MAX_MESSAGE, MAX_NAME, discover, parse};
use unicode_width::UnicodeWidthStr;

use crate::{SAMPLES, report, sample};

/// Pieces that make random text look like a report.
const PIECES: [&str; 24] = [
    "<testsuite name='s'>",
    "</testsuite>",
    "<testcase name=\"t\" time='1,0'>",
    "</testcase>",
    "<failure/>",
    "<error>",
    "<test-run>",
    "<test-case result='Failed'>",
    "<message>",
    "<TestRun>",
    "<Results>",
    "<UnitTestResult testId='",
    "<coverage>",
    "<class filename='f'>",
    "<lines>",
    "<line number='1' condition-coverage='9% (9/1)'/>",
    "&#x110000;",
    "&lt;",
    "&",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a [",
    "<?xml encoding=\"utf-16\"?>",
    "\u{1b}[",
];

fn check(bytes: &[u8]) {
    for format in ReportFormat::ALL {
        discover("x.xml", bytes);
        discover("x.json", bytes);
        if let Ok(FileReport::Tests(tests)) = parse(format, "x", bytes) {
            for case in tests.cases() {
                assert!(case.name.chars().count() <= MAX_NAME && case.message.chars().count() <= MAX_MESSAGE);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    #[test]
    fn random_pieces(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..30)) {
        check(pieces.concat().as_bytes());
    }

    #[test]
    fn mutated_samples(
        which in 0..SAMPLES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (name, format) = SAMPLES[which];
        let mut bytes = sample(name);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        check(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let summary = runspan_engine::reports::summary(&[report::report_of("unit", format, &[&text])]);
        for line in summary.lines() {
            prop_assert!(line.width() <= 80, "{}", line);
        }
    }
}
