//! One job as a buildspec.

use std::cell::RefCell;

use runspan_buildspec::{BatchEnv, Job, Leg, Runs, yaml::Value as Yaml};
use runspan_expressions::{Scope, Template, Value};

use super::{
    Work,
    assemble::Draft,
    containers, hosting,
    ledger::Ledger,
    lower::{Findings, Lowerer, Needed, Scene},
    matrix::{self, Combination},
    runs_on::{self, Machine},
    shell::{Lowered, Test},
    step::{self, Defaults},
    triggers,
};
use crate::model;

/// A job and the names around it.
pub(crate) struct Placed<'a, 'b> {
    pub(crate) workflow: &'b model::Workflow<'a>,
    pub(crate) job: &'b model::Job<'a>,
    /// In front of identifiers, for a workflow that another one calls.
    pub(crate) prefix: &'b str,
    /// Identifiers of the jobs before it.
    pub(crate) depends_on: Vec<String>,
    /// Whether another job asks for its outputs.
    pub(crate) hands_on: bool,
}

/// Translates a job; nothing when it never runs.
pub(crate) fn translate(
    placed: &Placed<'_, '_>,
    outer: &Scene,
    work: &Work<'_>,
    ledger: &mut Ledger,
) -> Option<Job> {
    let job = placed.job;
    let needed = RefCell::new(outer.before.clone());
    let mut scene = outer.clone();
    scene.job.clone_from(&job.id);
    scene.after_success = !job.condition.as_ref().is_some_and(|condition| condition.template.asks_status());
    scene.changing = changing(job);
    note_plain(job, ledger);
    let combinations = combinations(job, &mut scene, &needed, ledger);
    let mut draft = Draft { bash: needs_bash(placed.workflow, job), ..Draft::default() };
    draft.keeps_steps = step::needs_engine(&job.steps, work, 0);
    scene.keeps_steps = draft.keeps_steps;
    draft.hands_on = placed.hands_on;
    draft.variables.insert("CI".into(), "true".into());
    for (name, lowered) in &outer.env {
        draft.variable(name, lowered);
    }
    let mut guards = outer.guards.clone();
    let runs = match condition(job, &scene, &needed, ledger) {
        Err(runs) => runs,
        Ok(test) => {
            guards.push(test);
            true
        }
    };
    draft.guard = (!guards.is_empty()).then(|| Test::joined(&guards, "&&"));
    let (env, legs) = machines(job, &mut scene, &combinations, &needed, &mut draft, ledger);
    for variable in &job.env {
        let lowerer = Lowerer::new(&scene, &needed);
        let lowered = lowerer.template(&variable.value.template);
        ledger.variable(variable, "a variable of the job", lowerer.findings());
        draft.variable(&variable.name, &lowered);
        scene.env.insert(variable.name.clone(), lowered);
    }
    for (name, service) in &job.services {
        let lowerer = Lowerer::new(&scene, &needed);
        containers::service((name, job.container.is_some()), service, &lowerer, &mut draft, ledger);
    }
    hosting::defaults(&job.defaults, ledger);
    let defaults = Defaults::of(placed.workflow, job);
    let mut maker =
        step::Maker { work, needed: &needed, draft, defaults, stack: Vec::new(), around: Vec::new() };
    maker.steps(&job.steps, &mut scene, ledger);
    let mut draft = maker.draft;
    outputs(job, &scene, &needed, &mut draft, ledger);
    let mut env = env;
    if draft.privileged {
        env.privileged_mode = Some(true);
    }
    let ignore_failure = tolerated(job, &scene, &needed, ledger);
    if !runs {
        return None;
    }
    let name = job.name.as_ref().and_then(|name| name.template.literal()).unwrap_or(&job.id).to_owned();
    let workflow = placed.workflow.name.as_ref().map_or("", |name| name.source()).to_owned();
    let title =
        if workflow.is_empty() { format!("Job `{name}`") } else { format!("{workflow}: job `{name}`") };
    let (buildspec, comments) = draft.finish(&needed.borrow(), &title, &workflow);
    let identifier = format!("{}{}", placed.prefix, identifier(&job.id));
    let runs = legs.unwrap_or(Runs::Once);
    let depends_on = placed.depends_on.clone();
    let mut made = Job { identifier, name, depends_on, buildspec, comments, env, runs, ..Job::default() };
    made.ignore_failure = ignore_failure;
    Some(made)
}

/// Outside of a container GitHub's scripts are bash's; an image need not have it.
fn needs_bash(workflow: &model::Workflow<'_>, job: &model::Job<'_>) -> bool {
    let bash =
        |shell: &Option<model::Text<'_>>| shell.as_ref().is_some_and(|shell| shell.source().contains("bash"));
    job.container.is_none()
        || bash(&job.defaults.shell)
        || bash(&workflow.defaults.shell)
        || job.steps.iter().any(|step| match &step.work {
            model::Work::Run { shell, .. } => bash(shell),
            model::Work::Uses { .. } => false,
        })
}

/// Variables that scripts of the job give a value for the steps behind them.
fn changing(job: &model::Job<'_>) -> std::collections::BTreeSet<String> {
    let mut names = std::collections::BTreeSet::new();
    for step in &job.steps {
        let model::Work::Run { run, .. } = &step.work else { continue };
        if !run.source().contains("GITHUB_ENV") {
            continue;
        }
        for (at, _) in run.source().match_indices(['=', '<']) {
            let before = &run.source()[..at];
            let start =
                before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
            names.insert(before[start..].to_owned());
        }
    }
    names
}

/// Letters, digits and underscores.
pub(crate) fn identifier(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn note_plain(job: &model::Job<'_>, ledger: &mut Ledger) {
    if let Some(name) = &job.name {
        ledger.exact(&name.field, "the name of the build");
    }
    for field in &job.plain {
        if field.path.ends_with(".needs") {
            ledger.exact(field, "`depend-on`");
        }
    }
    job.hosting.iter().for_each(|field| hosting::note(field, ledger));
}

fn combinations(
    job: &model::Job<'_>,
    scene: &mut Scene,
    needed: &RefCell<Needed>,
    ledger: &mut Ledger,
) -> Vec<Combination> {
    let Some(strategy) = &job.strategy else { return Vec::new() };
    if let Some(text) = &strategy.fail_fast {
        if text.source() == "false" {
            ledger.exact(&text.field, "nothing: a batch goes on");
        } else {
            ledger.approximate(
                &text.field,
                "`fast-fail` of the batch",
                "a batch stops all of its builds or none",
            );
        }
    }
    if let Some(text) = &strategy.max_parallel {
        let difference = "all builds of a batch run at once: set the project's limit";
        ledger.approximate(&text.field, "nothing", difference);
    }
    let Some(matrix) = &strategy.matrix else { return Vec::new() };
    let lowerer = Lowerer::new(scene, needed);
    match matrix::combinations(matrix, &lowerer) {
        Some(combinations) if !combinations.is_empty() => {
            drop(lowerer.findings());
            ledger.exact(&matrix.field, format!("{} builds of the batch", combinations.len()));
            let mut values: indexmap::IndexMap<String, Vec<Value>> = indexmap::IndexMap::new();
            for combination in &combinations {
                for name in combination.keys() {
                    values.entry(name.clone()).or_default();
                }
            }
            for (name, values) in &mut values {
                *values = combinations
                    .iter()
                    .map(|combination| combination.get(name).cloned().unwrap_or_default())
                    .collect();
            }
            scene.matrix = values;
            combinations
        }
        _ => {
            let mut findings = lowerer.findings();
            findings.unknown.insert(
                "its values are only known in the run: write them down, or give one as variables MATRIX_…"
                    .into(),
            );
            ledger.by(&matrix.field, "", findings);
            Vec::new()
        }
    }
}

/// Whether the job runs, as far as it is known; else the question.
pub(crate) fn condition(
    job: &model::Job<'_>,
    scene: &Scene,
    needed: &RefCell<Needed>,
    ledger: &mut Ledger,
) -> Result<Test, bool> {
    let Some(condition) = &job.condition else { return Err(true) };
    let lowerer = Lowerer::new(scene, needed);
    lowerer.of_job.set(true);
    let answer = lowerer.condition(&condition.template);
    let mut findings = lowerer.findings();
    if condition.template.asks_status() && !job.needs.is_empty() {
        findings.differences.insert("a batch starts a build only after those before it succeeded".into());
    }
    match &answer {
        Ok(test) => ledger.by(&condition.field, format!("a question before each step: `{}`", test.text), findings),
        Err(true) => ledger.by(&condition.field, "nothing: it always holds", findings),
        Err(false) if condition.template.asks_status() => ledger.manual(
            &condition.field,
            "it runs only after a failure: a batch has no such build. Let a rule of EventBridge on failed builds do it",
            None,
        ),
        Err(false) => ledger.by(&condition.field, "nothing: it never holds", findings),
    }
    answer
}

/// Image and type, and the legs of a matrix.
fn machines(
    job: &model::Job<'_>,
    scene: &mut Scene,
    combinations: &[Combination],
    needed: &RefCell<Needed>,
    draft: &mut Draft,
    ledger: &mut Ledger,
) -> (BatchEnv, Option<Runs>) {
    let outer = scene.clone();
    let of_matrix = |combination: &Combination| {
        let mut own = outer.clone();
        own.matrix = combination.iter().map(|(name, value)| (name.clone(), vec![value.clone()])).collect();
        own
    };
    let mut findings = Findings::default();
    let machines: Vec<Machine> = if combinations.is_empty() {
        vec![machine(job, scene, needed, &mut findings)]
    } else {
        combinations
            .iter()
            .map(|combination| machine(job, &of_matrix(combination), needed, &mut findings))
            .collect()
    };
    if let Some(field) = &job.runs_on {
        let images: std::collections::BTreeSet<String> =
            machines.iter().filter_map(|machine| machine.env.image.clone()).collect();
        let became = format!("`image: {}`", images.into_iter().collect::<Vec<_>>().join(", "));
        for machine in &machines {
            findings.differences.extend(machine.difference.clone());
        }
        match machines.iter().find_map(|machine| machine.impossible) {
            Some(reason) => ledger.manual(field, reason, None),
            None => ledger.by(field, became, findings),
        }
    }
    let same = |of: fn(&Machine) -> &'static str| {
        let first = machines.first().map(of);
        first.filter(|first| machines.iter().all(|machine| of(machine) == *first))
    };
    scene.os = same(|machine| machine.os);
    scene.arch = same(|machine| machine.arch);
    let mut images = Vec::new();
    if let Some(container) = &job.container {
        if combinations.is_empty() {
            let lowerer = Lowerer::new(scene, needed);
            images.push(containers::image(container, &lowerer, draft, ledger));
        } else {
            for combination in combinations {
                let own = of_matrix(combination);
                let lowerer = Lowerer::new(&own, needed);
                images.push(containers::image(container, &lowerer, &mut Draft::default(), ledger));
            }
            let lowerer = Lowerer::new(scene, needed);
            for variable in &container.env {
                draft.variable(&variable.name, &lowerer.template(&variable.value.template));
            }
        }
    }
    let env_of = |index: usize| {
        let mut env = machines.get(index).map(|machine| machine.env.clone()).unwrap_or_default();
        if let Some(Some(image)) = images.get(index) {
            env.image = Some(image.clone());
        }
        env
    };
    if combinations.len() < 2 {
        return (env_of(0), None);
    }
    let all: Vec<BatchEnv> = (0..combinations.len()).map(env_of).collect();
    let shared = all.first().filter(|first| all.iter().all(|env| env == *first)).cloned();
    let tolerated: Vec<bool> = combinations
        .iter()
        .map(|combination| {
            let own = of_matrix(combination);
            let lowerer = Lowerer::new(&own, needed);
            let text = job.continue_on_error.as_ref();
            text.is_some_and(|text| lowerer.condition(&text.template) == Err(true))
        })
        .collect();
    let tolerated_same = tolerated.iter().all(|flag| *flag == tolerated[0]);
    if let (Some(env), true, Some(product)) = (&shared, tolerated_same, product(combinations)) {
        return (env.clone(), Some(Runs::Matrix(product)));
    }
    let suffixes = matrix::suffixes(combinations);
    let legs = combinations
        .iter()
        .zip(suffixes)
        .zip(all)
        .zip(&tolerated)
        .map(|(((combination, suffix), env), tolerated)| {
            let own = if shared.is_some() { BatchEnv::default() } else { env };
            let variables = matrix::variables(combination);
            Leg { suffix, env: BatchEnv { variables, ..own }, ignore_failure: *tolerated && !tolerated_same }
        })
        .collect();
    (shared.unwrap_or_default(), Some(Runs::Legs(legs)))
}

/// The lists whose product the combinations are, if they are one.
fn product(combinations: &[Combination]) -> Option<indexmap::IndexMap<String, Vec<String>>> {
    let mut lists: indexmap::IndexMap<String, Vec<String>> = indexmap::IndexMap::new();
    let all: Vec<_> = combinations.iter().map(matrix::variables).collect();
    for variables in &all {
        for (name, value) in variables {
            let list = lists.entry(name.clone()).or_default();
            if !list.contains(value) {
                list.push(value.clone());
            }
        }
    }
    let size: usize = lists.values().map(Vec::len).product();
    let distinct: std::collections::HashSet<Vec<&String>> =
        all.iter().map(|leg| leg.values().collect()).collect();
    let whole = all.iter().all(|leg| leg.len() == lists.len());
    (size == combinations.len() && distinct.len() == size && whole).then_some(lists)
}

fn machine(
    job: &model::Job<'_>,
    scene: &Scene,
    needed: &RefCell<Needed>,
    findings: &mut Findings,
) -> Machine {
    let Some(field) = &job.runs_on else { return runs_on::machine(&["ubuntu-latest".into()]) };
    let lowerer = Lowerer::new(scene, needed);
    let mut labels = Vec::new();
    let mut fields = field.items();
    if let Yaml::Map(_) = field.node.value {
        let entries = field.entries();
        let of = |name: &str| entries.iter().find(|(key, _)| *key == name).map(|(_, field)| field.clone());
        fields = of("labels").map(|field| field.items()).unwrap_or_default();
        if let Some(group) = of("group").and_then(|field| field.node.text()) {
            labels.push(group.to_owned());
        }
    }
    for label in fields {
        let text = label.node.text().unwrap_or_default();
        let Ok(template) = Template::parse(text, Scope::STEP) else { continue };
        match lowerer.template(&template) {
            Lowered::Known(Value::Array(list)) => {
                labels.extend(list.items().iter().map(|item| item.to_text().to_string()));
            }
            Lowered::Known(value) => labels.push(value.to_text().to_string()),
            // The name of a run in CodeBuild's own label is of no interest.
            _ if text.starts_with("codebuild-") => labels.push(text.to_owned()),
            Lowered::Text(text) if text.inside.starts_with("codebuild-") => labels.push(text.inside),
            _ => {
                lowerer.differs("the machine is only known in the run: CodeBuild's Ubuntu stands for it");
                labels.push("ubuntu-latest".into());
            }
        }
    }
    let found = lowerer.findings();
    // Which machine it is does not depend on a variable that nobody gave.
    if labels.iter().all(|label| !label.starts_with("codebuild-")) {
        findings.differences.extend(found.differences);
    }
    runs_on::machine(&labels)
}

fn tolerated(job: &model::Job<'_>, scene: &Scene, needed: &RefCell<Needed>, ledger: &mut Ledger) -> bool {
    let Some(text) = &job.continue_on_error else { return false };
    let lowerer = Lowerer::new(scene, needed);
    let tolerated = lowerer.condition(&text.template);
    let mut findings = lowerer.findings();
    if tolerated.is_ok() {
        findings.differences.insert("decided for each leg of the matrix".into());
    }
    ledger.by(&text.field, "`ignore-failure`", findings);
    tolerated == Err(true)
}

fn outputs(
    job: &model::Job<'_>,
    scene: &Scene,
    needed: &RefCell<Needed>,
    draft: &mut Draft,
    ledger: &mut Ledger,
) {
    for output in &job.outputs {
        let lowerer = Lowerer::new(scene, needed);
        let inside = lowerer.template(&output.value.template).inside();
        let name = super::shell::variable_name(&format!("needs_{}_{}", job.id, output.name));
        let findings = lowerer.findings();
        if inside.contains("${{") {
            // What a step of the engine answers gets into the environment by a step, not by a command.
            draft.pieces.push(super::assemble::Piece {
                comment: format!("Output {}", output.name),
                commands: vec![format!("echo \"{name}={inside}\" >> \"$GITHUB_ENV\"")],
                ..super::assemble::Piece::default()
            });
            draft.exported.insert(name.clone(), format!("${name}"));
        } else {
            draft.exported.insert(name.clone(), inside);
        }
        ledger.by(&output.value.field, format!("`exported-variables`: {name}"), findings);
    }
}

/// Variables for the inputs of a workflow that is started by hand.
pub(crate) fn input(name: &str) -> String {
    triggers::input_variable(name)
}
