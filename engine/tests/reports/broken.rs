use runspan_buildspec::ReportFormat;
use runspan_engine::reports::{MAX_MESSAGE, MAX_NAME, MAX_TEST_CASES, TestStatus, parse};

use crate::{SAMPLES, junit, sample, tests_of};

fn error(format: ReportFormat, bytes: &[u8]) -> String {
    parse(format, "out/r.xml", bytes).unwrap_err().to_string()
}

#[test]
fn encodings() {
    let xml = |encoding: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"{encoding}\"?>\n<testsuite name=\"é\"><testcase name=\"ü\"/></testsuite>"
        )
    };
    let utf16 =
        |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let text = xml("utf-16");
    let inputs: [(&str, Vec<u8>); 8] = [
        ("UTF-8", xml("UTF-8").into_bytes()),
        ("byte order mark", [b"\xEF\xBB\xBF", xml("utf-8").as_bytes()].concat()),
        ("latin1", xml("ISO-8859-1").chars().map(|c| c as u8).collect()),
        ("windows-1252", xml("windows-1252").chars().map(|c| c as u8).collect()),
        ("UTF-16LE", [vec![0xFF, 0xFE], utf16(&text, u16::to_le_bytes)].concat()),
        ("UTF-16BE", [vec![0xFE, 0xFF], utf16(&text, u16::to_be_bytes)].concat()),
        ("UTF-16 without a mark", utf16(&text, u16::to_le_bytes)),
        ("UTF-8 that calls itself UTF-16", xml("utf-16").into_bytes()),
    ];
    for (what, bytes) in inputs {
        let tests = tests_of(ReportFormat::JunitXml, &bytes).unwrap();
        let case = tests.cases().next().unwrap();
        assert_eq!((case.name.as_str(), case.test_suite_name.as_str()), ("ü", "é"), "{what}");
    }
    let stray =
        tests_of(ReportFormat::JunitXml, b"<testsuite><testcase name='a\xFFb'/></testsuite>").unwrap();
    assert_eq!(stray.cases().next().unwrap().name, "a\u{FFFD}b");
}

#[test]
fn truncated_files_name_the_place() {
    let cut = b"<testsuites>\n  <testsuite>\n    <testcase name='a'>";
    assert_eq!(
        error(ReportFormat::JunitXml, cut),
        "out/r.xml: the file ends at line 3, byte 50, inside <testcase>: the test tool was stopped before it \
         finished writing"
    );
    assert!(
        error(ReportFormat::JunitXml, b"<testsuites>\n<testcase name='a")
            .contains("line 2, byte 30, inside <testsuites>")
    );
    assert!(
        error(ReportFormat::CucumberJson, b"[\n{\"name\":")
            .contains("ends at line 2, byte 10, inside the JSON")
    );
    for (name, format) in SAMPLES {
        let bytes = sample(name);
        for cut in (1..bytes.len() - 20).step_by(bytes.len() / 40) {
            let error = error(format, &bytes[..cut]);
            let is_placed = error.contains("line ") || error.contains("no XML element");
            assert!(is_placed, "{name} cut at {cut}: {error}");
        }
    }
}

#[test]
fn malformed_and_foreign_files() {
    assert!(error(ReportFormat::JunitXml, b" \n").contains("is empty"));
    assert!(error(ReportFormat::JunitXml, b"").contains("is empty"));
    let mismatch = error(ReportFormat::JunitXml, b"<testsuite>\n<testcase name='a'>\n</testsuite>");
    assert!(mismatch.starts_with("out/r.xml: line 3, byte 32: "), "{mismatch}");
    assert_eq!(
        error(ReportFormat::JunitXml, b"<html></html>"),
        "out/r.xml: not a JUNITXML file: its root element is <html>, not <testsuites> or <testsuite>; \
         `file-format` must name what the tool writes"
    );
    assert!(error(ReportFormat::JunitXml, b"<testsuite>\n<!oops>\n</testsuite>").contains("line 2, byte "));
    assert!(error(ReportFormat::JunitXml, b"just text").contains("it has no XML element"));
    assert!(error(ReportFormat::CucumberJson, b"[\n{\"name\": nope}]").contains("line 2, byte "));
    let shape = error(ReportFormat::SimpleCov, b"{\"meta\": {\"simplecov_version\": \"0.22\"}}");
    assert!(shape.contains("not a SIMPLECOV file: missing field `coverage`"), "{shape}");
}

#[test]
fn entities_are_never_expanded() {
    let bomb = b"<?xml version='1.0'?><!DOCTYPE testsuite [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;'>\
                 <!ENTITY x SYSTEM 'file:///etc/passwd'>]>\n<testsuite><testcase name='t'><failure>&b;</failure></testcase></testsuite>";
    let text = error(ReportFormat::JunitXml, bomb);
    assert!(
        text.contains("line 2, byte ") && text.contains("the entity &b; is not one of XML's own"),
        "{text}"
    );
    let attribute = error(ReportFormat::JunitXml, b"<!DOCTYPE t [<!ENTITY x 'y'>]><testsuite name='&x;'/>");
    assert!(attribute.contains("the entity &x;"), "{attribute}");
    let unused = junit(
        "<!DOCTYPE testsuite SYSTEM 'http://localhost:1/never.dtd' [<!ENTITY x 'y'>]><testsuite><testcase name='&lt;&#65;&#x42;&gt;'/></testsuite>",
    );
    assert_eq!(unused.cases().next().unwrap().name, "<AB>");
    let deep = "<a>".repeat(100_000);
    assert!(
        error(ReportFormat::JunitXml, format!("<testsuite>{deep}").as_bytes())
            .contains("nest more than 1000")
    );
}

#[test]
fn names_and_messages_are_cut_to_characters() {
    let (name, message) = ("ü".repeat(MAX_NAME + 5), "☃".repeat(MAX_MESSAGE + 5));
    let tests = junit(&format!(
        "<testsuite><testcase name='{name}'><failure>{message}<![CDATA[more]]></failure></testcase></testsuite>"
    ));
    let case = tests.cases().next().unwrap();
    assert_eq!(case.name.chars().count(), MAX_NAME);
    assert_eq!(case.message.chars().count(), MAX_MESSAGE);
}

#[test]
fn many_cases_keep_exact_totals_and_failures_first() {
    let mut text = String::from("<testsuite name='s'>");
    for number in 0..5000 {
        let failure = if number >= 4990 { "<failure message='f'/>" } else { "" };
        text += &format!("<testcase name='t{number}' time='0.001'>{failure}</testcase>");
    }
    let tests = junit(&(text + "</testsuite>"));
    assert_eq!(tests.total(), 5000);
    assert_eq!(tests.count(TestStatus::Failed), 10);
    assert_eq!(tests.duration_in_nano_seconds(), 5_000_000_000);
    assert!(tests.truncated());
    let kept: Vec<_> = tests.cases().collect();
    assert_eq!(kept.len(), MAX_TEST_CASES);
    assert_eq!(
        (kept[0].name.as_str(), kept[9].name.as_str(), kept[10].name.as_str()),
        ("t4990", "t4999", "t0")
    );
}
