//! Declarative Pipeline as jobs: which stages share one, which come after which.

use indexmap::IndexMap;
use runspan_buildspec::{Job, Runs};

use super::{Translator, block::Block, directives::Place, post::Ended};
use crate::declarative::{Pipeline, Stage};

/// A job that is being put together.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) name: String,
    /// Unique among all drafts.
    pub(super) identifier: String,
    pub(super) depends_on: Vec<String>,
    pub(super) place: Place,
    pub(super) runs: Runs,
    /// Commands before those of the stages.
    pub(super) first: Block,
    /// Leading stages that only prepare.
    pub(super) prepare: Block,
    pub(super) build: Block,
    pub(super) stages: usize,
}

impl Draft {
    /// How often it runs.
    pub(super) fn runs_count(&self) -> usize {
        match &self.runs {
            Runs::Once => 1,
            Runs::Matrix(axes) => axes.values().map(Vec::len).fold(1, usize::saturating_mul).min(10_000),
            Runs::Legs(legs) => legs.len(),
        }
    }
}

/// What a job publishes and needs; gathered while its steps are translated.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) artifacts: Vec<String>,
    pub(super) excludes: Vec<String>,
    pub(super) reports: IndexMap<String, runspan_buildspec::Report>,
    pub(super) privileged: bool,
}

impl<'a> Translator<'a> {
    /// The jobs of a pipeline.
    pub(super) fn pipeline(&mut self, pipeline: &Pipeline<'a>) -> Vec<Job> {
        let mut variables = IndexMap::new();
        if let Some(parameters) = &pipeline.parameters {
            self.parameters(&parameters.items, "pipeline", &mut variables);
            self.notes.exact(&parameters.span, "pipeline.parameters", "variables");
        }
        let mut exports = String::new();
        if let Some(environment) = &pipeline.environment {
            exports = self.environment(environment, "pipeline", Some(&mut variables));
        }
        let place = pipeline.agent.as_ref().map(|agent| self.agent(agent, "pipeline")).unwrap_or_default();
        pipeline.tools.iter().for_each(|tools| self.tools(tools, "pipeline"));
        pipeline.options.iter().for_each(|options| self.options(options, "pipeline"));
        pipeline.triggers.iter().for_each(|triggers| self.triggers(triggers));
        pipeline.libraries.iter().for_each(|libraries| self.libraries(libraries));
        self.variables = variables;
        self.exports = exports;

        let stages = pipeline.stages.as_ref();
        if let Some(stages) = stages {
            self.notes.exact(&stages.span, "pipeline.stages", "see each stage");
        }
        let stages: &[Stage<'a>] = stages.map(|stages| stages.stages.as_slice()).unwrap_or_default();
        let mut drafts = self.drafts(stages, &place, pipeline.post.is_none());
        let several = drafts.len() > 1;
        let last = drafts.len().saturating_sub(1);
        let mut jobs = Vec::new();
        let (mut after, mut cleanup) = (Block::default(), Block::default());
        if let Some(post) = &pipeline.post {
            self.directories = 0;
            (after, cleanup) = self.post(post, Ended::Build, "pipeline");
            if several {
                after = after.comment("post, in each build of the batch");
            }
        }
        let of_post = std::mem::take(&mut self.gathered);
        for (index, (draft, mut gathered)) in drafts.drain(..).enumerate() {
            // What `post` publishes is made by any of them.
            if index == last || several {
                gathered.artifacts.extend(of_post.artifacts.iter().cloned());
                gathered.excludes.extend(of_post.excludes.iter().cloned());
                gathered.reports.extend(of_post.reports.iter().map(|(name, it)| (name.clone(), it.clone())));
            }
            gathered.privileged |= of_post.privileged;
            jobs.push(self.job(draft, gathered, after.clone(), cleanup.clone()));
        }
        jobs
    }

    /// Which stages make up which job.
    pub(super) fn drafts(
        &mut self,
        stages: &[Stage<'a>],
        place: &Place,
        may_prepare: bool,
    ) -> Vec<(Draft, Gathered)> {
        let mut drafts: Vec<(Draft, Gathered)> = Vec::new();
        let mut open: Option<Draft> = None;
        let mut before: Vec<String> = Vec::new();
        for stage in stages {
            let path = format!("stages.{}", stage.name);
            if let Some(matrix) = &stage.matrix {
                self.close(&mut open, &mut drafts, &mut before);
                let (draft, gathered) = self.matrix(stage, matrix, place, &before, &path);
                before = vec![draft.identifier.clone()];
                drafts.push((draft, gathered));
                continue;
            }
            if let Some(parallel) = &stage.parallel
                && self.is_graph(stages, stage, place)
            {
                self.close(&mut open, &mut drafts, &mut before);
                self.notes.exact(&stage.span, &path, "builds of a batch that do not wait for each other");
                self.notes.exact(&parallel.span, &format!("{path}.parallel"), "builds of a batch");
                self.fail_fast(stage, &path);
                let mut after = Vec::new();
                for branch in &parallel.stages {
                    let branch_path = format!("{path}.{}", branch.name);
                    let own = branch.directives.agent.clone().map(|agent| self.agent(&agent, &branch_path));
                    let mut draft = Draft {
                        name: branch.name.clone(),
                        identifier: self.identifier(&branch.name),
                        depends_on: before.clone(),
                        place: own.unwrap_or_else(|| place.clone()),
                        ..Draft::default()
                    };
                    self.alone(&branch.span, &branch_path, &before);
                    let block = self.stage(branch, &branch_path);
                    self.stashes.clear();
                    draft.build = self.around_all(block, &stage.directives, &path);
                    draft.stages = 1;
                    after.push(draft.identifier.clone());
                    drafts.push((draft, std::mem::take(&mut self.gathered)));
                }
                before = after;
                continue;
            }
            let own = stage.directives.agent.clone().map(|agent| self.agent(&agent, &path));
            let own = own.unwrap_or_else(|| place.clone());
            if open.as_ref().is_some_and(|draft| draft.place.key != own.key) {
                self.close(&mut open, &mut drafts, &mut before);
            }
            let mut draft = open.take().unwrap_or_else(|| Draft {
                name: stage.name.clone(),
                identifier: self.identifier(&stage.name),
                depends_on: before.clone(),
                place: own.clone(),
                ..Draft::default()
            });
            if draft.stages == 0 {
                self.alone(&stage.span, &path, &before);
            }
            let prepares =
                may_prepare && draft.build.is_empty() && prepares(&stage.name) && stage.parallel.is_none();
            draft.stages += 1;
            let block = self.stage(stage, &path);
            if prepares {
                draft.prepare.append(block)
            } else {
                draft.build.append(block)
            }
            open = Some(draft);
        }
        self.close(&mut open, &mut drafts, &mut before);
        if drafts.len() == 1
            && let Some((draft, _)) = drafts.first_mut()
        {
            draft.name = "build".into();
            draft.identifier = "build".into();
        }
        drafts
    }

    /// Says what a build after others lacks.
    pub(super) fn alone(&mut self, span: &std::ops::Range<usize>, path: &str, before: &[String]) {
        if !before.is_empty() {
            self.notes.approximate(
                span,
                path,
                "a build of the batch",
                "it has a checkout of its own: files that the builds before have made must be handed over, as by S3 or the cache",
            );
        }
    }

    pub(super) fn close(
        &mut self,
        open: &mut Option<Draft>,
        drafts: &mut Vec<(Draft, Gathered)>,
        before: &mut Vec<String>,
    ) {
        if let Some(mut draft) = open.take() {
            self.stashes.clear();
            if draft.build.is_empty() && !draft.prepare.is_empty() {
                let mut build = std::mem::take(&mut draft.prepare);
                build.append(std::mem::take(&mut draft.build));
                draft.build = build;
            }
            *before = vec![draft.identifier.clone()];
            drafts.push((draft, std::mem::take(&mut self.gathered)));
        }
    }

    /// Whether parallel stages are builds of their own: they bring agents of their own, or nothing else shares their
    /// workspace. Those that share one stay together, where the files of the stages before are.
    pub(super) fn is_graph(&self, stages: &[Stage<'a>], stage: &Stage<'a>, place: &Place) -> bool {
        let Some(parallel) = &stage.parallel else { return false };
        place.key == "none"
            || stages.len() == 1
            || parallel.stages.iter().any(|branch| branch.directives.agent.is_some())
    }
}

/// Whether a stage only makes things ready, by its name.
pub(super) fn prepares(name: &str) -> bool {
    let name = name.to_lowercase();
    ["install", "setup", "set up", "prepare", "preparation", "dependenc", "checkout", "init"]
        .iter()
        .any(|word| name.contains(word))
}
