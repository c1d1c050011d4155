//! Declarative Pipeline as jobs: which stages share one, which come after which.

use indexmap::IndexMap;
use runspan_buildspec::{
    Artifact, Artifacts, BatchEnv, Buildspec, Comments, Env, Job, Leg, Phase, Phases, Runs, Shell, Work,
};

use super::{
    Translator,
    block::{Block, Command},
    directives::Place,
    post::Ended,
    script::guarded_lines,
    value::RESULT,
    variables,
    word::{Part, Word},
};
use crate::declarative::{Directives, Matrix, Pipeline, Stage};

/// A job that is being put together.
#[derive(Default)]
pub(super) struct Draft {
    name: String,
    /// Unique among all drafts.
    identifier: String,
    depends_on: Vec<String>,
    place: Place,
    runs: Runs,
    /// Commands before those of the stages.
    first: Block,
    /// Leading stages that only prepare.
    prepare: Block,
    build: Block,
    stages: usize,
}

impl Draft {
    /// How often it runs.
    fn runs_count(&self) -> usize {
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

/// The most legs that a matrix is written out in.
const MOST_LEGS: usize = 256;

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
    fn drafts(&mut self, stages: &[Stage<'a>], place: &Place, may_prepare: bool) -> Vec<(Draft, Gathered)> {
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
    fn alone(&mut self, span: &std::ops::Range<usize>, path: &str, before: &[String]) {
        if !before.is_empty() {
            self.notes.approximate(
                span,
                path,
                "a build of the batch",
                "it has a checkout of its own: files that the builds before have made must be handed over, as by S3 or the cache",
            );
        }
    }

    fn close(
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
    fn is_graph(&self, stages: &[Stage<'a>], stage: &Stage<'a>, place: &Place) -> bool {
        let Some(parallel) = &stage.parallel else { return false };
        place.key == "none"
            || stages.len() == 1
            || parallel.stages.iter().any(|branch| branch.directives.agent.is_some())
    }

    fn fail_fast(&mut self, stage: &Stage<'a>, path: &str) {
        if let Some(span) = &stage.fail_fast_span {
            self.notes.approximate(
                span,
                &format!("{path}.failFast"),
                "nothing",
                "batch.fast-fail stands for it; without a batch the others go on to their end",
            );
        }
    }

    /// What a stage with several says, around the commands of one of them.
    fn around_all(&mut self, block: Block, directives: &Directives<'a>, path: &str) -> Block {
        let exports =
            directives.environment.as_ref().map(|it| self.environment(it, path, None)).unwrap_or_default();
        directives.options.iter().for_each(|options| self.options(options, path));
        if let Some(post) = &directives.post {
            let text = self.notes.quote(&post.span, 12);
            self.notes.manual(
                &post.span,
                &format!("{path}.post"),
                "no build comes after all of these, whether they succeed or fail",
                Some(format!("# in each of them\n# {}", text.replace('\n', "\n# "))),
            );
        }
        let mut block = block;
        if !exports.is_empty() {
            block = Block { sets: block.sets, ..Block::of(block.guarded(&exports)) };
        }
        if let Some(input) = &directives.input {
            let mut asked = self.input(input, path);
            asked.append(block);
            block = asked;
        }
        match directives.when.as_ref().map(|when| self.when(when, path)) {
            None => block,
            Some(Some(test)) => conditional(&test, &block),
            Some(None) => self.undecided(&block),
        }
    }

    /// Commands behind a condition that nobody has written yet: they must neither run nor be passed over.
    fn undecided(&mut self, block: &Block) -> Block {
        let mut out = Block::of("echo 'The condition of this stage is to be written by hand' >&2; exit 1")
            .comment("TODO by hand: the condition of this stage");
        out.append(block.clone());
        out
    }

    /// The commands of a stage.
    fn stage(&mut self, stage: &Stage<'a>, path: &str) -> Block {
        let directives = &stage.directives;
        self.notes.exact(&stage.span, path, "its commands, under a comment");
        let exports =
            directives.environment.as_ref().map(|it| self.environment(it, path, None)).unwrap_or_default();
        directives.tools.iter().for_each(|tools| self.tools(tools, path));
        let mut block = Block::default();
        if let Some(input) = &directives.input {
            block.append(self.input(input, path));
        }
        if let Some(span) = &stage.steps_span {
            self.notes.exact(span, &format!("{path}.steps"), "its commands");
        }
        match stage.branches.as_slice() {
            [only] => block.append(self.statements(only.body, path)),
            [] => {}
            several => {
                let blocks: Vec<_> = several
                    .iter()
                    .map(|branch| {
                        let block = self.statements(branch.body, &format!("{path}.{}", branch.name));
                        (branch.name.clone(), block)
                    })
                    .collect();
                if let Some(span) = &stage.parallel_step_span {
                    self.notes.approximate(
                        span,
                        &format!("{path}.parallel"),
                        "all at once in the background",
                        MIXED,
                    );
                }
                block.append(self.at_once(&blocks));
            }
        }
        if let Some(stages) = &stage.stages {
            self.notes.exact(&stages.span, &format!("{path}.stages"), "see each stage");
            for inner in &stages.stages {
                let inner_path = format!("{path}.{}", inner.name);
                if let Some(agent) = &inner.directives.agent {
                    self.nested_agent(agent, &inner_path);
                }
                block.append(self.stage(inner, &inner_path));
            }
        }
        if let Some(parallel) = &stage.parallel {
            self.notes.approximate(
                &parallel.span,
                &format!("{path}.parallel"),
                "all at once in the background, where the files of the stages before are",
                MIXED,
            );
            self.fail_fast(stage, path);
            let mut blocks = Vec::new();
            for branch in &parallel.stages {
                let branch_path = format!("{path}.{}", branch.name);
                if let Some(agent) = &branch.directives.agent {
                    self.nested_agent(agent, &branch_path);
                }
                let block = self.stage(branch, &branch_path);
                blocks.push((branch.name.clone(), block));
            }
            block.append(self.at_once(&blocks));
        }
        if let Some(matrix) = &stage.matrix {
            block.append(self.by_hand(
                &matrix.span,
                &format!("{path}.matrix"),
                "a matrix inside of other stages is no matrix of a batch",
                Some("# move it to the stages of the pipeline".into()),
                true,
            ));
        }
        self.finished(block, stage, &exports, path)
    }

    fn nested_agent(&mut self, agent: &crate::declarative::Agent<'a>, path: &str) {
        self.notes.approximate(
            &agent.span,
            &format!("{path}.agent"),
            "the image of the stages around",
            "a stage inside of others has no image of its own",
        );
    }

    /// What stands around the commands of a stage: options, `post`, `when`.
    fn finished(&mut self, body: Block, stage: &Stage<'a>, exports: &str, path: &str) -> Block {
        let directives = &stage.directives;
        let mut block = body;
        if !exports.is_empty() {
            block = Block { sets: block.sets, ..Block::of(block.guarded(exports)) };
        }
        if let Some(options) = &directives.options {
            block = self.stage_options(block, options, path);
        }
        if let Some(post) = &directives.post {
            let status = self.fresh("stage_status");
            let (mut after, cleanup) = self.post(post, Ended::Status(&status), path);
            after.append(cleanup);
            if after.is_empty() {
                block
                    .commands
                    .extend(after.commands.into_iter().filter(|command| !command.comment.is_empty()));
            } else {
                let lost = if block.sets { "# what is set in this stage ends with it\n" } else { "" };
                let text = format!(
                    "{lost}set +e\n{}\n{status}=$?\n{}[ \"${status}\" = 0 ] || exit \"${status}\"\nset -e",
                    block.apart(""),
                    after.lines()
                );
                block = Block { sets: after.sets, ..Block::of(text) };
            }
        }
        let block = match directives.when.as_ref().map(|when| self.when(when, path)) {
            None => block,
            Some(Some(test)) => conditional(&test, &block),
            Some(None) => self.undecided(&block),
        };
        block.comment(&format!("Stage: {}", stage.name))
    }

    fn stage_options(&mut self, block: Block, options: &crate::declarative::Items<'a>, path: &str) -> Block {
        let mut block = block;
        self.notes.exact(&options.span, &format!("{path}.options"), "see each option");
        for item in options.items.iter().rev() {
            let construct = format!("{path}.options.{}", item.name);
            match item.name.as_str() {
                "timeout" if !block.sets => {
                    let Some(limit) = self.limit(item.call) else { continue };
                    self.notes.exact(&item.span, &construct, format!("`timeout {limit}`"));
                    block = Block::of(super::steps::timed(&block, &limit));
                }
                "retry" => {
                    let count = super::scope::first(item.call).and_then(|count| self.value(count));
                    let Some(count) = count else { continue };
                    self.notes.exact(&item.span, &construct, "a loop of the shell");
                    block = self.retried(&block, &count.argument());
                }
                "withAWS" | "withCredentials" | "withEnv" => self.notes.manual(
                    &item.span,
                    &construct,
                    "it is around the whole stage",
                    Some("export NAME=value # at the beginning of the stage".into()),
                ),
                _ => self.notes.approximate(
                    &item.span,
                    &construct,
                    "nothing",
                    "it is of Jenkins alone, or cannot be kept around these commands",
                ),
            }
        }
        block
    }

    /// A stage with a matrix: one job, run once for each cell.
    fn matrix(
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

    /// A job for statements that stand by themselves.
    pub(super) fn scripted(&mut self, block: Block) -> Job {
        let draft = Draft {
            name: "build".into(),
            identifier: "build".into(),
            build: block,
            stages: 1,
            ..Draft::default()
        };
        let gathered = std::mem::take(&mut self.gathered);
        self.job(draft, gathered, Block::default(), Block::default())
    }

    /// The buildspec of a draft.
    fn job(&mut self, draft: Draft, gathered: Gathered, after: Block, cleanup: Block) -> Job {
        let mut comments = Comments::default();
        let mut variables = self.variables.clone();
        let env = BatchEnv {
            image: draft.place.image.as_ref().map(|image| self.with_variables(image)),
            privileged_mode: gathered.privileged.then_some(true),
            ..BatchEnv::default()
        };
        let (prepare, mut build) = if draft.prepare.is_empty() {
            let mut build = draft.prepare;
            build.append(draft.build);
            (Block::default(), build)
        } else {
            (draft.prepare, draft.build)
        };
        if self.fails_late {
            build.append(
                Block::of(format!("[ \"${RESULT}\" != FAILURE ]"))
                    .comment("What failed without ending the build fails it here."),
            );
        }
        let own: Vec<&str> = match &draft.runs {
            Runs::Matrix(axes) => axes.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        variables.retain(|name, _| !own.contains(&name.as_str()));
        // What Jenkins gives and these commands use.
        let texts: Vec<&str> = [&draft.first, &prepare, &build, &after, &cleanup]
            .iter()
            .flat_map(|block| block.commands.iter().map(|command| command.text.as_str()))
            .chain(self.beside.commands.iter().map(|command| command.text.as_str()))
            .chain([self.exports.as_str()])
            .collect();
        let beside = self.beside.clone();
        let set = |name: &str| variables.contains_key(name) || self.secrets.contains_key(name);
        let needed = variables::needed(texts.into_iter(), &set);
        let mut before = draft.first;
        for text in needed {
            before.append(Block::of(text));
        }
        if let Some(first) = before.commands.first_mut() {
            first.comment = "Variables that Jenkins gives to a build.".into();
        }
        let exports: Vec<_> = self.exports.lines().map(str::to_owned).collect();
        let count = before.commands.len();
        before.append(exported(&exports));
        if let Some(command) = before.commands.get_mut(count)
            && command.comment.is_empty()
        {
            command.comment = "environment".into();
        }
        before.append(beside);
        before.append(prepare);

        let mut phases = Phases::default();
        if !self.runtimes.is_empty() {
            phases.install = Some(Phase { runtime_versions: self.runtimes.clone(), ..Phase::default() });
        }
        phases.pre_build = self.phase(before, Block::default(), "phases.pre_build", &mut comments);
        if build.is_empty() {
            build.append(Block::of("echo 'No commands'"));
        }
        phases.build = self.phase(build, Block::default(), "phases.build", &mut comments);
        phases.post_build = self.phase(after, cleanup, "phases.post_build", &mut comments);
        let mut header = self.todo.concat();
        if !self.secrets.is_empty() {
            header.push_str("To be given as variables (secrets of Jenkins):\n");
            for (name, id) in &self.secrets {
                header.push_str(&format!("  {name} ({id})\n"));
            }
        }
        comments.header = header;
        let secrets = if self.context.secrets_manager { self.secrets.clone() } else { IndexMap::new() };
        let artifacts = (!gathered.artifacts.is_empty()).then(|| Artifacts {
            primary: Artifact {
                files: unique(gathered.artifacts),
                exclude_paths: unique(gathered.excludes),
                ..Artifact::default()
            },
            ..Artifacts::default()
        });
        let buildspec = Buildspec {
            env: Env {
                shell: (self.shell == Shell::Bash).then_some(Shell::Bash),
                variables,
                secrets_manager: secrets,
                ..Env::default()
            },
            phases,
            reports: gathered.reports,
            artifacts,
            ..Buildspec::default()
        };
        Job {
            identifier: draft.identifier,
            name: draft.name,
            depends_on: draft.depends_on,
            buildspec,
            comments,
            env,
            runs: draft.runs,
            ..Job::default()
        }
    }

    /// A phase of commands; nothing when there are none.
    fn phase(&self, block: Block, finally: Block, path: &str, comments: &mut Comments) -> Option<Phase> {
        let commands = written(block, &format!("{path}.commands"), comments);
        let finally = written(finally, &format!("{path}.finally"), comments);
        if commands.is_empty() && finally.is_empty() {
            return None;
        }
        let commands = if commands.is_empty() { vec![":".into()] } else { commands };
        Some(Phase { work: Work::Commands(commands), finally, ..Phase::default() })
    }

    /// Letters, digits and underscores, and no other job's.
    fn identifier(&mut self, name: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let words: String = name.chars().take(100).map(plain).collect();
        let words: Vec<_> = words.split('_').filter(|word| !word.is_empty()).collect();
        let base = if words.is_empty() { "job".to_owned() } else { words.join("_") };
        let mut identifier = base.clone();
        let mut number = 1;
        while !self.identifiers.insert(identifier.clone()) {
            number += 1;
            identifier = format!("{base}_{number}");
        }
        identifier
    }

    /// A text in which variables of the pipeline have their values.
    fn with_variables(&self, word: &Word) -> String {
        with_cell(word, &self.variables)
    }
}

const MIXED: &str = "what they print is mixed, and a failure of one does not end the others";

/// Whether a stage only makes things ready, by its name.
fn prepares(name: &str) -> bool {
    let name = name.to_lowercase();
    ["install", "setup", "set up", "prepare", "preparation", "dependenc", "checkout", "init"]
        .iter()
        .any(|word| name.contains(word))
}

fn conditional(test: &str, block: &Block) -> Block {
    if block.is_empty() {
        return block.clone();
    }
    Block { sets: block.sets, ..Block::of(format!("if {test}; then\n{}fi", guarded_lines(block))) }
}

/// Exports as commands of their own: CodeBuild exports what a command sets.
fn exported(lines: &[String]) -> Block {
    let mut block = Block::default();
    let mut comment = String::new();
    let mut text = String::new();
    let mut quoted = false;
    for line in lines {
        if !quoted && let Some(said) = line.strip_prefix("# ") {
            comment.push_str(said);
            continue;
        }
        let line = if quoted { line.as_str() } else { line.strip_prefix("export ").unwrap_or(line) };
        if !quoted && !line.contains('=') {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
        // A value may have several lines.
        quoted = text.matches('\'').count() % 2 == 1 || text.matches('"').count() % 2 == 1;
        if !quoted {
            block
                .commands
                .push(Command { text: std::mem::take(&mut text), comment: std::mem::take(&mut comment) });
        }
    }
    if !text.is_empty() || !comment.is_empty() {
        block.commands.push(Command { text, comment });
    }
    block
}

/// Commands and what is said of them, as the buildspec has them.
fn written(block: Block, path: &str, comments: &mut Comments) -> Vec<String> {
    let mut texts = Vec::new();
    let mut waiting = String::new();
    for command in block.commands {
        if !command.comment.is_empty() {
            if !waiting.is_empty() {
                waiting.push('\n');
            }
            waiting.push_str(&command.comment);
        }
        if command.text.is_empty() {
            continue;
        }
        if !waiting.is_empty() {
            comments.items.insert(format!("{path}[{}]", texts.len()), std::mem::take(&mut waiting));
        }
        texts.push(bare(&command.text));
    }
    if !waiting.is_empty() {
        // A comment alone needs a command to stand above.
        comments.items.insert(format!("{path}[{}]", texts.len()), waiting);
        texts.push(":".into());
    }
    texts
}

/// A command without the switches of `set` that only matter inside of others.
pub(super) fn bare(text: &str) -> String {
    match text.strip_prefix("set +e\n").and_then(|text| text.strip_suffix("\nset -e")) {
        Some(inner) => inner.to_owned(),
        None => text.to_owned(),
    }
}

fn cells(axes: &IndexMap<String, Vec<String>>) -> Vec<IndexMap<String, String>> {
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
fn with_cell(word: &Word, cell: &IndexMap<String, String>) -> String {
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

fn unique(mut items: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    items.retain(|item| seen.insert(item.clone()));
    items
}
