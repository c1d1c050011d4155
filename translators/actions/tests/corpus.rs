//! Every public workflow of the shared corpus becomes buildspecs that can be read, and nothing of it is forgotten.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{collections::BTreeMap, env, fs, io::Write as _, path::PathBuf, process::Command};

use runspan_actions::{Context, translate};
use runspan_buildspec::{
    Buildspec, Coverage, Fidelity, Severity, StepAction, Work, parse, write,
    yaml::{self, Node, Value},
};

/// Files of the corpus that are no workflows, and what is said of them.
const INVALID: &[(&str, &str)] = &[
    (
        "2-alchemists__krossboard-data-processor__.github__workflows__dependabot.yml",
        "1:1: error[missing-key]: the workflow needs `on`\n1:1: error[missing-key]: the workflow needs `jobs`",
    ),
    (
        "bridgecrewio__checkov__tests__github_actions__resources__.github__workflows__unsecure_command.yaml",
        "15:3: error[missing-key]: `jobs.secure-job` needs `steps`",
    ),
];

/// Name and text of every file; nothing outside the team's own machines.
fn files() -> Vec<(String, String)> {
    let shared = env::var_os("RUNSPAN_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let folder = shared.join("corpus/workflows");
    let Ok(entries) = fs::read_dir(&folder) else {
        let text = format!("SKIPPED: the corpus of public workflows is not at {}", folder.display());
        drop(writeln!(std::io::stderr(), "{text}"));
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
        })
        .collect();
    files.sort();
    assert_eq!(files.len(), 178);
    files
}

/// Other files of the same repository, whose names in the corpus have `__` for `/`.
fn lookup<'a>(files: &'a [(String, String)], name: &str) -> impl Fn(&str) -> Option<String> + 'a {
    let repository: Vec<&str> = name.split("__").take(2).collect();
    let prefix = format!("{}__", repository.join("__"));
    move |path| {
        let wanted = format!("{prefix}{}", path.replace('/', "__"));
        files.iter().find(|(name, _)| *name == wanted).map(|(_, text)| text.clone())
    }
}

#[test]
fn every_job_becomes_a_buildspec_that_can_be_read() {
    let files = files();
    let mut faults = Vec::new();
    let mut told = Vec::new();
    for (name, text) in &files {
        let files = lookup(&files, name);
        let translation = translate(text, &Context { read: &files });
        if translation.has_errors() {
            let errors = translation.diagnostics.iter().filter(|fault| fault.severity() == Severity::Error);
            told.push((name.clone(), errors.map(ToString::to_string).collect::<Vec<_>>().join("\n")));
            continue;
        }
        if env::var_os("SHOW").is_some_and(|wanted| name.contains(wanted.to_str().unwrap())) {
            let (whole, comments) = translation.buildspec().unwrap();
            println!("=== {name}\n{}", write(&whole, &comments));
            translation
                .notes
                .iter()
                .for_each(|note| println!("{}:{} {:?}", note.span.line, note.construct, note.fidelity));
        }
        let whole = translation.buildspec();
        let texts = translation.jobs.iter().map(|job| write(&job.buildspec, &job.comments));
        for text in texts.chain(whole.map(|(buildspec, comments)| write(&buildspec, &comments))) {
            for fault in parse(&text).diagnostics {
                faults.push(format!("{name}: {fault}\n{text}"));
            }
        }
    }
    let faults: Vec<_> = faults
        .into_iter()
        .filter(|fault| fault.contains(": error[") || env::var_os("WARN").is_some())
        .collect();
    assert!(
        faults.is_empty(),
        "{} faults, as in:\n{}",
        faults.len(),
        faults[..faults.len().min(5)].join("\n")
    );
    let told: Vec<(&str, &str)> = told.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert!(told.is_empty() && files.is_empty() || told == INVALID, "{told:?}");
}

/// Commands of a job, those of steps for bash among them.
fn commands(buildspec: &Buildspec) -> Vec<String> {
    let phases = &buildspec.phases;
    let mut commands = Vec::new();
    for phase in [&phases.install, &phases.pre_build, &phases.build, &phases.post_build].into_iter().flatten()
    {
        match &phase.work {
            Work::Commands(all) => commands.extend(all.iter().cloned()),
            Work::Steps(steps) => commands.extend(steps.iter().filter_map(|step| match &step.action {
                StepAction::Run { run, shell, .. }
                    if shell.as_ref().is_none_or(|shell| shell.contains("bash")) =>
                {
                    Some(run.clone())
                }
                _ => None,
            })),
        }
    }
    commands
}

#[test]
fn bash_can_read_every_command() {
    let files = files();
    let place = tempfile::tempdir().unwrap();
    let mut faults = Vec::new();
    let mut count = 0;
    for (name, text) in &files {
        for job in translate(text, &Context::ALONE).jobs {
            count += commands(&job.buildspec).len();
            // One after the other in a file: a fault in one shows.
            let file = place.path().join("all.sh");
            fs::write(&file, commands(&job.buildspec).join("\n")).unwrap();
            let checked = Command::new("bash").arg("-n").arg(&file).output().unwrap();
            if !checked.status.success() {
                let told = String::from_utf8_lossy(&checked.stderr).into_owned();
                faults.push(format!("{name}, {}: {told}", job.identifier));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(files.is_empty() || count > 1_000, "only {count} commands");
}

/// Paths of every value without parts.
fn leaves(node: &Node, path: &str, into: &mut Vec<String>) {
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            for entry in entries {
                let name = &entry.key.text;
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(&entry.value, &path, into);
            }
        }
        Value::List(items) if !items.is_empty() => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| leaves(item, &format!("{path}[{index}]"), into));
        }
        _ => into.push(path.to_owned()),
    }
}

/// `jobs.build.steps[2].with.path` as `jobs.*.steps.with`.
fn kind(construct: &str) -> String {
    let names: Vec<&str> = construct.split('.').map(|name| name.split('[').next().unwrap()).collect();
    match names.as_slice() {
        ["on", event, ..] => format!("on.{event}"),
        ["jobs", _, "steps", key @ ("with" | "env"), ..] => format!("jobs.*.steps.{key}"),
        ["jobs", _, "steps", key, ..] => format!("jobs.*.steps.{key}"),
        ["jobs", _, key, ..] => format!("jobs.*.{key}"),
        [top, ..] => (*top).to_owned(),
        [] => String::new(),
    }
}

#[test]
fn nothing_is_forgotten_and_nearly_all_needs_nobody() {
    let files = files();
    if files.is_empty() {
        return;
    }
    let mut table: BTreeMap<String, Coverage> = BTreeMap::new();
    let mut all = Coverage::default();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (name, text) in &files {
        let others = lookup(&files, name);
        let translation = translate(text, &Context { read: &others });
        if translation.has_errors() {
            continue;
        }
        let constructs: Vec<&str> = translation.notes.iter().map(|note| note.construct.as_str()).collect();
        let mut paths = Vec::new();
        leaves(&yaml::read(text).unwrap(), "", &mut paths);
        for path in paths {
            let covers = |construct: &&&str| {
                let rest = path.strip_prefix(**construct);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            let count = constructs.iter().filter(covers).count();
            assert_eq!(count, 1, "{name}: {path}");
        }
        for note in &translation.notes {
            let mut one = Coverage::default();
            match &note.fidelity {
                Fidelity::Exact { .. } => one.exact = 1,
                Fidelity::Approximate { .. } => one.approximate = 1,
                Fidelity::Manual { reason, .. } => {
                    one.manual = 1;
                    let short: String = reason.chars().take(110).collect();
                    *reasons.entry(format!("{}: {short}", kind(&note.construct))).or_default() += 1;
                }
            }
            *table.entry(kind(&note.construct)).or_default() += one;
            all += one;
        }
        assert!(translation.notes.is_sorted_by_key(|note| note.span.start), "{name}");
    }
    println!("| construct | exact | approximate | manual |\n|---|---|---|---|");
    for (kind, count) in &table {
        println!("| `{kind}` | {} | {} | {} |", count.exact, count.approximate, count.manual);
    }
    println!("| all | {} | {} | {} |", all.exact, all.approximate, all.manual);
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons.iter().for_each(|(reason, count)| println!("{count:4} {reason}"));
    assert!(all.ratio() >= 0.9, "only {:.3} of the constructs need nobody", all.ratio());
}
