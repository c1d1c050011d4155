//! Drafts as jobs.

use super::matrix::with_cell;
use super::plan::{Draft, Gathered};
use indexmap::IndexMap;
use runspan_buildspec::{
    Artifact, Artifacts, BatchEnv, Buildspec, Comments, Env, Job, Phase, Phases, Runs, Shell, Work,
};

use super::{
    Translator,
    block::{Block, Command},
    value::RESULT,
    variables,
    word::Word,
};

impl<'a> Translator<'a> {
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
    pub(super) fn job(&mut self, draft: Draft, gathered: Gathered, after: Block, cleanup: Block) -> Job {
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
    pub(super) fn phase(
        &self,
        block: Block,
        finally: Block,
        path: &str,
        comments: &mut Comments,
    ) -> Option<Phase> {
        let commands = written(block, &format!("{path}.commands"), comments);
        let finally = written(finally, &format!("{path}.finally"), comments);
        if commands.is_empty() && finally.is_empty() {
            return None;
        }
        let commands = if commands.is_empty() { vec![":".into()] } else { commands };
        Some(Phase { work: Work::Commands(commands), finally, ..Phase::default() })
    }

    /// Letters, digits and underscores, and no other job's.
    pub(super) fn identifier(&mut self, name: &str) -> String {
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
    pub(super) fn with_variables(&self, word: &Word) -> String {
        with_cell(word, &self.variables)
    }
}

/// Exports as commands of their own: CodeBuild exports what a command sets.
pub(super) fn exported(lines: &[String]) -> Block {
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
pub(super) fn written(block: Block, path: &str, comments: &mut Comments) -> Vec<String> {
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

pub(super) fn unique(mut items: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    items.retain(|item| seen.insert(item.clone()));
    items
}
