//! Translating pipelines never panics, every note lies in the file, and what comes out can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runspan_buildspec::{Severity, parse, write};
use runspan_pipelines::{Context, Selection, pipelines, translate};

fuzz_target!(|text: &str| {
    let imported = |_: &str| Some(text.to_owned());
    for place in pipelines(text).into_iter().take(4).map(Selection::Named).chain([Selection::Default]) {
        let translation = translate(text, &Context { selection: place, read: &imported });
        for note in &translation.notes {
            assert!(note.span.end <= text.len() && note.span.start <= note.span.end);
        }
        if let Some((buildspec, comments)) = translation.buildspec() {
            let written = write(&buildspec, &comments);
            let wrong = parse(&written).diagnostics.into_iter().find(|it| it.severity() == Severity::Error);
            assert!(wrong.is_none(), "{wrong:?}\n{written}");
        }
    }
});
