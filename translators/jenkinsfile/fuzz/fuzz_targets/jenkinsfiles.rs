//! Reading and translating a Jenkinsfile never panics, and what comes out can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runspan_buildspec::{Severity, parse, write};
use runspan_jenkinsfile::{Context, declarative, groovy, translate};

fuzz_target!(|text: &str| {
    let parsed = groovy::parse(text);
    if let Some(pipeline) = declarative::read(&parsed.script, text).pipeline {
        drop(declarative::ast_json(&pipeline, text));
        drop(declarative::validate(&pipeline));
    }
    let translation = translate(text, &Context::default());
    for note in &translation.notes {
        assert!(note.span.end <= text.len() && note.span.start <= note.span.end);
    }
    if let Some((buildspec, comments)) = translation.buildspec() {
        let written = write(&buildspec, &comments);
        let wrong = parse(&written).diagnostics.into_iter().find(|it| it.severity() == Severity::Error);
        assert!(wrong.is_none(), "{wrong:?}\n{written}");
    }
});
