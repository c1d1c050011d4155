//! Translating a workflow never panics, and what comes out can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runspan_actions::{Context, translate};
use runspan_buildspec::{Severity, parse, write};

fuzz_target!(|text: &str| {
    // The file calls itself, as an action and as a workflow.
    let read = |_: &str| Some(text.to_owned());
    let translation = translate(text, &Context { read: &read });
    if let Some((buildspec, comments)) = translation.buildspec() {
        let written = write(&buildspec, &comments);
        if written.len() < 200_000 {
            let faults = parse(&written).diagnostics;
            let fault = faults.iter().find(|fault| fault.severity() == Severity::Error);
            assert!(fault.is_none(), "{fault:?}\n{written}");
        }
    }
});
