//! COBERTURAXML: `coverage//class/lines/line`, the classes of one file name taken together.

use std::collections::{BTreeMap, HashMap};

use super::source::Source;
use super::xml::{Element, Node, Xml};
use super::{CodeCoverage, Counts, Coverage, ReportError};

#[derive(Default)]
struct Line {
    is_hit: bool,
    branches: Counts,
}

pub(super) fn parse(source: &Source<'_>) -> Result<Coverage, ReportError> {
    let mut xml = Xml::new(source, &["coverage"]);
    let mut files: BTreeMap<String, HashMap<u64, Line>> = BTreeMap::new();
    let mut file = String::new();

    while let Some(node) = xml.next()? {
        let Node::Start(element) = node else { continue };
        match element.name() {
            "class" => {
                file = element.text("filename").into_owned();
                files.entry(file.clone()).or_default();
            }
            // Methods repeat the lines of their class.
            "line" if xml.parent() == "lines" && xml.ancestor(2) == "class" => {
                let lines = files.entry(file.clone()).or_default();
                let line = lines.entry(element.count("number")).or_default();
                line.is_hit |= element.attr("hits").is_some_and(|hits| hits.trim() != "0");
                let branches = branches(&element);
                if branches.covered >= line.branches.covered {
                    line.branches = branches;
                }
            }
            _ => {}
        }
    }

    let mut coverage = Coverage::default();
    for (path, lines) in files {
        let mut sum = CodeCoverage::default();
        for line in lines.values() {
            sum.lines += Counts::of(u64::from(line.is_hit), 1);
            sum.branches += line.branches;
        }
        coverage.insert(path, sum);
    }
    Ok(coverage)
}

/// `condition-coverage="50% (1/2)"`.
fn branches(line: &Element<'_>) -> Counts {
    let text = line.text("condition-coverage");
    let counts = text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).and_then(|(counts, _)| {
        let (covered, total) = counts.split_once('/')?;
        Some(Counts::of(covered.trim().parse().ok()?, total.trim().parse().ok()?))
    });
    counts.unwrap_or_default()
}
