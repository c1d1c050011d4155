//! Groovy: what is read and what is refused, with its place.

use runspan_jenkinsfile::groovy::{Arg, ExprKind, Piece, StmtKind, parse};

fn good(source: &str) -> Vec<StmtKind> {
    let parsed = parse(source);
    assert_eq!(parsed.faults, [], "{source}");
    parsed.script.into_iter().map(|stmt| stmt.kind).collect()
}

fn expr(source: &str) -> ExprKind {
    match good(source).remove(0) {
        StmtKind::Expr(expr) => expr.kind,
        other => panic!("{other:?}"),
    }
}

#[test]
fn strings_of_every_kind() {
    for (source, text) in [
        ("'a\\'b\\n'", "a'b\n"),
        ("'''a\n'b'\n'''", "a\n'b'\n"),
        ("\"a\\$b\"", "a$b"),
        ("\"\"\"a\"b\"\"\"", "a\"b"),
        ("x = /a\\/b\\d/", "a/b\\d"),
        ("x = $/a/b $$ /$", "a/b $ "),
        ("'\\u0041\\101'", "AA"),
        ("'a\\\nb'", "ab"),
    ] {
        let found = match expr(source) {
            ExprKind::Assign { value, .. } => value.kind,
            other => other,
        };
        assert_eq!(found, ExprKind::Text(text.into()), "{source}");
    }
    let ExprKind::GString(pieces) = expr("\"a ${b.c { \"${d}\" }} $e.f!\"") else { panic!() };
    assert!(matches!(
        pieces.as_slice(),
        [Piece::Text(_), Piece::Value(_), Piece::Text(_), Piece::Value(_), Piece::Text(_)]
    ));
}

#[test]
fn commands_without_parentheses() {
    let ExprKind::Call(call) = expr("junit allowEmptyResults: true,\n  testResults: 'a'") else { panic!() };
    assert_eq!((call.step(), call.args.len()), (Some("junit"), 2));
    let ExprKind::Call(call) = expr("a b c d") else { panic!() };
    assert!(call.object.is_some());
    let ExprKind::Call(call) = expr("stage('x') { y }") else { panic!() };
    assert!(call.block().is_some());
    let ExprKind::Assign { value, .. } = expr("x = sh script: 'a', returnStdout: true") else { panic!() };
    assert!(matches!(value.kind, ExprKind::Call(_)));
    let ExprKind::Call(call) = expr("parallel a: { b }, c: { d }") else { panic!() };
    assert!(call.args.iter().all(|arg| matches!(arg, Arg::Named(_))));
}

#[test]
fn statements_of_every_kind() {
    for source in [
        "#!/usr/bin/env groovy\n@Library('a') _\nimport a.b.*\nimport static a.B.c as d",
        "def a = 1, b\nString c = 'x'\nfinal int d = 3\nMap<String, List<?>> e = [:]\ndef (f, g) = [1, 2]",
        "def call(Map config = [:], String... rest) throws Exception {\n return config\n}",
        "if (a) b() else if (c) { d() }\nelse { e() }",
        "for (x in y) { z }\nfor (def i = 0; i < 3; i++) { }\nfor (String s : t) u(s)",
        "try { a } catch (B | C e) { d }\ncatch (e) { }\nfinally { f }",
        "switch (a) {\n case 'b':\n  c\n  break\n default:\n  d\n}",
        "a = b ?: c ? d : e\nf = g\n  ? h\n  : i",
        "a?.b*.c.@d\nx = a.&b\n(c, d) = e()",
        "class A extends B implements C, D {\n private final int e = 1\n A(String f) { }\n static def g() { h }\n}",
        "enum E { A, B('c'), D }",
        "x = (String) y as int\nz = new A[3]\nw = new B() { def c() { } }",
        "a.each { b, c -> d }\ne = { -> f }\ng { String h, i = 1 -> j }",
        "[a: 1, 'b': 2, (c): 3, \"${d}\": 4]\n[1, *x, 2,]\nm(*: n)",
        "a =~ /b/ && c ==~ /d/ || !e in f\n-2 ** 3 + 1..4",
        "sh(script: 'a', , returnStdout: true)",
        "a\n  .b()\n  .c { d }\n  .e",
        "x = 1_000L + 0xFFg + 1.5e3 - .5",
        "label: for (;;) { break label }",
        "assert a : 'b'\nthrow new C('d')\nreturn",
        "'quoted method'('x')\nthis.\"${a}\"(1)",
    ] {
        good(source);
    }
}

#[test]
fn division_is_no_string() {
    for source in ["a = b / c / d", "x = (a) / 2", "y = l[0] / 2", "f = g() / h()"] {
        let ExprKind::Assign { value, .. } = expr(source) else { panic!() };
        assert!(matches!(value.kind, ExprKind::Binary { op: "/", .. }), "{source}");
    }
}

/// Line, column and message of each fault.
fn faults(source: &str) -> Vec<(usize, usize, String)> {
    parse(source)
        .faults
        .into_iter()
        .map(|fault| {
            let before = &source[..fault.span.start];
            let line = before.matches('\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
            (line, column, fault.message)
        })
        .collect()
}

#[test]
fn faults_have_places_and_do_not_hide_each_other() {
    let told = faults("a = \nb(1, 2\nc {\n  'x\n}\nd = )\n");
    assert!(told.len() >= 2, "{told:?}");
    for (source, line, column, words) in [
        ("node {\n  sh 'a'\n", 1, 6, "never closed"),
        ("a\n}\nb", 2, 1, "closes nothing"),
        ("x = 'abc\ny", 1, 5, "not closed on its line"),
        ("x = \"a\\d\"", 1, 7, "not an escape"),
        ("x = \"a $ b\"", 1, 8, "must be followed"),
        ("/* abc", 1, 1, "comment is never closed"),
        ("a = 1x", 1, 5, "not a number"),
        ("a c: 1, c: 2", 1, 9, "stands twice"),
        ("try { a }", 1, 10, "`catch` or `finally`"),
        ("1 = 2", 1, 1, "nothing can be assigned"),
        ("a = \u{1}b", 1, 5, "means nothing"),
        ("x = '''a", 1, 5, "never closed"),
        ("pipeline\n{\n", 2, 1, "never closed"),
    ] {
        let told = faults(source);
        assert!(
            told.iter().any(|(l, c, message)| (*l, *c) == (line, column) && message.contains(words)),
            "{source}: {told:?}"
        );
    }
}
