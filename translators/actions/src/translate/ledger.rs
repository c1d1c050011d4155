//! The account of the constructs of a file: each has one note, none is forgotten.

use std::collections::{BTreeSet, HashMap};

use runspan_buildspec::{
    Fidelity, Note, Span,
    yaml::{Node, Value},
};

use super::{lower::Findings, shell::is_name};
use crate::model::{Field, Variable};

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    notes: Vec<Note>,
    by_path: HashMap<String, usize>,
    /// Notes of a file that stands inside of another have no place of their own here.
    muted: usize,
}

impl Ledger {
    /// Runs something whose notes count for nobody; what they were.
    pub(crate) fn aside<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> (T, Vec<Note>) {
        let mut inner = Self { muted: self.muted + 1, ..Self::default() };
        let value = work(&mut inner);
        (value, inner.notes)
    }

    pub(crate) fn note(&mut self, path: &str, span: Span, fidelity: Fidelity) {
        // A construct that is seen twice, such as a job of several runs, keeps what is worse.
        if let Some(index) = self.by_path.get(path) {
            let old = &mut self.notes[*index];
            if rank(&fidelity) > rank(&old.fidelity) {
                old.fidelity = fidelity;
            }
            return;
        }
        self.by_path.insert(path.to_owned(), self.notes.len());
        self.notes.push(Note { span, construct: path.to_owned(), fidelity });
    }

    pub(crate) fn exact(&mut self, field: &Field<'_>, became: impl Into<String>) {
        self.note(&field.path, field.place, Fidelity::Exact { became: became.into() });
    }

    pub(crate) fn approximate(
        &mut self,
        field: &Field<'_>,
        became: impl Into<String>,
        difference: impl Into<String>,
    ) {
        let fidelity = Fidelity::Approximate { became: became.into(), difference: difference.into() };
        self.note(&field.path, field.place, fidelity);
    }

    pub(crate) fn manual(
        &mut self,
        field: &Field<'_>,
        reason: impl Into<String>,
        suggestion: Option<String>,
    ) {
        self.note(&field.path, field.place, Fidelity::Manual { reason: reason.into(), suggestion });
    }

    /// A variable, by what its expressions needed.
    pub(crate) fn variable(&mut self, variable: &Variable<'_>, became: &str, mut findings: Findings) {
        if !is_name(&variable.name) {
            findings.differences.insert("a shell cannot set a variable of that name: it is left out".into());
        }
        self.by(&variable.value.field, became, findings);
    }

    /// By what its expressions needed.
    pub(crate) fn by(&mut self, field: &Field<'_>, became: impl Into<String>, findings: Findings) {
        self.note(&field.path, field.place, fidelity(became.into(), findings));
    }

    /// The notes in the order of the file; what has none is manual.
    pub(crate) fn finish(mut self, tree: &Node) -> Vec<Note> {
        let noted: BTreeSet<String> = self.by_path.keys().cloned().collect();
        let mut missing = Vec::new();
        leaves(tree, "", &noted, &mut missing);
        for (path, span) in missing {
            let reason = "this key means nothing to GitHub, or to this translator".to_owned();
            self.note(&path, span, Fidelity::Manual { reason, suggestion: None });
        }
        self.notes.sort_by_key(|note| note.span.start);
        self.notes
    }
}

pub(crate) fn fidelity(became: String, findings: Findings) -> Fidelity {
    let join = |texts: BTreeSet<String>| texts.into_iter().collect::<Vec<_>>().join("; ");
    if !findings.unknown.is_empty() {
        let names: Vec<_> = findings
            .unknown
            .iter()
            .filter_map(|reason| reason.rsplit_once("the variable ").or_else(|| reason.rsplit_once("set ")))
            .map(|(_, name)| format!("    {name}: \"…\""))
            .collect();
        let suggestion = (!names.is_empty()).then(|| format!("env:\n  variables:\n{}", names.join("\n")));
        return Fidelity::Manual { reason: join(findings.unknown), suggestion };
    }
    if findings.differences.is_empty() {
        Fidelity::Exact { became }
    } else {
        Fidelity::Approximate { became, difference: join(findings.differences) }
    }
}

const fn rank(fidelity: &Fidelity) -> u8 {
    match fidelity {
        Fidelity::Exact { .. } => 0,
        Fidelity::Approximate { .. } => 1,
        Fidelity::Manual { .. } => 2,
    }
}

/// Values without parts that stand under no noted path.
fn leaves(node: &Node, path: &str, noted: &BTreeSet<String>, missing: &mut Vec<(String, Span)>) {
    if !path.is_empty() && noted.contains(path) {
        return;
    }
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            for entry in entries {
                let name = &entry.key.text;
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let before = missing.len();
                leaves(&entry.value, &path, noted, missing);
                // Underline the key, which is what is not known.
                if let Some((of, span)) = missing.get_mut(before)
                    && *of == path
                {
                    *span = entry.key.span;
                }
            }
        }
        Value::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}[{index}]"), noted, missing);
            }
        }
        _ if path.is_empty() => {}
        _ => missing.push((path.to_owned(), node.span)),
    }
}
