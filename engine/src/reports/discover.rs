//! Auto-discovery: which format a file has, when the buildspec names none.

use runspan_buildspec::ReportFormat;

use super::source::decode;

/// How many of a file's first bytes [`discover`] wants.
pub const DISCOVER_BYTES: usize = 4096;

/// The format of a file by its extension and first bytes; `None` when it is no report.
/// Without bytes to look at, use [`may_be_report`] first.
pub fn discover(file_name: &str, first_bytes: &[u8]) -> Option<ReportFormat> {
    let extension = extension(file_name)?;
    let text = decode(first_bytes.get(..DISCOVER_BYTES).unwrap_or(first_bytes));
    let text = text.trim_start();
    if extension.eq_ignore_ascii_case("json") { json(file_name, text) } else { xml(text) }
}

/// Whether a file's name alone allows it to be a report, so that the others need not be opened.
pub fn may_be_report(file_name: &str) -> bool {
    extension(file_name).is_some()
}

fn extension(file_name: &str) -> Option<&str> {
    let (_, extension) = file_name.rsplit_once('.')?;
    ["xml", "trx", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known)).then_some(extension)
}

fn json(file_name: &str, text: &str) -> Option<ReportFormat> {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    if name.ends_with(".resultset.json") {
        return (text.starts_with('{') && text.contains("\"coverage\"")).then_some(ReportFormat::SimpleCov);
    }
    let first = text.strip_prefix('[')?.trim_start();
    let is_feature = first.starts_with('{')
        && first.contains("\"keyword\"")
        && (first.contains("\"uri\"") || first.contains("\"elements\""));
    is_feature.then_some(ReportFormat::CucumberJson)
}

fn xml(text: &str) -> Option<ReportFormat> {
    let (prolog, root) = root(text)?;
    let end = root.find(['>', ' ', '\t', '\r', '\n', '/']).unwrap_or(root.len());
    let tag = root.split('>').next().unwrap_or(root);
    match &root[..end] {
        "testsuites" | "testsuite" => Some(ReportFormat::JunitXml),
        "test-results" => Some(ReportFormat::NunitXml),
        "test-run" => Some(ReportFormat::Nunit3Xml),
        "testng-results" => Some(ReportFormat::TestNgXml),
        "TestRun" => Some(ReportFormat::VisualStudioTrx),
        "coverage" if tag.contains("line-rate=") => Some(ReportFormat::CoberturaXml),
        "coverage" if tag.contains("generated=") || tag.contains("clover=") => Some(ReportFormat::CloverXml),
        // Many things are called "report".
        "report" if prolog.contains("JACOCO") => Some(ReportFormat::JacocoXml),
        "report" if root.contains("<sessioninfo") || root.contains("<package name=") => {
            Some(ReportFormat::JacocoXml)
        }
        _ => None,
    }
}

/// What stands before the root element, and the text from its name on.
fn root(text: &str) -> Option<(&str, &str)> {
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let end = match rest {
            _ if rest.starts_with("<?") => rest.find("?>")? + 2,
            _ if rest.starts_with("<!--") => rest.find("-->")? + 3,
            // An internal subset holds `>` of its own.
            _ if rest.starts_with("<!") => match (rest.find('['), rest.find('>')?) {
                (Some(bracket), close) if bracket < close => bracket + rest[bracket..].find("]>")? + 2,
                (_, close) => close + 1,
            },
            _ => {
                let prolog = &text[..text.len() - rest.len()];
                return rest.strip_prefix('<').map(|root| (prolog, root));
            }
        };
        rest = &rest[end..];
    }
}
