use runspan_buildspec::ReportFormat;
use runspan_engine::reports::{DISCOVER_BYTES, ReportGroup, discover, may_be_report};

use crate::{SAMPLES, execution, sample};

#[test]
fn every_sample_is_recognised_by_its_first_bytes() {
    for (name, format) in SAMPLES {
        let bytes = sample(name);
        let head = &bytes[..bytes.len().min(600)];
        let file = if name == "simplecov.resultset.json" { "coverage/.resultset.json" } else { name };
        assert_eq!(discover(file, head), Some(format), "{name}");
        assert_eq!(discover(file, &bytes), Some(format), "{name}");
        let utf16 =
            String::from_utf8(bytes).unwrap().encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        assert_eq!(
            discover(file, &utf16[..utf16.len().min(DISCOVER_BYTES)]),
            Some(format),
            "{name} as UTF-16"
        );
    }
}

#[test]
fn other_files_are_not_reports() {
    let others: [(&str, &[u8]); 11] = [
        ("pom.xml", b"<project xmlns='http://maven.apache.org/POM/4.0.0'>"),
        ("report.xml", b"<report><title>Sales</title></report>"),
        ("coverage.xml", b"<coverage plan='gold'/>"),
        ("package.json", b"{\"name\": \"coverage\", \"keyword\": 1}"),
        ("list.json", b"[{\"uri\": \"x\"}]"),
        ("coverage.json", b"{\"RSpec\": {\"coverage\": {}}}"),
        ("empty.xml", b""),
        ("junit.html", b"<testsuites/>"),
        ("testsuite", b"<testsuite/>"),
        ("a.xml", b"<!DOCTYPE x [ <!ENTITY"),
        ("suites.xml", b"<testsuitesx/>"),
    ];
    for (name, bytes) in others {
        assert_eq!(discover(name, bytes), None, "{name}");
    }
    assert!(may_be_report("a/TEST-x.XML") && !may_be_report("a.xml/readme"));
}

#[test]
fn prologs_are_passed_over() {
    let text =
        b"<?xml version='1.0'?>\n<!-- <html> -->\n<!DOCTYPE testsuite [\n<!ENTITY a '>'>\n]>\n<testsuite/>";
    assert_eq!(discover("r.xml", text), Some(ReportFormat::JunitXml));
}

#[test]
fn the_group_is_named_after_the_format() {
    let group = ReportGroup::auto_discovered(&execution(), ReportFormat::JunitXml);
    assert_eq!(group.name(), "shop-JUNITXML-AutoDiscovered");
}
