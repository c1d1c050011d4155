//! Jenkinsfiles to buildspecs.

mod around;
mod assign;
mod block;
mod condition;
mod directives;
mod docker;
mod flow;
mod job;
mod matrix;
mod notes;
mod plan;
mod post;
mod publish;
mod reported;
mod scope;
mod script;
mod sources;
mod stage;
mod steps;
mod value;
mod variables;
mod word;

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    ops::{Deref, DerefMut},
};

use indexmap::IndexMap;
use runspan_buildspec::{Code, Diagnostic, Shell, Translation};

use crate::{declarative, groovy};
use block::Block;
use notes::Notes;
use plan::Gathered;
use scope::Scope;

/// What a translation depends on besides the file.
pub struct Context<'c> {
    /// The image that stands for a label of agents.
    pub image_of: &'c dyn Fn(&str) -> Option<String>,
    /// Whether secrets are taken from AWS Secrets Manager, by the names that Jenkins has for them.
    pub secrets_manager: bool,
}

impl Default for Context<'_> {
    fn default() -> Self {
        Self { image_of: &|_| None, secrets_manager: false }
    }
}

/// Translates a Jenkinsfile. What cannot be read gives diagnostics and no job.
pub fn translate(text: &str, context: &Context<'_>) -> Translation {
    let parsed = groovy::parse(text);
    let mut faults = parsed.faults;
    let read = if faults.is_empty() {
        declarative::read(&parsed.script, text)
    } else {
        declarative::Read::default()
    };
    faults.extend(read.faults);
    if faults.is_empty()
        && let Some(pipeline) = &read.pipeline
    {
        faults.extend(declarative::validate(pipeline));
    }
    let notes = Notes::new(text);
    if !faults.is_empty() {
        let told =
            |fault: &groovy::Fault| Diagnostic::new(Code::Syntax, &fault.message).at(notes.span(&fault.span));
        return Translation { diagnostics: faults.iter().map(told).collect(), ..Translation::default() };
    }
    if parsed.script.is_empty() {
        let diagnostic = Diagnostic::new(Code::EmptyFile, "the file holds no pipeline");
        return Translation { diagnostics: vec![diagnostic], ..Translation::default() };
    }
    let bash = text.contains("#!/bin/bash") || text.contains("env bash") || text.contains("#!/usr/bin/bash");
    let mut translator = Translator {
        context,
        notes,
        scope: Scope::of(&parsed.script),
        shell: if bash { Shell::Bash } else { Shell::Sh },
        gathered: Gathered::default(),
        variables: IndexMap::new(),
        exports: String::new(),
        secrets: IndexMap::new(),
        runtimes: IndexMap::new(),
        identifiers: HashSet::new(),
        stashes: HashSet::new(),
        calls: Vec::new(),
        inlined: 0,
        made: HashMap::new(),
        loops: 0,
        directories: 0,
        todo: Vec::new(),
        results: false,
        fails_late: false,
        helpers: Helpers::default(),
        pairs: pairs(text),
        beside: Block::default(),
    };
    let jobs = match &read.pipeline {
        Some(pipeline) => {
            translator.notes.exact(&pipeline.span, "pipeline", "the buildspec");
            translator.around_pipeline(&parsed.script, pipeline);
            translator.pipeline(pipeline)
        }
        None => {
            let block = translator.statements(&parsed.script, "script");
            vec![translator.scripted(block)]
        }
    };
    Translation { jobs, notes: translator.notes.finish(), ..Translation::default() }
}

/// Names that variables of a script must not take from the shell.
const RESERVED: &[&str] = &["PATH", "HOME", "PWD", "IFS"];

struct Translator<'a> {
    context: &'a Context<'a>,
    notes: Notes<'a>,
    scope: Scope<'a>,
    shell: Shell,
    gathered: Gathered,
    /// Constants of the whole pipeline.
    variables: IndexMap<String, String>,
    /// Other variables of the whole pipeline.
    exports: String,
    /// Variables that must be given, and what Jenkins calls them.
    secrets: IndexMap<String, String>,
    runtimes: IndexMap<String, String>,
    identifiers: HashSet<String>,
    stashes: HashSet<String>,
    /// Methods whose bodies are being put in.
    calls: Vec<String>,
    inlined: usize,
    /// Names that are made, and how often.
    made: HashMap<String, usize>,
    loops: usize,
    directories: usize,
    /// What is left to people and stands in no phase.
    todo: Vec<String>,
    /// Whether the pipeline has results beside success and failure.
    results: bool,
    /// Whether a failure may be kept for the end.
    fails_late: bool,
    helpers: Helpers,
    /// Variables of the file that are the user or password of credentials.
    pairs: HashSet<&'a str>,
    /// What stands before `pipeline { … }`.
    beside: Block,
}

/// How often helpers have been looked into, and how deep.
#[derive(Default)]
struct Helpers {
    depth: Cell<usize>,
    count: Cell<usize>,
}

/// Names that end as those of a user or password do.
fn pairs(text: &str) -> HashSet<&str> {
    text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric())
        .filter(|word| word.ends_with("_USR") || word.ends_with("_PSW"))
        .collect()
}

impl Deref for Translator<'_> {
    type Target = Gathered;

    fn deref(&self) -> &Gathered {
        &self.gathered
    }
}

impl DerefMut for Translator<'_> {
    fn deref_mut(&mut self) -> &mut Gathered {
        &mut self.gathered
    }
}

impl<'a> Translator<'a> {
    /// What stands beside `pipeline { … }`: methods and constants that it uses.
    fn around_pipeline(&mut self, script: &'a [groovy::Stmt], pipeline: &declarative::Pipeline<'_>) {
        let mut first = Block::default();
        for stmt in script {
            if stmt.span.start <= pipeline.span.start && pipeline.span.end <= stmt.span.end {
                self.notes.exact(&stmt.span, "call", "the pipeline in it");
                continue;
            }
            let before = stmt.span.start < pipeline.span.start;
            let block = self.statements(std::slice::from_ref(stmt), "script");
            if before {
                first.append(block);
            }
        }
        self.beside = first;
    }
}
