//! Workflows that call others: the jobs of the other stand in the place of the call.

use std::collections::HashMap;

use runspan_buildspec::{
    Buildspec, Comments, Fidelity, Job, Phase, Phases, Severity, Work, shell::quoted, yaml,
};

use super::{
    Context,
    job::{self, Placed, identifier},
    ledger::Ledger,
    lower::{Lowerer, Scene},
    matrix,
    shell::{Lowered, ShellText},
};
use crate::model::{self, Event, Workflow};

/// Calls inside of calls, as GitHub allows them.
const DEEPEST: usize = 10;
/// Jobs of one workflow, those of called ones counted.
const MOST: usize = 500;

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
    context: &Context<'_>,
    ledger: &mut Ledger,
    stack: &mut Vec<String>,
) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    // What stands for a job where others need it: the last jobs of a call.
    let mut ends: HashMap<String, Vec<String>> = HashMap::new();
    for job in in_order(workflow) {
        let mut depends_on: Vec<String> = Vec::new();
        for (needed, _) in &job.needs {
            for end in ends.get(needed).cloned().unwrap_or_default() {
                if !depends_on.contains(&end) {
                    depends_on.push(end);
                }
            }
        }
        let placed = Placed { workflow, job, prefix: "", depends_on };
        let before = jobs.len();
        match &job.call {
            None => jobs.extend(job::translate(&placed, scene, context, ledger)),
            Some(call) => jobs.extend(called(&placed, call, scene, context, ledger, stack)),
        }
        // A job that never runs holds nobody up.
        let new = &jobs[before..];
        let ends_of = if new.is_empty() {
            placed.depends_on
        } else {
            let needed: Vec<&String> = new.iter().flat_map(|job| &job.depends_on).collect();
            new.iter().map(|job| job.identifier.clone()).filter(|name| !needed.contains(&name)).collect()
        };
        ends.insert(job.id.clone(), ends_of);
        if jobs.len() > MOST {
            jobs.truncate(MOST);
        }
    }
    unique(&mut jobs);
    jobs.sort_by_key(|job| {
        let id = &job.identifier;
        workflow.jobs.iter().position(|other| {
            let own = identifier(&other.id);
            *id == own || id.starts_with(&format!("{own}__"))
        })
    });
    jobs
}

/// Jobs after those they need.
fn in_order<'a, 'b>(workflow: &'b Workflow<'a>) -> Vec<&'b model::Job<'a>> {
    let mut order: Vec<&model::Job<'_>> = Vec::new();
    let mut left: Vec<&model::Job<'_>> = workflow.jobs.iter().collect();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|job| {
            let known = |id: &str| order.iter().any(|other| other.id == id);
            let ready = job.needs.iter().all(|(id, _)| known(id));
            if ready {
                order.push(job);
            }
            !ready
        });
        if left.len() == before {
            // A circle was told before.
            break;
        }
    }
    order
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
    context: &Context<'_>,
    ledger: &mut Ledger,
    stack: &mut Vec<String>,
) -> Vec<Job> {
    let job = placed.job;
    let needed = std::cell::RefCell::default();
    note_caller(placed, call, outer, &needed, ledger);
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
    let Some(text) = (context.files)(&local) else {
        ledger.manual(&call.uses.field, format!("{local} is not there"), None);
        return vec![place(&path)];
    };
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
    stack.push(local.clone());
    let (mut jobs, notes) = ledger.aside(|ledger| {
        for variable in &inner.env {
            let lowerer = Lowerer::new(&scene, &needed);
            let lowered = lowerer.template(&variable.value.template);
            ledger.by(&variable.value.field, "a variable of each job", lowerer.findings());
            scene.env.insert(variable.name.clone(), lowered);
        }
        jobs(&inner, &scene, context, ledger, stack)
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
    let prefix = identifier(&job.id);
    for inner in &mut jobs {
        inner.identifier = format!("{prefix}__{}", inner.identifier);
        inner.name = format!("{} / {}", job.id, inner.name);
        inner.depends_on.iter_mut().for_each(|other| *other = format!("{prefix}__{other}"));
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
    if let Some(condition) = &job.condition {
        drop(lowerer.condition(&condition.template));
        let findings = lowerer.findings();
        let mut names: Vec<_> = findings.unknown.into_iter().chain(findings.differences).collect();
        names.push("the called jobs run whether it holds or not".into());
        let always = condition.template.asks_status()
            && condition.source().trim().trim_start_matches("${{").trim_end_matches("}}").trim()
                == "!failure()";
        if always {
            ledger.approximate(
                &condition.field,
                "`depend-on`",
                "a batch starts a build only after those before it succeeded",
            );
        } else {
            ledger.manual(&condition.field, names.join("; "), None);
        }
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
    let build = Phase { work: Work::Commands(vec![say, "exit 1".into()]), ..Phase::default() };
    let header = format!("Job `{}`: put what {path} does in place of its command", placed.job.id);
    let buildspec =
        Buildspec { phases: Phases { build: Some(build), ..Phases::default() }, ..Buildspec::default() };
    Job {
        identifier: identifier(&placed.job.id),
        name: placed.job.id.clone(),
        depends_on: placed.depends_on.clone(),
        buildspec,
        comments: Comments { header, ..Comments::default() },
        ..Job::default()
    }
}
