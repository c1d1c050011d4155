//! The published conformance cases of the expression language, all of them.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{env, fs, io::Write as _, path::PathBuf};

use runspan_expressions::{Contexts, Object, Scope, Value, evaluate, parse};

struct Given<'a>(&'a Object);

impl Contexts for Given<'_> {
    fn context(&self, name: &str) -> Value {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let Value::Object(object) = value else { panic!("{value:?} is no object") };
    object.get(key)
}

fn text(value: &Value, key: &str) -> String {
    get(value, key).unwrap().to_text().to_string()
}

fn folder() -> Option<PathBuf> {
    let shared = env::var_os("RUNSPAN_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = shared.join("conformance/expressions");
    if !folder.is_dir() {
        let text = format!("SKIPPED: the expression conformance cases are not at {}", folder.display());
        drop(writeln!(std::io::stderr(), "{text}"));
        return None;
    }
    Some(folder)
}

/// What is wrong with the answer to a case.
fn fault(case: &Value) -> Option<String> {
    let none = Object::default();
    let contexts = match get(case, "contexts") {
        Some(Value::Object(contexts)) => Given(contexts),
        _ => Given(&none),
    };
    let names: Vec<&str> = contexts.0.iter().map(|(name, _)| name).collect();
    let parsed = parse(&text(case, "expr"), Scope { contexts: &names, functions: &[] });
    let answer = parsed.and_then(|expr| evaluate(&expr, &contexts));
    if let Some(expected) = get(case, "err") {
        let message = text(expected, "value");
        let syntax = text(expected, "kind") != "evaluation";
        return match answer {
            Err(error) if error.to_string().starts_with(&message) && error.kind.is_syntax() == syntax => None,
            other => Some(format!("{other:?} instead of the error {message}")),
        };
    }
    let expected = get(case, "result").unwrap();
    let kind = text(expected, "kind");
    let expected = match get(expected, "value").unwrap() {
        // JSON has no such numbers.
        Value::String(word) if kind == "Number" => Value::Number(word.parse().unwrap()),
        other => other.clone(),
    };
    let value = match answer {
        Ok(value) => value,
        Err(error) => return Some(format!("{error} instead of {expected:?}")),
    };
    let found = match value {
        Value::Null => "Null",
        Value::Boolean(_) => "Boolean",
        Value::Number(_) => "Number",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Object",
    };
    (found != kind || value != expected)
        .then(|| format!("{value:?} ({found}) instead of {expected:?} ({kind})"))
}

#[test]
fn every_published_case_holds() {
    let Some(folder) = folder() else { return };
    let (mut cases, mut faults) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = Value::from_json(&fs::read_to_string(&path).unwrap()).unwrap();
        let Value::Object(groups) = file else { panic!("{} is no object", path.display()) };
        for (group, list) in groups.iter() {
            let Value::Array(list) = list else { panic!("{group} is no list") };
            for case in list.items() {
                cases += 1;
                let name =
                    format!("{}, {group}: {}", path.file_stem().unwrap().display(), text(case, "expr"));
                faults.extend(fault(case).map(|fault| format!("{name}\n    {fault}")));
            }
        }
    }
    assert_eq!(faults, Vec::<String>::new(), "{} of {cases}:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(cases, 1020);
}
