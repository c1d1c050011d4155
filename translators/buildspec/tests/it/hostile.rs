//! Files made to hurt: each gets one clear error.

use runspan_buildspec::{Code, parse, parse_bytes};

fn only(source: &str) -> (Code, String) {
    let parsed = parse(source);
    assert_eq!(parsed.buildspec, None);
    let [diagnostic] = parsed.diagnostics.as_slice() else { panic!("{:?}", parsed.diagnostics) };
    (diagnostic.code, diagnostic.message.clone())
}

#[test]
fn too_much_is_refused() {
    let alias_bomb = (1..10).fold(String::from("version: 0.2\na0: &a0 x\n"), |text, level| {
        let alias = format!("*a{}", level - 1);
        format!("{text}a{level}: &a{level} [{}]\n", vec![alias; 10].join(","))
    });
    let merge_bomb = (1..40).fold(String::from("version: 0.2\na0: &a0 {x: 1}\n"), |text, level| {
        let alias = format!("*a{}", level - 1);
        format!("{text}a{level}: &a{level}\n  <<: [{}]\n", vec![alias; 4].join(","))
    });
    let anchor = format!("version: 0.2\na: &a {}\nb:\n{}", "y".repeat(100_000), "  - *a\n".repeat(20_000));
    let deep_block: String = (0..1_000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    for source in [
        alias_bomb,
        merge_bomb,
        anchor,
        format!("version: 0.2\nx: {}", "y".repeat(10 << 20)),
        format!("version: 0.2\nx: {}", "[".repeat(10_000)),
        format!("version: 0.2\nx: {}{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("version: 0.2\nx: {}", "{a: ".repeat(10_000)),
        "- ".repeat(10_000),
        "? ".repeat(10_000),
        deep_block,
        format!("version: 0.2\nx: [{}]", "a,".repeat(400_000)),
        "a: 1\n".repeat(60_000),
    ] {
        let (code, message) = only(&source);
        assert_eq!(code, Code::YamlLimit, "{message}");
    }
}

#[test]
fn the_deepest_allowed_file_does_not_overflow_a_small_stack() {
    let source = format!("version: 0.2\nphases: {{}}\nx: {}{}", "[".repeat(23), "]".repeat(23));
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let parsed = small.spawn(move || parse(&source)).unwrap().join().unwrap();
    assert!(parsed.buildspec.is_some(), "{:?}", parsed.diagnostics);
}

#[test]
fn the_longest_allowed_text_is_read() {
    let command = "y".repeat(1_000_000);
    let parsed = parse(&format!("version: 0.2\nphases:\n  build:\n    commands:\n      - {command}\n"));
    assert_eq!(parsed.diagnostics, []);
}

#[test]
fn long_comments_are_no_fault() {
    let source = format!(
        "version: 0.2\nphases:\n  build:\n    commands:\n{}      - a\n",
        "      # c\n".repeat(10_000)
    );
    assert_eq!(parse(&source).diagnostics, []);
}

#[test]
fn what_is_no_text_is_told_where() {
    let nul = parse("version: 0.2\nphases:\n  build:\n    commands:\n      - a\0b\n");
    assert_eq!(nul.diagnostics[0].to_string(), "5:10: error[not-text]: control character U+0000 in the file");
    let latin = parse_bytes(b"version: 0.2\nphases:\n  build:\n    commands:\n      - \xe9t\xe9\n");
    assert_eq!(latin.diagnostics[0].to_string(), "5:9: error[not-text]: the file is not UTF-8 text");
    assert_eq!(latin.diagnostics[0].codebuild_message(), "invalid trailing UTF-8 octet");
    let wide: Vec<u8> = "\u{feff}version: 0.2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = parse_bytes(&wide);
    assert_eq!(wide.diagnostics[0].help.as_deref(), Some("the file is UTF-16: save it as UTF-8"));
}

#[test]
fn yaml_that_bites_its_tail_is_refused() {
    for source in ["x: &x [*x]\n", "x: &x\n  <<: *x\n", "x: *y\n", "x: &x {a: *x}\n"] {
        assert_eq!(only(source).0, Code::YamlSyntax, "{source}");
    }
}

#[test]
fn a_flood_of_diagnostics_is_cut_and_said_so() {
    let duplicates = parse(&format!("version: 0.2\n{}", "a: 1\n".repeat(20_000)));
    assert_eq!(duplicates.diagnostics.len(), 101);
    assert_eq!(
        duplicates.diagnostics[100].to_string(),
        "warning[more-diagnostics]: 19899 more diagnostics of this file"
    );

    let unknown: String = (0..20_000).map(|n| format!("k{n}: 1\n")).collect();
    let unknown = parse(&format!("{unknown}version: 0.3\n"));
    assert_eq!(unknown.diagnostics.len(), 101);
    assert_eq!(unknown.buildspec, None);
    assert!(unknown.diagnostics.iter().any(|diagnostic| diagnostic.code == Code::InvalidValue));

    let graph: String =
        (0..8_000).map(|n| format!("    - {{identifier: b{n}, depend-on: [c{n}]}}\n")).collect();
    let graph = parse(&format!("version: 0.2\nbatch:\n  build-graph:\n{graph}"));
    assert_eq!(graph.diagnostics.len(), 101);
}
