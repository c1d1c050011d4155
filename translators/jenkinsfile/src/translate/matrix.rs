//! A matrix: one job, run once for each cell.

use super::plan::{Draft, Gathered};
use indexmap::IndexMap;
use runspan_buildspec::{BatchEnv, Leg, Runs};

use super::{
    Translator,
    block::Block,
    directives::Place,
    word::{Part, Word},
};
use crate::declarative::{Directives, Matrix, Stage};

/// The most legs that a matrix is written out in.
pub(super) const MOST_LEGS: usize = 256;

impl<'a> Translator<'a> {
    /// A stage with a matrix: one job, run once for each cell.
    pub(super) fn matrix(
        &mut self,
        stage: &Stage<'a>,
        matrix: &Matrix<'a>,
        place: &Place,
        before: &[String],
        path: &str,
    ) -> (Draft, Gathered) {
        self.alone(&stage.span, path, before);
        self.notes.exact(&stage.span, path, "a build of a batch for each cell");
        self.fail_fast(stage, path);
        self.stashes.clear();
        let path = format!("{path}.matrix");
        let mut axes: IndexMap<String, Vec<String>> = IndexMap::new();
        for axis in matrix.axes.iter().flatten() {
            let name = axis.name.as_ref().map(|name| name.text.clone()).unwrap_or_default();
            self.scope.set(&name, super::scope::Meaning::Variable);
            let values = axis.values.iter().filter_map(|value| self.constant(value)).collect();
            self.notes.exact(&axis.span, &format!("{path}.axes.{name}"), "values of a variable");
            axes.insert(name, values);
        }
        self.notes.exact(&matrix.axes_span, &format!("{path}.axes"), "variables");
        self.notes.exact(&matrix.span, &path, "build-matrix, or a build for each cell");
        let own = matrix.directives.agent.clone().map(|agent| self.agent(&agent, &path));
        let place = own.unwrap_or_else(|| place.clone());
        let mut draft = Draft {
            name: stage.name.clone(),
            identifier: self.identifier(&stage.name),
            depends_on: before.to_vec(),
            stages: 1,
            ..Draft::default()
        };
        let excludes = matrix.excludes.as_deref().unwrap_or_default();
        for exclude in excludes {
            self.notes.exact(&exclude.span, &format!("{path}.excludes"), "no build for these cells");
        }
        if !excludes.is_empty() {
            self.notes.exact(&matrix.excludes_span, &format!("{path}.excludes"), "no build for these cells");
        }
        let image_by_cell = place.image.as_ref().is_some_and(|image| image.constant().is_none());
        let cells = cells(&axes);
        if (excludes.is_empty() && !image_by_cell) || cells.len() > MOST_LEGS {
            draft.runs = Runs::Matrix(axes);
            draft.place = place;
        } else {
            let mut legs = Vec::new();
            for cell in cells {
                let excluded = excludes.iter().any(|exclude| {
                    exclude.axes.iter().all(|axis| {
                        let name = axis.name.as_ref().map(|name| name.text.as_str()).unwrap_or_default();
                        let value = cell.get(name).map(String::as_str).unwrap_or_default();
                        axis.values.iter().any(|it| self.constant(it).as_deref() == Some(value))
                            != axis.inverse
                    })
                });
                if excluded {
                    continue;
                }
                let image = place.image.as_ref().map(|image| with_cell(image, &cell));
                let env = BatchEnv { image, variables: cell, ..BatchEnv::default() };
                legs.push(Leg { suffix: format!("_{}", legs.len() + 1), env, ignore_failure: false });
            }
            draft.runs = Runs::Legs(legs);
        }
        // The builds of the cells are named after the job.
        let cells = draft.runs_count();
        self.identifiers.extend((1..=cells).map(|number| format!("{}_{number}", draft.identifier)));
        let mut block = Block::default();
        if let Some(stages) = &matrix.stages {
            self.notes.exact(&stages.span, &format!("{path}.stages"), "see each stage");
            for inner in &stages.stages {
                let inner_path = format!("{path}.{}", inner.name);
                if let Some(agent) = &inner.directives.agent {
                    self.nested_agent(agent, &inner_path);
                }
                block.append(self.stage(inner, &inner_path));
            }
        }
        // The directives of a cell are those of a stage.
        let cell = Stage {
            directives: Directives { agent: None, ..matrix.directives.clone() },
            name: stage.name.clone(),
            ..Stage::default()
        };
        let exports = cell
            .directives
            .environment
            .as_ref()
            .map(|it| self.environment(it, &path, None))
            .unwrap_or_default();
        cell.directives.tools.iter().for_each(|tools| self.tools(tools, &path));
        if let Some(input) = &cell.directives.input {
            let mut asked = self.input(input, &path);
            asked.append(block);
            block = asked;
        }
        let block = self.finished(block, &cell, &exports, &path);
        draft.build = self.around_all(block, &stage.directives, &path);
        (draft, std::mem::take(&mut self.gathered))
    }
}

pub(super) fn cells(axes: &IndexMap<String, Vec<String>>) -> Vec<IndexMap<String, String>> {
    let mut cells = vec![IndexMap::new()];
    for (name, values) in axes {
        if cells.len().saturating_mul(values.len()) > MOST_LEGS * 16 {
            return cells;
        }
        cells = cells
            .iter()
            .flat_map(|cell: &IndexMap<String, String>| {
                values.iter().map(|value| {
                    let mut cell = cell.clone();
                    cell.insert(name.clone(), value.clone());
                    cell
                })
            })
            .collect();
    }
    cells
}

/// The text of a word in one cell.
pub(super) fn with_cell(word: &Word, cell: &IndexMap<String, String>) -> String {
    word.0
        .iter()
        .map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Expand(text) => text
                .strip_prefix("${")
                .and_then(|name| name.strip_suffix('}'))
                .and_then(|name| cell.get(name))
                .cloned()
                .unwrap_or_else(|| text.clone()),
        })
        .collect()
}
