//! Public Jenkinsfiles and the Declarative plugin's own test resources, against what a real Jenkins made of them.
//!
//! The sources are other people's and stand in no repository of ours: `RUNSPAN_JENKINSFILES` names a folder with
//! `real/<id>` (as named by `corpus/jenkinsfiles.jsonl` of the shared library) and `plugin/` (a checkout of
//! jenkinsci/pipeline-model-definition-plugin). What Jenkins made of them is in the shared library beside the
//! repository; `RUNSPAN_SHARED` names another place.

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use runspan_jenkinsfile::{declarative, groovy};
use serde_json::Value;

/// Files of the corpus that are no Groovy, or that Groovy 2.4 refuses too.
const NOT_GROOVY: &[(&str, &str)] = &[
    ("20d29318d2278191", "a `}` too many"),
    ("c12045b70350f599", "PowerShell"),
    ("c9fc6b2dffc3814f", "Ruby"),
];

pub(super) fn told(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn sources() -> Option<PathBuf> {
    let folder = env::var_os("RUNSPAN_JENKINSFILES").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        told("SKIPPED: RUNSPAN_JENKINSFILES names no folder with public Jenkinsfiles");
    }
    folder
}

fn golden() -> Option<PathBuf> {
    let shared = env::var_os("RUNSPAN_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let folder = shared.join("conformance/jenkins-ast");
    if !folder.is_dir() {
        told(&format!("SKIPPED: the ASTs that Jenkins made are not at {}", folder.display()));
        return None;
    }
    Some(folder)
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// Name and path of each file below a folder.
fn files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), folder.to_owned())];
    while let Some((prefix, folder)) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                open.push((format!("{name}__"), path))
            } else {
                drop(found.insert(name, path))
            }
        }
    }
    found
}

/// The same value without white space in its texts.
fn squeezed(value: &Value) -> Value {
    match value {
        Value::String(text) => text.split_whitespace().collect::<String>().into(),
        Value::Array(items) => items.iter().map(squeezed).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), squeezed(value))).collect(),
        Value::Number(number) => Value::from(number.as_f64().unwrap()),
        other => other.clone(),
    }
}

fn first_difference(ours: &Value, theirs: &Value, path: &str) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
            keys.into_iter().find_map(|key| match (ours.get(key), theirs.get(key)) {
                (Some(ours), Some(theirs)) => first_difference(ours, theirs, &format!("{path}.{key}")),
                (ours, theirs) => Some(format!("{path}.{key}: {ours:?} is not {theirs:?}")),
            })
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            ours.iter().zip(theirs).enumerate().find_map(|(index, (ours, theirs))| {
                first_difference(ours, theirs, &format!("{path}[{index}]"))
            })
        }
        _ if ours == theirs => None,
        _ => Some(format!("{path}: {ours} is not {theirs}")),
    }
}

/// The AST of a source; what is wrong with it otherwise.
fn ast(source: &str) -> Result<Option<Value>, String> {
    let parsed = groovy::parse(source);
    if let Some(fault) = parsed.faults.first() {
        return Err(format!("{}: {}", fault.span.start, fault.message));
    }
    let read = declarative::read(&parsed.script, source);
    if let Some(fault) = read.faults.first() {
        return Err(format!("{}: {}", fault.span.start, fault.message));
    }
    Ok(read.pipeline.map(|pipeline| declarative::ast_json(&pipeline, source)))
}

#[test]
fn real_files_parse() {
    let Some(folder) = sources() else { return };
    let files = files(&folder.join("real"));
    let mut refused = Vec::new();
    for (name, path) in &files {
        let parsed = groovy::parse(&text(path));
        let known = NOT_GROOVY.iter().any(|(id, _)| id == name);
        assert!(!known || !parsed.faults.is_empty(), "{name} is no Groovy, but was read");
        if !known && let Some(fault) = parsed.faults.first() {
            refused.push(format!("{name}: {}: {}", fault.span.start, fault.message));
        }
    }
    let groovy = files.len() - NOT_GROOVY.len();
    told(&format!("{} of {groovy} real files parse; refused: {refused:#?}", groovy - refused.len()));
    assert!(refused.len() * 100 <= groovy, "less than 99 %");
}

/// Real Declarative files must not be refused for what Jenkins accepts.
#[test]
fn what_jenkins_accepts_is_accepted() {
    let (Some(sources), Some(golden)) = (sources(), golden()) else { return };
    let sources = files(&sources.join("real"));
    let mut refused = Vec::new();
    for (id, _) in files(&golden.join("real")) {
        let Some(path) = sources.get(id.trim_end_matches(".json")) else { continue };
        let source = text(path);
        let parsed = groovy::parse(&source);
        if let Some(pipeline) = declarative::read(&parsed.script, &source).pipeline {
            let faults = declarative::validate(&pipeline);
            refused
                .extend(faults.iter().map(|fault| format!("{id}: {}: {}", fault.span.start, fault.message)));
        }
    }
    // Jenkins reads both, and then misses their agent.
    assert!(refused.iter().all(|fault| fault.ends_with("needs the section `agent`")), "{refused:#?}");
    assert!(refused.len() <= 2, "{refused:#?}");
}

/// Invalid resources that only a running Jenkins can tell: they need its tools, its security, or extensions that its
/// own tests bring; the first is no Declarative Pipeline at all.
const NEEDS_JENKINS: &[&str] = &[
    "errors__emptyPipeline",
    "errors__notInstalledToolVersion",
    "errors__optionValidatorContributor",
    "errors__postValidatorContributor",
    "errors__scriptSecurityRejectionInEnvironment",
    "errors__scriptSecurityRejectionInSteps",
    "errors__scriptSecurityRejectionInWhenExpression",
    "localASTTransformInCompilation",
];

/// How many of the files that Jenkins read have the same AST here.
fn compare(sources: &BTreeMap<String, PathBuf>, golden: &Path, name: &str) {
    let (mut same, mut other) = (0, Vec::new());
    for (id, path) in files(golden) {
        let Some(id) = id.strip_suffix(".json") else { continue };
        let Some(source) = sources.get(id) else {
            other.push(format!("{id}: the source is missing"));
            continue;
        };
        let theirs = squeezed(&serde_json::from_str(&text(&path)).unwrap());
        match ast(&text(source)) {
            Ok(Some(ours)) => match first_difference(&squeezed(&ours), &theirs, "") {
                None => same += 1,
                Some(difference) => other.push(format!("{id}: {difference}")),
            },
            Ok(None) => other.push(format!("{id}: no pipeline found")),
            Err(message) => other.push(format!("{id}: {message}")),
        }
    }
    told(&format!("{name}: {same} of {} ASTs are the same; others: {other:#?}", same + other.len()));
    assert!(other.len() * 50 <= same + other.len(), "less than 98 % of {name}");
}

#[test]
fn asts_of_real_files_are_those_of_jenkins() {
    let (Some(sources), Some(golden)) = (sources(), golden()) else { return };
    compare(&files(&sources.join("real")), &golden.join("real"), "real files");
}

#[test]
fn asts_of_the_plugins_resources_are_those_of_jenkins() {
    let (Some(sources), Some(golden)) = (sources(), golden()) else { return };
    compare(&plugin(&sources), &golden.join("plugin-tests"), "the plugin's resources");
}

fn plugin(sources: &Path) -> BTreeMap<String, PathBuf> {
    files(&sources.join("plugin/pipeline-model-definition/src/test/resources"))
        .into_iter()
        .filter_map(|(name, path)| Some((name.strip_suffix(".groovy")?.to_owned(), path)))
        .collect()
}

#[test]
fn what_jenkins_refuses_is_refused_with_a_place() {
    let (Some(sources), Some(golden)) = (sources(), golden()) else { return };
    let plugin = plugin(&sources);
    let (mut refused, mut accepted, mut wrongly) = (0, Vec::new(), Vec::new());
    for (name, path) in &plugin {
        let source = text(path);
        let parsed = groovy::parse(&source);
        let read = declarative::read(&parsed.script, &source);
        let mut faults = [parsed.faults, read.faults].concat();
        if let Some(pipeline) = &read.pipeline {
            faults.extend(declarative::validate(pipeline));
        }
        assert!(
            faults.iter().all(|fault| fault.span.start <= source.len() && fault.span.end <= source.len())
        );
        if NEEDS_JENKINS.contains(&name.as_str()) && faults.is_empty() {
            continue;
        }
        let bad = name.starts_with("errors__") || golden.join(format!("plugin-tests/{name}.err")).exists();
        match (bad, faults.first()) {
            (true, Some(_)) => refused += 1,
            (true, None) => accepted.push(name),
            (false, Some(fault)) => wrongly.push(format!("{name}: {}: {}", fault.span.start, fault.message)),
            (false, None) => {}
        }
    }
    told(&format!("{refused} invalid files are refused; no error of the plugin's: {wrongly:#?}"));
}
