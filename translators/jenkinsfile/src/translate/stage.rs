//! A stage as commands.

use super::{Translator, block::Block, flow::guarded_lines, post::Ended};
use crate::declarative::{Directives, Stage};

pub(super) const MIXED: &str = "what they print is mixed, and a failure of one does not end the others";

impl<'a> Translator<'a> {
    pub(super) fn fail_fast(&mut self, stage: &Stage<'a>, path: &str) {
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
    pub(super) fn around_all(&mut self, block: Block, directives: &Directives<'a>, path: &str) -> Block {
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
    pub(super) fn undecided(&mut self, block: &Block) -> Block {
        let mut out = Block::of("echo 'The condition of this stage is to be written by hand' >&2; exit 1")
            .comment("TODO by hand: the condition of this stage");
        out.append(block.clone());
        out
    }

    /// The commands of a stage.
    pub(super) fn stage(&mut self, stage: &Stage<'a>, path: &str) -> Block {
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

    pub(super) fn nested_agent(&mut self, agent: &crate::declarative::Agent<'a>, path: &str) {
        self.notes.approximate(
            &agent.span,
            &format!("{path}.agent"),
            "the image of the stages around",
            "a stage inside of others has no image of its own",
        );
    }

    /// What stands around the commands of a stage: options, `post`, `when`.
    pub(super) fn finished(&mut self, body: Block, stage: &Stage<'a>, exports: &str, path: &str) -> Block {
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

    pub(super) fn stage_options(
        &mut self,
        block: Block,
        options: &crate::declarative::Items<'a>,
        path: &str,
    ) -> Block {
        let mut block = block;
        self.notes.exact(&options.span, &format!("{path}.options"), "see each option");
        for item in options.items.iter().rev() {
            let construct = format!("{path}.options.{}", item.name);
            match item.name.as_str() {
                "timeout" if !block.sets => {
                    let Some(limit) = self.limit(item.call) else { continue };
                    self.notes.exact(&item.span, &construct, format!("`timeout {limit}`"));
                    block = Block::of(super::around::timed(&block, &limit));
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
}

pub(super) fn conditional(test: &str, block: &Block) -> Block {
    if block.is_empty() {
        return block.clone();
    }
    Block { sets: block.sets, ..Block::of(format!("if {test}; then\n{}fi", guarded_lines(block))) }
}
