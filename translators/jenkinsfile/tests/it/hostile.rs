//! Bad input: a diagnostic, in little time, and never a panic.

use std::time::{Duration, Instant};

use runspan_jenkinsfile::{Context, translate};

fn fast(name: &str, source: &str) {
    let began = Instant::now();
    let translation = translate(source, &Context::default());
    let took = began.elapsed();
    // What is built for use takes a twentieth; the machine may be busy besides.
    assert!(took < Duration::from_secs(40), "{name} took {took:?}");
    for diagnostic in &translation.diagnostics {
        assert!(diagnostic.span.is_none_or(|span| span.end <= source.len()), "{name}");
    }
}

#[test]
fn deep_and_long_input_ends() {
    let deep = 20_000;
    for (name, source) in [
        ("parens", "(".repeat(deep)),
        ("balanced parens", "(".repeat(deep) + "1" + &")".repeat(deep)),
        ("brackets", "[".repeat(deep)),
        ("braces", "a {".repeat(deep)),
        ("strings", "\"${".repeat(deep)),
        ("sum", "1+".repeat(deep) + "1"),
        ("members", "a".to_owned() + &".b".repeat(deep)),
        ("calls", "a".to_owned() + &"()".repeat(deep)),
        ("not", "!".repeat(deep) + "a"),
        ("minus", "- ".repeat(deep) + "a"),
        ("ternary", "a?b:".repeat(deep) + "c"),
        ("elvis", "a?:".repeat(deep) + "c"),
        ("assignments", "a=".repeat(deep) + "b"),
        ("commands", "a b ".repeat(deep)),
        ("casts", "(A)".repeat(deep) + "b"),
        ("else if", "if(a){} else ".repeat(deep) + "b"),
        ("maps", "[a:".repeat(deep)),
        ("labels", "a:".repeat(deep)),
        ("generics", "A<".repeat(deep)),
        ("path in a string", "\"$a".to_owned() + &".b".repeat(deep) + "\""),
        ("slashes", "a = \\/".repeat(deep)),
        ("faults", "'\n".repeat(deep)),
        ("closing", "}".repeat(deep)),
        ("arrows", "{ a, b, ".repeat(deep)),
        ("statements", "sh 'a'\n".repeat(deep / 4)),
        (
            "stages",
            format!(
                "pipeline {{\nagent any\nstages {{\n{}}}\n}}",
                (0..5_000).map(|n| format!("stage('{n}') {{ steps {{ sh 'a' }} }}\n")).collect::<String>()
            ),
        ),
        ("one line", "sh 'é'; ".repeat(deep / 5)),
        ("helpers", "def a() { b()\nb() }\ndef b() { a()\na() }\na()".into()),
        (
            "many helpers",
            (0..40).map(|n| format!("def a{n}() {{ a{}(); a{}() }}\n", n + 1, n + 1)).collect::<String>()
                + "a0()",
        ),
        (
            "values of helpers",
            (0..40).map(|n| format!("def a{n}() {{ a{}() + a{}() }}\n", n + 1, n + 1)).collect::<String>()
                + "echo a0()",
        ),
        ("quotes in quotes", "timeout(1) { echo \"'\"\n".repeat(20) + "sh \"'a'\"" + &"\n}".repeat(20)),
        ("values twice", format!("x = {}'b'", "a.trim() + readFile('f') ?: ".repeat(40))),
        ("nothing", String::new()),
        ("nul", "\0\0\0".into()),
        ("xml", "<?xml version='1.0'?><a/>".into()),
    ] {
        fast(name, &source);
    }
}

#[test]
fn every_prefix_of_a_pipeline_is_judged() {
    let source = "@Library('a') _\ndef x = /re/\npipeline {\n agent { docker { image \"a:${b.c}\" } }\n stages {\n  stage('é') {\n   when { expression { x ==~ /y/ } }\n   steps { script { for (i in [1, 2]) { sh \"\"\"a $i\n'\\n' ${i + 1}\"\"\" } } }\n  }\n }\n post { always { echo $/z/$ } }\n}\n";
    for end in (0..=source.len()).filter(|end| source.is_char_boundary(*end)) {
        drop(translate(&source[..end], &Context::default()));
        drop(translate(&source[end..], &Context::default()));
    }
}

#[test]
fn more_than_a_mebibyte_is_refused() {
    let translation = translate(&"a\n".repeat(1 << 20), &Context::default());
    assert!(translation.jobs.is_empty());
    assert_eq!(
        translation.diagnostics[0].message,
        "the script has 2097152 bytes, the limit is 1048576 bytes (1 MiB)"
    );
}
