//! The account of what became of each construct.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use runspan_buildspec::{Code, Diagnostic, Fidelity, Note};

use crate::field::Field;

/// Notes by their place, and diagnostics.
#[derive(Default)]
pub(crate) struct Account {
    notes: BTreeMap<usize, Note>,
    diagnostics: Vec<Diagnostic>,
}

impl Account {
    /// It does the same.
    pub(crate) fn exact(&mut self, at: &Field<'_>, became: impl Into<String>) {
        self.note(at, Fidelity::Exact { became: became.into() });
    }

    /// It does nearly the same.
    pub(crate) fn approximate(
        &mut self,
        at: &Field<'_>,
        became: impl Into<String>,
        difference: impl Into<String>,
    ) {
        self.note(at, Fidelity::Approximate { became: became.into(), difference: difference.into() });
    }

    /// A person has to do it.
    pub(crate) fn manual(&mut self, at: &Field<'_>, reason: impl Into<String>, suggestion: Option<String>) {
        self.note(at, Fidelity::Manual { reason: reason.into(), suggestion });
    }

    /// The same text may stand in several pipelines, by way of an anchor: its worst fate counts.
    fn note(&mut self, at: &Field<'_>, fidelity: Fidelity) {
        let note = Note { span: at.span, construct: at.path.clone(), fidelity };
        match self.notes.entry(at.span.start) {
            Entry::Vacant(free) => drop(free.insert(note)),
            Entry::Occupied(mut known) => {
                if rank(&note.fidelity) > rank(&known.get().fidelity) {
                    known.insert(note);
                }
            }
        }
    }

    /// Every key below that has no note.
    pub(crate) fn rest(&mut self, below: &Field<'_>, became: &str) {
        for (_, field) in below.entries() {
            if !self.notes.contains_key(&field.span.start) {
                self.exact(&field, became);
            }
            self.rest(&field, became);
        }
        if below.is_list() {
            for item in below.items() {
                self.rest(&item, became);
            }
        }
    }

    /// A fault of the file.
    pub(crate) fn fault(&mut self, code: Code, at: &Field<'_>, message: impl Into<String>, help: &str) {
        let fault = Diagnostic::new(code, message).at(at.span).help(help);
        if !self.diagnostics.contains(&fault) {
            self.diagnostics.push(fault);
        }
    }

    /// Everything, in the order of the file.
    pub(crate) fn close(mut self) -> (Vec<Note>, Vec<Diagnostic>) {
        self.diagnostics.sort_by_key(|fault| fault.span.map(|span| span.start));
        (self.notes.into_values().collect(), self.diagnostics)
    }
}

const fn rank(fidelity: &Fidelity) -> u8 {
    match fidelity {
        Fidelity::Exact { .. } => 0,
        Fidelity::Approximate { .. } => 1,
        Fidelity::Manual { .. } => 2,
    }
}
