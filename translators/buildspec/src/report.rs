//! Diagnostics for programs.

use serde_json::{Value, json};

use crate::{Code, Diagnostic, Severity, Span};

/// Every diagnostic as an object, in an array.
pub fn json<'a>(diagnostics: impl IntoIterator<Item = (&'a str, &'a Diagnostic)>) -> Value {
    let place = |span: Span| {
        json!({
            "line": span.line,
            "column": span.column,
            "end_column": span.end_column,
            "start": span.start,
            "end": span.end,
        })
    };
    diagnostics
        .into_iter()
        .map(|(file, diagnostic)| {
            json!({
                "file": file,
                "code": diagnostic.code.id(),
                "severity": diagnostic.severity().name(),
                "status": diagnostic.status().map(crate::StatusCode::name),
                "message": diagnostic.message,
                "codebuild_message": diagnostic.codebuild_message(),
                "span": diagnostic.span.map(place),
                "label": diagnostic.label,
                "help": diagnostic.help,
                "related": diagnostic
                    .related
                    .iter()
                    .map(|related| json!({ "span": place(related.span), "label": related.label }))
                    .collect::<Vec<_>>(),
            })
        })
        .collect()
}

/// A SARIF 2.1.0 log with one run.
pub fn sarif<'a>(diagnostics: impl IntoIterator<Item = (&'a str, &'a Diagnostic)>) -> Value {
    let rules: Vec<Value> = Code::ALL
        .iter()
        .map(|code| {
            json!({
                "id": code.id(),
                "shortDescription": { "text": code.description() },
                "defaultConfiguration": { "level": level(code.severity()) },
            })
        })
        .collect();
    let results: Vec<Value> =
        diagnostics.into_iter().map(|(file, diagnostic)| result(file, diagnostic)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "runspan",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(file: &str, diagnostic: &Diagnostic) -> Value {
    let text = match &diagnostic.help {
        Some(help) => format!("{}\n{help}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    let mut result = json!({
        "ruleId": diagnostic.code.id(),
        "ruleIndex": Code::ALL.iter().position(|code| *code == diagnostic.code),
        "level": level(diagnostic.severity()),
        "message": { "text": text },
        "locations": [location(file, diagnostic.span)],
    });
    if !diagnostic.related.is_empty() {
        result["relatedLocations"] = diagnostic
            .related
            .iter()
            .map(|related| {
                let mut location = location(file, Some(related.span));
                location["message"] = json!({ "text": related.label });
                location
            })
            .collect();
    }
    result
}

fn location(file: &str, span: Option<Span>) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(file) } });
    if let Some(span) = span {
        physical["region"] = json!({
            "startLine": span.line,
            "startColumn": span.column,
            "endColumn": span.end_column,
            "byteOffset": span.start,
            "byteLength": span.end - span.start,
        });
    }
    json!({ "physicalLocation": physical })
}

const fn level(severity: Severity) -> &'static str {
    severity.name()
}

/// A path as a URI reference.
fn uri(file: &str) -> String {
    let mut out = String::with_capacity(file.len());
    // A colon in the first segment would be taken for a scheme.
    if file.split('/').next().is_some_and(|first| first.contains(':')) {
        out.push_str("./");
    }
    for byte in file.bytes() {
        match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'/'
            | b':'
            | b'@'
            | b'+' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
