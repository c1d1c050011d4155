//! Workflows that call others: the jobs of the other stand in the place of the call.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use runspan_buildspec::{
    Buildspec, Comments, Fidelity, Job, Phase, Phases, Runs, Severity,
    shell::quoted,
    yaml::{self, Node, Value},
};

use super::{
    TOO_MUCH, Work,
    job::{self, Placed, identifier},
    ledger::Ledger,
    lower::{Lowerer, Scene},
    matrix,
    shell::{Lowered, ShellText},
};
use crate::model::{self, Event, Workflow};

/// Calls inside of calls, as GitHub allows them.
const DEEPEST: usize = 10;

/// Inputs of a workflow, each a variable of the build.
pub(crate) fn inputs_of(event: &Event<'_>, scene: &mut Scene) {
    let inputs = event.field.entries().into_iter().find(|(key, _)| *key == "inputs");
    for (name, field) in inputs.map(|(_, field)| field.entries()).unwrap_or_default() {
        let settings = field.entries();
        let of = |key: &str| {
            settings.iter().find(|(name, _)| *name == key).and_then(|(_, field)| field.node.text())
        };
        let boolean = of("type") == Some("boolean");
        let variable = job::input(name);
        let default = of("default").filter(|default| !default.contains("${{")).unwrap_or_default();
        // `${X:-default}` would be in every place where it is used: the default is a variable of the build.
        if !default.is_empty() {
            scene.env.entry(variable.clone()).or_insert_with(|| Lowered::Known(default.into()));
        }
        let text = ShellText { inside: format!("${variable}"), boolean };
        scene.inputs.insert(name.to_ascii_lowercase(), Lowered::Text(text));
    }
}

/// Every job of a workflow, those of the workflows it calls among them.
pub(crate) fn jobs(
    workflow: &Workflow<'_>,
    scene: &Scene,
    work: &Work<'_>,
    ledger: &mut Ledger,
    stack: &mut Vec<String>,
    prefix: &str,
) -> Vec<Job> {
    let mut made: Vec<(usize, Job)> = Vec::new();
    // What stands for a job where others need it: the last jobs of a call.
    let mut ends: HashMap<&str, Vec<String>> = HashMap::new();
    let mut asked = HashSet::new();
    workflow.jobs.iter().for_each(|job| outputs_asked(job.field.node, &mut asked));
    let mut scene = scene.clone();
    for place in model::order(workflow) {
        let job = &workflow.jobs[place];
        let mut depends_on: Vec<String> = Vec::new();
        for (needed, _) in &job.needs {
            for end in ends.get(needed.as_str()).into_iter().flatten() {
                if !depends_on.contains(end) {
                    depends_on.push(end.clone());
                }
            }
        }
        let hands_on = asked.contains(&job.id.to_ascii_lowercase());
        let placed = Placed { workflow, job, prefix, depends_on, hands_on };
        let new = match &job.call {
            None => {
                let new = job::translate(&placed, &scene, work, ledger);
                if let Some(new) = new.as_ref().filter(|new| new.runs == Runs::Once) {
                    if hands_on && !job.outputs.is_empty() {
                        Rc::make_mut(&mut scene.handing)
                            .insert(job.id.to_ascii_lowercase(), new.identifier.clone());
                    }
                    for (name, root) in uploaded(job) {
                        Rc::make_mut(&mut scene.uploads).insert(name, (new.identifier.clone(), root));
                    }
                }
                new.into_iter().collect()
            }
            Some(call) => called(&placed, call, &scene, work, ledger, stack),
        };
        // A job that never runs holds nobody up.
        let ends_of = if new.is_empty() {
            placed.depends_on
        } else {
            let needed: HashSet<&String> = new.iter().flat_map(|job| &job.depends_on).collect();
            new.iter().map(|job| job.identifier.clone()).filter(|name| !needed.contains(name)).collect()
        };
        ends.insert(&job.id, ends_of);
        made.extend(new.into_iter().map(|job| (place, job)));
    }
    made.sort_by_key(|(place, _)| *place);
    let mut jobs: Vec<Job> = made.into_iter().map(|(_, job)| job).collect();
    unique(&mut jobs);
    jobs
}

/// Jobs whose outputs a text below a node asks for, in lower case.
fn outputs_asked(node: &Node, into: &mut HashSet<String>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar(scalar) => {
            let text = scalar.text.to_ascii_lowercase();
            for (at, word) in text.match_indices("needs.") {
                let id = text[at + word.len()..].split('.').next().unwrap_or_default();
                into.insert(id.to_owned());
            }
        }
        Value::List(items) => items.iter().for_each(|item| outputs_asked(item, into)),
        Value::Map(entries) => entries.iter().for_each(|entry| outputs_asked(&entry.value, into)),
    }
}

/// Artifacts that a job uploads under a name that is known: name, and where its files lie among the job's.
fn uploaded(job: &model::Job<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for step in &job.steps {
        let model::Work::Uses { uses, with } = &step.work else { continue };
        if !uses.source().to_ascii_lowercase().starts_with("actions/upload-artifact@") {
            continue;
        }
        let of = |name: &str| with.iter().find(|variable| variable.name == name);
        let name = of("name").map_or(Some("artifact"), |variable| variable.value.template.literal());
        let path = of("path").and_then(|variable| variable.value.template.literal());
        if let (Some(name), Some(path)) = (name, path) {
            found.push((name.to_owned(), root(path)));
        }
    }
    found
}

/// The deepest directory that has all of the paths, as GitHub takes it for the root of an artifact.
fn root(paths: &str) -> String {
    let mut roots =
        paths.lines().map(str::trim).filter(|path| !path.is_empty() && !path.starts_with('!')).map(|path| {
            let parts: Vec<&str> = path
                .trim_start_matches("./")
                .trim_end_matches('/')
                .split('/')
                .filter(|part| !part.is_empty() && *part != ".")
                .collect();
            let directory = parts.iter().take_while(|part| !part.contains(['*', '?', '['])).copied();
            let mut directory: Vec<&str> = directory.collect();
            // A file lies in its directory.
            let file = directory.len() == parts.len()
                && parts.last().is_some_and(|last| last.trim_start_matches('.').contains('.'));
            if file {
                directory.pop();
            }
            directory
        });
    let mut common = roots.next().unwrap_or_default();
    for other in roots {
        let same = common.iter().zip(&other).take_while(|(a, b)| a == b).count();
        common.truncate(same);
    }
    common.iter().map(|part| format!("/{part}")).collect()
}

/// Two jobs whose names differ only by signs must not have one identifier.
fn unique(jobs: &mut [Job]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for job in jobs.iter_mut() {
        let count = seen.entry(job.identifier.clone()).or_default();
        *count += 1;
        if *count > 1 {
            job.identifier = format!("{}_{count}", job.identifier);
        }
    }
}

/// The jobs of the workflow that a job calls.
fn called(
    placed: &Placed<'_, '_>,
    call: &model::Call<'_>,
    outer: &Scene,
    work: &Work<'_>,
    ledger: &mut Ledger,
    stack: &mut Vec<String>,
) -> Vec<Job> {
    let job = placed.job;
    let needed = std::cell::RefCell::default();
    note_caller(placed, call, outer, &needed, ledger);
    let guard = match job::condition(job, outer, &needed, ledger) {
        Ok(test) => Some(test),
        Err(true) => None,
        Err(false) => {
            ledger.exact(&call.uses.field, "nothing: the job never runs");
            return Vec::new();
        }
    };
    let path = call.uses.source().trim().to_owned();
    let local = path.strip_prefix("./").map(|path| path.split('@').next().unwrap_or(path).to_owned());
    let place = |text: &str| stub(placed, text);
    let Some(local) = local else {
        let reason = format!("{path} is in another repository: copy it into this one, or translate it there");
        ledger.manual(&call.uses.field, reason, None);
        return vec![place(&path)];
    };
    if stack.contains(&local) || stack.len() >= DEEPEST {
        ledger.manual(
            &call.uses.field,
            format!("{local} calls itself, or calls go deeper than {DEEPEST}"),
            None,
        );
        return vec![place(&path)];
    }
    let Some(text) = (work.context.read)(&local) else {
        ledger.manual(&call.uses.field, format!("{local} is not there"), None);
        return vec![place(&path)];
    };
    if !work.charge(&text) {
        ledger.manual(&call.uses.field, TOO_MUCH, None);
        return vec![place(&path)];
    }
    let Ok(tree) = yaml::read(&text) else {
        ledger.manual(&call.uses.field, format!("{local} is not YAML: check it by itself"), None);
        return vec![place(&path)];
    };
    let (inner, diagnostics) = model::workflow(&text, &tree);
    if let Some(fault) = diagnostics.iter().find(|diagnostic| diagnostic.severity() == Severity::Error) {
        ledger.manual(&call.uses.field, format!("{local}:{fault}"), None);
        return vec![place(&path)];
    }
    let mut scene = Scene { env: outer.env.clone(), ..Scene::default() };
    for event in inner.events.iter().filter(|event| event.name == "workflow_call") {
        inputs_of(event, &mut scene);
    }
    let lowerer = Lowerer::new(outer, &needed);
    for variable in &call.with {
        let lowered = lowerer.template(&variable.value.template);
        scene.env.shift_remove(&job::input(&variable.name));
        let text = ShellText::variable(&job::input(&variable.name));
        match &lowered {
            Lowered::Known(value) => {
                let value =
                    if let Some(boolean) = boolean(&variable.value) { boolean.into() } else { value.clone() };
                scene.inputs.insert(variable.name.to_ascii_lowercase(), Lowered::Known(value));
            }
            other => {
                scene.env.insert(job::input(&variable.name), other.clone());
                scene.inputs.insert(variable.name.to_ascii_lowercase(), Lowered::Text(text));
            }
        }
    }
    // What holds for the call holds for each of its jobs.
    scene.guards.clone_from(&outer.guards);
    scene.guards.extend(guard);
    scene.before.clone_from(&needed.borrow());
    stack.push(local.clone());
    let prefix = format!("{}{}__", placed.prefix, identifier(&job.id));
    let (mut jobs, notes) = ledger.aside(|ledger| {
        for variable in &inner.env {
            let lowerer = Lowerer::new(&scene, &needed);
            let lowered = lowerer.template(&variable.value.template);
            ledger.variable(variable, "a variable of each job", lowerer.findings());
            scene.env.insert(variable.name.clone(), lowered);
        }
        jobs(&inner, &scene, work, ledger, stack, &prefix)
    });
    stack.pop();
    let manual: Vec<_> = notes
        .iter()
        .filter(|note| matches!(note.fidelity, Fidelity::Manual { .. }))
        .map(|note| format!("{}:{} {}", local, note.span.line, note.construct))
        .collect();
    let became = format!("{} jobs of {local} in its place", jobs.len());
    match manual.as_slice() {
        [] => ledger.exact(&call.uses.field, became),
        some => ledger.approximate(
            &call.uses.field,
            became,
            format!("to be done by hand there: {}", some.join(", ")),
        ),
    }
    for inner in &mut jobs {
        inner.name = format!("{} / {}", job.id, inner.name);
        if inner.depends_on.is_empty() {
            inner.depends_on.clone_from(&placed.depends_on);
        }
    }
    jobs
}

fn boolean(text: &model::Text<'_>) -> Option<bool> {
    matches!(text.kind, yaml::ScalarKind::Bool).then(|| text.source() == "true")
}

/// Notes of the keys of the job that calls.
fn note_caller(
    placed: &Placed<'_, '_>,
    call: &model::Call<'_>,
    outer: &Scene,
    needed: &std::cell::RefCell<super::lower::Needed>,
    ledger: &mut Ledger,
) {
    let job = placed.job;
    if let Some(name) = &job.name {
        ledger.exact(&name.field, "the name of the build");
    }
    for field in job.plain.iter().filter(|field| field.path.ends_with(".needs")) {
        ledger.exact(field, "`depend-on`");
    }
    job.hosting.iter().for_each(|field| super::hosting::note(field, ledger));
    let lowerer = Lowerer::new(outer, needed);
    for variable in &call.with {
        drop(lowerer.template(&variable.value.template));
        ledger.by(&variable.value.field, "a variable of the called jobs", lowerer.findings());
    }
    if let Some(secrets) = &call.secrets {
        ledger.approximate(secrets, "variables of the build", "the secrets must be given as variables");
    }
    if let Some(strategy) = &job.strategy {
        for text in [&strategy.fail_fast, &strategy.max_parallel].into_iter().flatten() {
            ledger.approximate(&text.field, "nothing", "a batch has one limit");
        }
        if let Some(matrix) = &strategy.matrix {
            let known = matrix::combinations(matrix, &lowerer).is_some();
            drop(lowerer.findings());
            let reason = if known {
                "a called workflow is put in once: write the call down for each combination"
            } else {
                "its values are only known in the run: write them down"
            };
            ledger.manual(&matrix.field, reason, None);
        }
    }
}

/// A job that says what is missing, so that the others keep their order.
fn stub(placed: &Placed<'_, '_>, path: &str) -> Job {
    let say = format!("echo {} >&2", quoted(&format!("This job is the workflow {path}, which is not here")));
    let build =
        Phase { work: runspan_buildspec::Work::Commands(vec![say, "exit 1".into()]), ..Phase::default() };
    let header = format!("Job `{}`: put what {path} does in place of its command", placed.job.id);
    let buildspec =
        Buildspec { phases: Phases { build: Some(build), ..Phases::default() }, ..Buildspec::default() };
    Job {
        identifier: format!("{}{}", placed.prefix, identifier(&placed.job.id)),
        name: placed.job.id.clone(),
        depends_on: placed.depends_on.clone(),
        buildspec,
        comments: Comments { header, ..Comments::default() },
        ..Job::default()
    }
}
