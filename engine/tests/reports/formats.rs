use runspan_buildspec::ReportFormat;
use runspan_engine::reports::{SourcePlace, TestCase, TestResults};

use crate::{coverage_of, junit, sample, tests_of};

fn tests(format: ReportFormat, name: &str) -> TestResults {
    tests_of(format, &sample(name)).unwrap()
}

/// One line a case: `STATUS suite|prefix|name nanoseconds`.
fn rows(tests: &TestResults) -> Vec<String> {
    let row = |c: &TestCase| {
        let (status, duration) = (c.status.name(), c.duration_in_nano_seconds);
        format!("{status} {}|{}|{} {duration}", c.test_suite_name, c.prefix, c.name)
    };
    tests.cases().map(row).collect()
}

fn message<'a>(tests: &'a TestResults, name: &str) -> &'a str {
    let case = tests.cases().find(|case| case.name == name);
    &case.unwrap_or_else(|| panic!("no case {name}")).message
}

#[test]
fn pytest() {
    let tests = tests(ReportFormat::JunitXml, "pytest.xml");
    assert_eq!(
        rows(&tests),
        [
            "FAILED pytest|tests.test_calc|test_bad 2000000",
            "ERROR pytest|tests.test_calc|test_err 1000000",
            "FAILED pytest|tests.test_calc.TestU|test_u 4000000",
            "SUCCEEDED pytest|tests.test_calc|test_ok 1000000",
            "SKIPPED pytest|tests.test_calc|test_skip 0",
            "SKIPPED pytest|tests.test_calc|test_xfail 1000000",
            "SUCCEEDED pytest|tests.test_calc.TestU|test_p[ü☃] 1000000",
        ]
    );
    let bad = message(&tests, "test_bad");
    assert!(bad.starts_with("AssertionError: custom <msg> & #x1B[31mred#x1B[0m\nassert {'x': 1}"), "{bad}");
    assert!(bad.ends_with("test_calc.py:5: AssertionError"), "{bad}");
    let unit = message(&tests, "test_u");
    assert!(unit.starts_with("AssertionError: 1 != 2\nself = "), "what failed comes first: {unit}");
    let err = message(&tests, "test_err");
    assert!(err.starts_with("failed on setup with \"RuntimeError: setup broke\"\n@pytest.fixture"), "{err}");
    assert_eq!(message(&tests, "test_xfail"), "bug 1");
    assert_eq!(message(&tests, "test_p[ü☃]"), "", "output of a passed test is no message");
}

#[test]
fn surefire_has_no_testsuites_and_thousands_separators() {
    let tests = tests(ReportFormat::JunitXml, "surefire.xml");
    let suite = "com.example.CalculatorTest|com.example.CalculatorTest";
    assert_eq!(
        rows(&tests),
        [
            format!("FAILED {suite}|subtracts 11000000"),
            format!("ERROR {suite}|divides 100000000"),
            format!("SUCCEEDED {suite}|adds 1234500000000"),
            format!("SKIPPED {suite}|later 0"),
        ]
    );
    assert_eq!(
        message(&tests, "subtracts"),
        "org.opentest4j.AssertionFailedError: expected: <1> but was: <2>\n\tat \
         com.example.CalculatorTest.subtracts(CalculatorTest.java:21)",
        "the body says what the attribute says"
    );
    assert_eq!(tests.duration_in_nano_seconds(), 1_234_611_000_000);
}

#[test]
fn jest_go_and_node() {
    let jest = tests(ReportFormat::JunitXml, "jest.xml");
    assert_eq!(
        rows(&jest),
        [
            "FAILED outer|outer inner bad|outer inner bad 8000000",
            "ERROR undefined|Test suite failed to run|Test suite failed to run 0",
            "SUCCEEDED outer|outer inner ok|outer inner ok 2000000",
            "SKIPPED outer|outer inner skipped|outer inner skipped 0",
        ]
    );
    assert!(message(&jest, "outer inner bad").ends_with("at new Promise (<anonymous>)"));

    let go = tests(ReportFormat::JunitXml, "go-junit.xml");
    assert_eq!(
        rows(&go),
        [
            "FAILED example.com/m|example.com/m|TestBad 0",
            "FAILED example.com/m|example.com/m|TestBad/sub/x 0",
            "SUCCEEDED example.com/m|example.com/m|TestOK 120000000",
            "SKIPPED example.com/m|example.com/m|TestSkip 0",
        ]
    );
    assert_eq!(message(&go, "TestBad"), "Failed");
    assert_eq!(message(&go, "TestBad/sub/x"), "Failed\n    a_test.go:4: got 1 <want> 2");

    let node = tests(ReportFormat::JunitXml, "node-test.xml");
    assert_eq!(
        rows(&node),
        [
            "FAILED outer|test|b 823000",
            "FAILED |test|top 131000",
            "SUCCEEDED outer|test|a 607000",
            "SKIPPED inner|test|c 164000",
            "SUCCEEDED outer|test|after inner 100000",
        ],
        "nested suites, and a case without any"
    );
}

#[test]
fn gtest_marks_disabled_tests_by_attribute_and_fails_several_times() {
    let tests = tests(ReportFormat::JunitXml, "gtest.xml");
    assert_eq!(
        rows(&tests),
        [
            "FAILED SumTest|SumTest|Fails 0",
            "SUCCEEDED SumTest|SumTest|Adds 1000000",
            "SKIPPED SumTest|SumTest|DISABLED_Later 0",
            "SKIPPED SumTest|SumTest|Skips 0",
        ]
    );
    assert_eq!(
        message(&tests, "Fails"),
        "sum_test.cc:8\nExpected equality of these values:\n  1\n  2\nsum_test.cc:9\nFailed"
    );
}

#[test]
fn junit_details() {
    let both = junit(
        "<testsuite><testcase name='t'><error message='e'/><failure message='f'/></testcase></testsuite>",
    );
    assert_eq!(rows(&both), ["ERROR ||t 0"], "the worse of two");
    assert_eq!(message(&both, "t"), "e\nf");
    let suite = junit(
        "<testsuites><testsuite name='s'><error type='Boom'>no set-up</error></testsuite></testsuites>",
    );
    assert_eq!(rows(&suite), ["ERROR s||s 0"], "a suite's own error is not lost");
    assert_eq!(message(&suite, "s"), "Boom\nno set-up");
    let nameless = junit("<testsuite><testcase classname='C'/></testsuite>");
    assert_eq!(rows(&nameless), ["SUCCEEDED |C|C 0"]);
    assert_eq!(junit("<testsuites/>").total(), 0);
    let placed =
        |of: &str| junit(&format!("<testsuite><testcase name='t' {of}><failure/></testcase></testsuite>"));
    let place = |of: &str| placed(of).failures()[0].place.clone();
    let at = |file: &str, line| Some(SourcePlace { file: file.into(), line });
    assert_eq!(place("file='a/b.py' line='7'"), at("a/b.py", 7));
    assert_eq!(place("file='a' line='0'"), at("a", 1), "some count from 0");
    assert_eq!((place("file='a'"), place("line='7'"), place("file='' line='7'")), (None, None, None));
    let prefixed = junit("<j:testsuite xmlns:j='x'><j:testcase name='t'/></j:testsuite>");
    assert_eq!(rows(&prefixed), ["SUCCEEDED ||t 0"]);
    for (time, nanoseconds) in [
        ("1e-05", 10_000),
        ("0,25", 250_000_000),
        ("1,234,567", 1_234_567_000_000_000),
        ("-1", 0),
        ("NaN", 0),
        ("x", 0),
    ] {
        let tests = junit(&format!("<testsuite><testcase name='t' time='{time}'/></testsuite>"));
        assert_eq!(tests.duration_in_nano_seconds(), nanoseconds, "{time}");
    }
}

#[test]
fn nunit_2_and_3_agree() {
    let two = tests(ReportFormat::NunitXml, "nunit2.xml");
    assert_eq!(
        rows(&two),
        [
            "FAILED SumTests|Calc.Tests.SumTests|Fails 10000000",
            "ERROR SumTests|Calc.Tests.SumTests|Throws 1000000",
            "SUCCEEDED SumTests|Calc.Tests.SumTests|Adds 16000000",
            "SKIPPED SumTests|Calc.Tests.SumTests|Later 0",
            "UNKNOWN SumTests|Calc.Tests.SumTests|Rows(1.5,\"a.b\") 1000000",
        ]
    );
    let three = tests(ReportFormat::Nunit3Xml, "nunit3.xml");
    assert_eq!(
        rows(&three),
        [
            "FAILED SumTests|Calc.Tests.SumTests|Fails 20000000",
            "ERROR SumTests|Calc.Tests.SumTests|Throws 1000000",
            "SUCCEEDED SumTests|Calc.Tests.SumTests|Adds 13500000",
            "SKIPPED SumTests|Calc.Tests.SumTests|Later 100000",
            "UNKNOWN SumTests|Calc.Tests.SumTests|Rows(1.5,\"a.b\") 300000",
        ]
    );
    for tests in [&two, &three] {
        let fails = message(tests, "Fails");
        assert!(fails.starts_with("Expected: 3\n  But was:  4\n"), "{fails}");
        assert!(fails.ends_with("SumTests.cs:line 12"), "{fails}");
        assert_eq!(message(tests, "Later"), "not yet");
    }
}

#[test]
fn nunit_2_before_it_had_results() {
    let text = "<test-results><test-case name='a' executed='True' success='True'/>\
                <test-case name='b' executed='True' success='False'/><test-case name='c' executed='False'/></test-results>";
    let tests = tests_of(ReportFormat::NunitXml, text.as_bytes()).unwrap();
    assert_eq!(rows(&tests), ["FAILED ||b 0", "SUCCEEDED ||a 0", "SKIPPED ||c 0"]);
}

#[test]
fn testng_has_a_dtd_and_configuration_methods() {
    let tests = tests(ReportFormat::TestNgXml, "testng.xml");
    assert_eq!(
        rows(&tests),
        [
            "FAILED Nightly|com.example.SumTest|fails 7000000",
            "SUCCEEDED Nightly|com.example.SumTest|adds 12000000",
            "SKIPPED Nightly|com.example.SumTest|later 0",
            "SUCCEEDED Nightly|com.example.OtherTest|works 1000000",
        ]
    );
    assert_eq!(
        message(&tests, "fails").trim_start(),
        "java.lang.AssertionError: expected [3] but found [4]\n\tat org.testng.Assert.fail(Assert.java:99)"
    );
}

#[test]
fn cucumber() {
    let js = tests(ReportFormat::CucumberJson, "cucumber-js.json");
    assert_eq!(
        rows(&js),
        [
            "FAILED Sums|features/sums.feature|bad \"one\" 500",
            "FAILED Sums|features/sums.feature|undefined one 0",
            "SUCCEEDED Sums|features/sums.feature|good 3000000",
            "SKIPPED Sums|features/sums.feature|pending one 0",
        ]
    );
    let bad = message(&js, "bad \"one\"");
    assert!(bad.starts_with("Then I get 4: failed\nError: got 3\n    at World"), "{bad}");
    assert_eq!(message(&js, "undefined one"), "Then nothing known: undefined");

    let jvm = tests(ReportFormat::CucumberJson, "cucumber-jvm.json");
    assert_eq!(
        rows(&jvm),
        [
            "FAILED Sums|classpath:sums.feature|adds 7000000",
            "SUCCEEDED Sums|classpath:sums.feature|stands alone 1",
        ],
        "a background belongs to the scenario after it"
    );
    assert!(message(&jvm, "adds").starts_with("Given the power is on: failed\njava.lang.IllegalState"));
    assert_eq!(tests_of(ReportFormat::CucumberJson, b"[]").unwrap().total(), 0);
}

#[test]
fn trx_takes_classes_from_the_definitions() {
    let tests = tests(ReportFormat::VisualStudioTrx, "mstest.trx");
    let run = "build@HOST 2026-01-01 00:00:00";
    assert_eq!(
        rows(&tests),
        [
            format!("FAILED {run}|Calc.Tests.SumTests|Fails 12345600"),
            format!("FAILED {run}||Rows 86401000000000"),
            format!("ERROR {run}||Hangs 0"),
            format!("SUCCEEDED {run}|Calc.Tests.SumTests|Adds 1500000000"),
            format!("SKIPPED {run}|Calc.Tests.SumTests|Later 0"),
            format!("UNKNOWN {run}||Unsure 0"),
        ]
    );
    assert!(message(&tests, "Fails").starts_with("Assert.AreEqual failed. Expected:<3>. Actual:<4>.\n   at"));
    assert_eq!(message(&tests, "Rows"), "row 2 is wrong");
}

/// One line a file: `path lines/total branches/total`.
fn files(format: ReportFormat, name: &str) -> Vec<String> {
    let coverage = coverage_of(format, name);
    let row = coverage.files().iter().map(|(path, file)| {
        let (l, b) = (file.lines, file.branches);
        format!("{path} {}/{} {}/{}", l.covered, l.covered + l.missed, b.covered, b.covered + b.missed)
    });
    row.collect()
}

#[test]
fn coverage_formats() {
    assert_eq!(
        files(ReportFormat::JacocoXml, "jacoco.xml"),
        ["com/example/Empty.java 0/0 0/0", "com/example/Sum.java 3/4 1/2", "org/other/Deep.kt 0/4 0/0"]
    );
    assert_eq!(
        files(ReportFormat::CoberturaXml, "cobertura.xml"),
        ["Outer.java 2/3 2/2", "calc.py 3/4 1/2", "empty/__init__.py 0/0 0/0"],
        "classes of one file come together, methods do not count twice"
    );
    assert_eq!(files(ReportFormat::CloverXml, "clover-istanbul.xml"), ["/src/lib/sum.js 4/5 1/2"]);
    assert_eq!(
        files(ReportFormat::CloverXml, "clover-phpunit.xml"),
        ["/src/NoMetrics.php 1/1 1/2", "/src/Sum.php 3/4 0/0"],
        "a file's own metrics, or else its lines"
    );
    assert_eq!(
        files(ReportFormat::SimpleCov, "simplecov.resultset.json"),
        ["/src/lib/old.rb 1/2 0/0", "/src/lib/sum.rb 2/3 1/2"],
        "the commands' hits add up"
    );
}
