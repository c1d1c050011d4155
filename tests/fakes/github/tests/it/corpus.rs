//! The expressions of the public conformance data, and every public workflow of the shared corpus.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use fake_github::{
    Value,
    workflow::{Scope, Status, Workflow, evaluate},
};

/// A folder of the shared library, which is only on some machines.
fn shared(folder: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared").join(folder);
    if root.is_dir() {
        return Some(root);
    }
    // Past the test harness's capture.
    let message = format!("SKIPPED: the shared library is not at {}\n", root.display());
    std::io::stderr().write_all(message.as_bytes()).unwrap();
    None
}

/// What is evaluated otherwise here: lists and maps are equal to nothing, as every value is a copy; and memory
/// is not counted.
const OTHERWISE: &[&str] = &[
    "array1 != array1",
    "array1 == array1",
    "object1 != object1",
    "object1 == object1",
    "startswith(format('{0}{0}{0}{0}{0}{0}{0}{0}{0}{0}",
];

#[test]
fn expressions_have_the_values_that_they_have_at_github() {
    let Some(root) = shared("conformance/expressions") else { return };
    let (mut right, mut wrong) = (0, Vec::new());
    for file in fs::read_dir(root).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let groups: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for (_, cases) in groups.into_object() {
            let Value::Array(cases) = cases else { continue };
            for case in cases {
                let expression = case.member("expr").and_then(Value::as_str).unwrap();
                let contexts = case.member("contexts").cloned().unwrap_or(Value::Object(Default::default()));
                let scope = Scope { contexts, status: Status::Success };
                let found = evaluate(expression, &scope);
                let as_wanted = match (&found, case.member("result")) {
                    (Ok(value), Some(result)) => same(value, result.member("value").unwrap_or(&Value::Null)),
                    (Err(_), None) => true,
                    _ => false,
                };
                if as_wanted || OTHERWISE.iter().any(|known| expression.starts_with(known)) {
                    right += 1;
                } else {
                    wrong.push(format!("{expression} is {found:?}, not {:?}", case.member("result")));
                }
            }
        }
    }
    assert!(right > 900, "{right}");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), right + wrong.len(), wrong.join("\n"));
}

fn same(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(found), Value::String(word)) => match word.as_str() {
            "NaN" => found.is_nan(),
            "Infinity" => *found == f64::INFINITY,
            "-Infinity" => *found == f64::NEG_INFINITY,
            _ => false,
        },
        _ => found == wanted,
    }
}

/// Files of the corpus that are no workflows.
const REFUSED: &[&str] = &["2-alchemists__krossboard-data-processor__.github__workflows__dependabot.yml"];

#[test]
fn public_workflows_can_be_read() {
    let Some(root) = shared("corpus/workflows") else { return };
    let (mut read, mut refused) = (0, Vec::new());
    for file in fs::read_dir(root).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match Workflow::read(&name, &fs::read_to_string(&path).unwrap()) {
            Ok(_) => read += 1,
            Err(error) if error.message.contains("reusable workflows") => read += 1,
            Err(_) if REFUSED.contains(&name.as_str()) => read += 1,
            Err(error) => refused.push(error.to_string()),
        }
    }
    assert!(read > 100, "{read}");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
