use runspan_buildspec::ReportFormat;
use runspan_engine::reports::summary;
use unicode_width::UnicodeWidthStr;

use crate::report::{report, report_of};

#[test]
fn tables_failing_tests_and_broken_files() {
    let text = summary(&[
        report("unit", &["pytest.xml", "surefire.xml"]),
        report("features", &["cucumber-js.json"]),
        report("coverage", &["cobertura.xml"]),
        report_of("broken", ReportFormat::Nunit3Xml, &["<test-run>"]),
        report_of("absent", ReportFormat::CloverXml, &[]),
    ]);
    let expected = "\
Test report    passed  failed  error  skipped  duration  status
shop-unit           3       3      2        3    20m34s  FAILED
shop-features       1       2      0        1     0.00s  FAILED
shop-broken         0       0      0        0     0.00s  INCOMPLETE

Coverage report         lines      branches  files  status
shop-coverage    71.43% (5/7)  75.00% (3/4)      3  SUCCEEDED
shop-absent                 -             -      0  INCOMPLETE

Failing tests:
";
    assert!(text.starts_with(expected), "{text}");
    let failing = "  \
  FAILED test_bad
    tests.test_calc, suite pytest, pytest.xml
      AssertionError: custom <msg> & red
      assert {'x': 1} == {'x': 2}
      def test_bad():
";
    assert!(text.contains(failing.trim_start()), "{text}");
    let broken = "\
Incomplete reports:
  out/r.xml: the file ends at line 1, byte 10, inside <test-run>: the test tool
  was stopped before it finished writing
  shop-absent: no report file was found
";
    assert!(text.ends_with(broken), "{text}");
    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
}

#[test]
fn never_wider_than_80_columns_and_never_long() {
    let mut xml = String::from("<testsuite name='日本語のスイート'>");
    for number in 0..40 {
        let long = "とても長い名前".repeat(20);
        xml += &format!(
            "<testcase name='{number} {long}' classname='{long}'><failure>\u{1b}[31mred\u{1b}[0m\tline one {long}\n\n\
             two\r\nthree\nfour</failure></testcase>"
        );
    }
    xml += "<testcase name='?' result='failed' time='100000'/></testsuite>";
    let group = "a-very-long-report-group-name-that-nobody-should-have-chosen-but-somebody-has";
    let inconclusive = "<test-run><test-case name='i' result='Inconclusive'/></test-run>";
    let text = summary(&[
        report_of(group, ReportFormat::JunitXml, &[&xml]),
        report_of(group, ReportFormat::Nunit3Xml, &[inconclusive]),
        report_of(group, ReportFormat::SimpleCov, &["{\"a\": {\"coverage\": {\"x\": [1, 0]}}}"]),
    ]);
    assert_narrow(&text);
    assert!(text.contains("unknown"), "{text}");
    assert!(text.contains("27h46m40s"), "{text}");
    assert!(text.contains("Failing tests (the first 10 of 41):"), "{text}");
    assert!(text.contains("      red    line one とても"), "{text}");
    assert!(!text.contains("four"), "{text}");
    assert!(text.lines().count() < 70, "{text}");
}

#[test]
fn widths_that_defy_counting() {
    let emoji = "⚠\u{FE0F}👩\u{200D}💻e\u{301}".repeat(40);
    let failed =
        format!("<testsuite><testcase name='{emoji}'><failure>{emoji}</failure></testcase></testsuite>");
    let all = u64::MAX;
    let absurd = format!(
        "<coverage><project><file name='f'><metrics statements='{all}' coveredstatements='{all}' \
         conditionals='{all}' coveredconditionals='{all}'/></file></project></coverage>"
    );
    let clover = report_of("absurd", ReportFormat::CloverXml, &[&absurd]);
    assert_narrow(&summary(&[report_of(&emoji, ReportFormat::JunitXml, &[&failed]), clover]));
    assert_narrow(&summary(&[report_of("two\nlines", ReportFormat::JunitXml, &[&failed])]));
}

fn assert_narrow(text: &str) {
    for line in text.lines() {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
        assert!(!line.contains(|c: char| c.is_control()) && line == line.trim_end(), "{line:?}");
    }
}

#[test]
fn nothing_to_say() {
    assert_eq!(summary(&[]), "");
}
