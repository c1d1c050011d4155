//! JACOCOXML: `report//package/sourcefile/counter`.

use super::source::Source;
use super::xml::{Node, Xml};
use super::{CodeCoverage, Counts, Coverage, ReportError};

pub(super) fn parse(source: &Source<'_>) -> Result<Coverage, ReportError> {
    let mut xml = Xml::new(source, &["report"]);
    let mut coverage = Coverage::default();
    let mut package = String::new();
    let mut file = (String::new(), CodeCoverage::default());

    while let Some(node) = xml.next()? {
        match node {
            Node::Start(element) => match element.name() {
                "package" => package = element.text("name").into_owned(),
                "sourcefile" => {
                    let name = element.text("name");
                    let path =
                        if package.is_empty() { name.into_owned() } else { format!("{package}/{name}") };
                    file = (path, CodeCoverage::default());
                }
                "counter" if xml.parent() == "sourcefile" => {
                    let counts =
                        Counts { covered: element.count("covered"), missed: element.count("missed") };
                    match element.text("type").as_ref() {
                        "LINE" => file.1.lines = counts,
                        "BRANCH" => file.1.branches = counts,
                        _ => {}
                    }
                }
                _ => {}
            },
            Node::End(name) if name == "sourcefile" => coverage.insert(std::mem::take(&mut file.0), file.1),
            Node::End(_) | Node::Text(_) => {}
        }
    }
    Ok(coverage)
}
