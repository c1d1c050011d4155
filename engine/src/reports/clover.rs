//! CLOVERXML: `coverage/project//file/metrics`: statements are the lines, conditionals the branches.

use super::source::Source;
use super::xml::{Node, Xml};
use super::{CodeCoverage, Counts, Coverage, ReportError};

pub(super) fn parse(source: &Source<'_>) -> Result<Coverage, ReportError> {
    let mut xml = Xml::new(source, &["coverage"]);
    let mut coverage = Coverage::default();
    let mut path = String::new();
    let mut metrics: Option<CodeCoverage> = None;
    let mut counted = CodeCoverage::default();

    while let Some(node) = xml.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "file" => {
                    let name = element.attr("path").unwrap_or_else(|| element.text("name"));
                    (path, metrics, counted) = (name.into_owned(), None, CodeCoverage::default());
                }
                // Classes and packages have metrics of their own.
                "metrics" if xml.parent() == "file" => {
                    metrics = Some(CodeCoverage {
                        lines: Counts::of(element.count("coveredstatements"), element.count("statements")),
                        branches: Counts::of(
                            element.count("coveredconditionals"),
                            element.count("conditionals"),
                        ),
                    });
                }
                "line" => match element.text("type").as_ref() {
                    "stmt" => counted.lines += Counts::of(u64::from(element.count("count") > 0), 1),
                    "cond" => {
                        for side in ["truecount", "falsecount"] {
                            counted.branches += Counts::of(u64::from(element.count(side) > 0), 1);
                        }
                    }
                    _ => {}
                },
                _ => {}
            },
            // Clover lists the tests' own sources under `testproject`.
            Node::End(name) if name == "file" && !xml.inside("testproject") => {
                coverage.insert(std::mem::take(&mut path), metrics.unwrap_or(counted));
            }
            Node::End(_) | Node::Text(_) => {}
        }
    }
    Ok(coverage)
}
