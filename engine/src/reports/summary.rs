//! The reports as text, for the end of the log.

use std::fmt::Write;
use std::iter::once;

use unicode_width::UnicodeWidthStr;

use super::{Counts, FileReport, Report, ReportStatus, TestCase, TestStatus};

const WIDTH: usize = 80;
/// Failing tests shown; the report files have the others.
const MAX_FAILING: usize = 10;
/// Lines of each message.
const MAX_MESSAGE_LINES: usize = 3;
/// Unreadable files shown.
const MAX_PROBLEMS: usize = 5;

/// A table of every report, the failing tests and the files that could not be read: plain text, no line wider than
/// 80 columns. Empty without reports.
pub fn summary(reports: &[Report]) -> String {
    let mut text = String::new();
    tests_table(&mut text, reports);
    coverage_table(&mut text, reports);
    failing(&mut text, reports);
    problems(&mut text, reports);
    text
}

fn tests_table(text: &mut String, reports: &[Report]) {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut any_unknown = false;
    for report in reports {
        let FileReport::Tests(tests) = &report.results else { continue };
        any_unknown |= tests.count(TestStatus::Unknown) > 0;
        let count = |status| tests.count(status).to_string();
        rows.push(vec![
            plain(report.group.name()).replace('\n', " "),
            count(TestStatus::Succeeded),
            count(TestStatus::Failed),
            count(TestStatus::Error),
            count(TestStatus::Skipped),
            count(TestStatus::Unknown),
            duration(tests.duration_in_nano_seconds()),
            report.status.name().to_owned(),
        ]);
    }
    let mut header =
        vec!["Test report", "passed", "failed", "error", "skipped", "unknown", "duration", "status"];
    if !any_unknown {
        header.remove(5);
        rows.iter_mut().for_each(|row| drop(row.remove(5)));
    }
    table(text, &header, &rows);
}

fn coverage_table(text: &mut String, reports: &[Report]) {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for report in reports {
        let FileReport::Coverage(coverage) = &report.results else { continue };
        let sum = coverage.summary();
        rows.push(vec![
            plain(report.group.name()).replace('\n', " "),
            share(sum.lines),
            share(sum.branches),
            coverage.files().len().to_string(),
            report.status.name().to_owned(),
        ]);
    }
    table(text, &["Coverage report", "lines", "branches", "files", "status"], &rows);
}

/// Columns as wide as their content, but the first, which gives way; numbers to the right.
fn table(text: &mut String, header: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    let header: Vec<String> = header.iter().map(|&cell| cell.to_owned()).collect();
    let all = || once(&header).chain(rows);
    let mut widths: Vec<usize> = vec![0; header.len()];
    for row in all() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let others: usize = widths.iter().skip(1).map(|width| width + 2).sum();
    widths[0] = widths[0].min(WIDTH.saturating_sub(others));
    paragraph(text);
    for row in all() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let cell = fit(cell, *width);
            let pad = " ".repeat(width.saturating_sub(cell.width()));
            let is_text = column == 0 || column == row.len() - 1;
            line += if column > 0 { "  " } else { "" };
            line += &if is_text { cell + &pad } else { pad + &cell };
        }
        // Absurd counts leave no room even for the first column.
        let _ = writeln!(text, "{}", fit(line.trim_end(), WIDTH));
    }
}

fn failing(text: &mut String, reports: &[Report]) {
    let tests = || {
        reports.iter().filter_map(|report| match &report.results {
            FileReport::Tests(tests) => Some(tests),
            FileReport::Coverage(_) => None,
        })
    };
    let total: u64 =
        tests().map(|tests| tests.count(TestStatus::Failed) + tests.count(TestStatus::Error)).sum();
    if total == 0 {
        return;
    }
    paragraph(text);
    if total <= MAX_FAILING as u64 {
        text.push_str("Failing tests:\n");
    } else {
        let _ = writeln!(text, "Failing tests (the first {MAX_FAILING} of {total}):");
    }
    let cases = tests().flat_map(|tests| tests.failures()).take(MAX_FAILING);
    cases.for_each(|case| failing_case(text, case));
}

fn failing_case(text: &mut String, case: &TestCase) {
    line(text, 2, &format!("{} {}", case.status.name(), case.name));
    let place = [("", &case.prefix), ("suite ", &case.test_suite_name), ("", &case.test_raw_data_path)];
    let place: Vec<String> = place
        .iter()
        .filter(|(_, part)| !part.is_empty())
        .map(|(label, part)| format!("{label}{part}"))
        .collect();
    line(text, 4, &place.join(", "));
    let message = plain(&case.message);
    let message_lines = message.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    message_lines.take(MAX_MESSAGE_LINES).for_each(|message_line| line(text, 6, message_line));
}

fn problems(text: &mut String, reports: &[Report]) {
    let mut lines: Vec<String> = Vec::new();
    for report in reports {
        lines.extend(report.problems.iter().map(ToString::to_string));
        if report.problems.is_empty() && report.status == ReportStatus::Incomplete {
            lines.push(format!("{}: no report file was found", report.group.name()));
        }
    }
    if lines.is_empty() {
        return;
    }
    paragraph(text);
    text.push_str("Incomplete reports:\n");
    for problem in lines.iter().take(MAX_PROBLEMS) {
        wrap(text, 2, &plain(problem));
    }
    if lines.len() > MAX_PROBLEMS {
        let _ = writeln!(text, "  ... and {} more", lines.len() - MAX_PROBLEMS);
    }
}

fn paragraph(text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
}

/// One line, cut to the width.
fn line(text: &mut String, indent: usize, content: &str) {
    let content = plain(content).replace('\n', " ");
    let _ = writeln!(text, "{:indent$}{}", "", fit(content.trim_end(), WIDTH - indent));
}

/// Words on as many lines as they need.
fn wrap(text: &mut String, indent: usize, content: &str) {
    let mut row = String::new();
    for word in content.split_whitespace() {
        if !row.is_empty() && row.width() + 1 + word.width() > WIDTH - indent {
            line(text, indent, &std::mem::take(&mut row));
        }
        if !row.is_empty() {
            row.push(' ');
        }
        row += word;
    }
    line(text, indent, &row);
}

/// At most `width` columns; what is cut ends in three dots.
fn fit(content: &str, width: usize) -> String {
    if content.width() <= width {
        return content.to_owned();
    }
    let room = width.saturating_sub(3);
    let mut cut = String::new();
    for char in content.chars() {
        cut.push(char);
        // Of the whole text, for a character may change the width of the one before it.
        if cut.width() > room {
            cut.pop();
            break;
        }
    }
    cut + &"..."[..width.min(3)]
}

/// Without colours, cursor movements and other control characters; tabs become spaces.
fn plain(content: &str) -> String {
    // pytest's way of writing ESC in XML.
    let content = content.replace("#x1B[", "\u{1b}[");
    let mut text = String::new();
    let mut chars = content.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\u{1b}' => {
                if chars.next_if_eq(&'[').is_some() {
                    // The sequence ends with its first letter.
                    let _ = chars.by_ref().find(|c| ('@'..='~').contains(c));
                }
            }
            '\n' => text.push('\n'),
            '\t' => text.push_str("    "),
            char if char.is_control() => {}
            char => text.push(char),
        }
    }
    text
}

fn share(counts: Counts) -> String {
    match counts.percentage() {
        Some(percentage) => {
            let total = counts.covered.saturating_add(counts.missed);
            format!("{percentage:.2}% ({}/{total})", counts.covered)
        }
        None => "-".to_owned(),
    }
}

fn duration(nanoseconds: u64) -> String {
    let seconds = nanoseconds as f64 / 1e9;
    if seconds < 60.0 {
        return format!("{seconds:.2}s");
    }
    let whole = nanoseconds / 1_000_000_000;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours == 0 {
        format!("{minutes}m{seconds:02}s")
    } else {
        format!("{hours}h{minutes:02}m{seconds:02}s")
    }
}
