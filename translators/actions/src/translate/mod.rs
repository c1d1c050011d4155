//! A workflow as buildspecs, with an account of each of its constructs.

mod assemble;
mod calls;
mod containers;
mod github;
mod hosting;
mod interpreter;
mod job;
mod ledger;
mod lower;
mod matrix;
mod rewrite;
mod runs_on;
mod script;
mod shell;
mod step;
mod triggers;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use runspan_buildspec::{Severity, Translation, yaml};

use crate::model;
use ledger::Ledger;
use lower::{Lowerer, Needed, Scene};
pub(crate) use shell::{Lowered, ShellText};

/// What a translation may ask of the tree that the workflow is in.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The text of a file, by its path from the root of the repository.
    pub read: &'a dyn Fn(&str) -> Option<String>,
}

impl Context<'static> {
    /// No other file is there.
    pub const ALONE: Self = Self { read: &|_| None };
}

/// Bytes of other files that are put into one: a few lines can call each other very often.
const MOST: usize = 1 << 20;
/// Why a file is not put in.
const TOO_MUCH: &str = "too much is put in already: translate it by itself";

/// One translation.
struct Work<'a> {
    context: &'a Context<'a>,
    left: Cell<usize>,
    /// Whether a local action needs the engine, by its name.
    engine: RefCell<HashMap<String, bool>>,
}

impl Work<'_> {
    /// Whether a file may be put in.
    fn charge(&self, text: &str) -> bool {
        let cost = text.len() + 1_000;
        let left = self.left.get().checked_sub(cost);
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }
}

/// Translates a workflow.
pub fn translate(text: &str, context: &Context<'_>) -> Translation {
    let tree = match yaml::read(text) {
        Ok(tree) => tree,
        Err(diagnostics) => return Translation { diagnostics, ..Translation::default() },
    };
    let (workflow, diagnostics) = model::workflow(text, &tree);
    if diagnostics.iter().any(|diagnostic| diagnostic.severity() == Severity::Error) {
        return Translation { diagnostics, ..Translation::default() };
    }
    let mut ledger = Ledger::default();
    let scene = scene_of(&workflow, &mut ledger);
    let work = Work { context, left: Cell::new(MOST), engine: RefCell::default() };
    let jobs = calls::jobs(&workflow, &scene, &work, &mut ledger, &mut Vec::new(), "");
    let mut translation = Translation { jobs, diagnostics, ..Translation::default() };
    translation.notes = ledger.finish(&tree);
    translation
}

/// What the keys beside the jobs say.
fn scene_of(workflow: &model::Workflow<'_>, ledger: &mut Ledger) -> Scene {
    let mut scene = Scene::default();
    for event in &workflow.events {
        triggers::note(event, ledger);
        if event.name == "workflow_dispatch" || event.name == "workflow_call" {
            calls::inputs_of(event, &mut scene);
        }
    }
    if let Some(name) = &workflow.name {
        ledger.exact(&name.field, "the title of the buildspec");
    }
    if let Some(name) = &workflow.run_name {
        ledger.approximate(&name.field, "nothing", "builds are named by their numbers");
    }
    workflow.hosting.iter().for_each(|field| hosting::note(field, ledger));
    hosting::defaults(&workflow.defaults, ledger);
    let needed = RefCell::new(Needed::default());
    for variable in &workflow.env {
        let lowerer = Lowerer::new(&scene, &needed);
        let lowered = lowerer.template(&variable.value.template);
        let findings = lowerer.findings();
        ledger.variable(variable, "a variable of each job", findings);
        scene.env.insert(variable.name.clone(), lowered);
    }
    scene
}
