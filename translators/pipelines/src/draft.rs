//! A job while its step is read.

use indexmap::IndexMap;
use runspan_buildspec::{
    Artifacts, BatchEnv, Buildspec, Cache, Comments, Env, Job, OnFailure, Phase, Phases, Report, Shell, Work,
};

/// A command with what a reader should know of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) text: String,
    pub(crate) comment: Option<String>,
}

impl Command {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), comment: None }
    }

    pub(crate) fn because(text: impl Into<String>, comment: impl Into<String>) -> Self {
        Self { text: text.into(), comment: Some(comment.into()) }
    }
}

/// A job while its step is read.
#[derive(Default)]
pub(crate) struct Draft {
    /// Its name in the file.
    pub(crate) name: Option<String>,
    /// What a person has to see to.
    pub(crate) by_hand: Vec<String>,
    /// What comes before the script.
    pub(crate) before: Vec<Command>,
    pub(crate) script: Vec<Command>,
    pub(crate) after_script: Vec<Command>,
    pub(crate) variables: IndexMap<String, String>,
    pub(crate) exported: Vec<String>,
    pub(crate) bash: bool,
    pub(crate) env: BatchEnv,
    pub(crate) cache: Cache,
    pub(crate) artifacts: Option<Artifacts>,
    pub(crate) reports: IndexMap<String, Report>,
    /// Names of artifacts that later steps may ask for.
    pub(crate) shared: Vec<String>,
    pub(crate) download: Download,
    pub(crate) ignore_failure: bool,
    /// How often it is tried again.
    pub(crate) retries: Option<u8>,
    /// Whether somebody has to start it.
    pub(crate) on_demand: bool,
    /// Every text that the build's variables stand in.
    pub(crate) used: String,
}

/// Which artifacts of earlier steps a step gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Download {
    #[default]
    All,
    None,
    Named(Vec<String>),
}

impl Draft {
    /// The job, its place in the pipeline being this.
    pub(crate) fn job(self, place: &str, identifier: String, name: String, depends_on: Vec<String>) -> Job {
        let mut comments = Comments { header: self.header(place, &name), items: IndexMap::new() };
        let mut phase = |key: &str, commands: Vec<Command>| {
            if commands.is_empty() {
                return None;
            }
            let mut texts = Vec::with_capacity(commands.len());
            for (index, Command { text, comment }) in commands.into_iter().enumerate() {
                if let Some(comment) = comment {
                    comments.items.insert(format!("phases.{key}.commands[{index}]"), comment);
                }
                texts.push(text);
            }
            Some(Phase { work: Work::Commands(texts), ..Phase::default() })
        };
        let on_failure = self.retries.map(|count| OnFailure::Retry { count, pattern: None });
        let phases = Phases {
            install: None,
            pre_build: phase("pre_build", self.before),
            build: phase("build", self.script).map(|build| Phase { on_failure, ..build }),
            post_build: phase("post_build", self.after_script),
        };
        let buildspec = Buildspec {
            env: Env {
                shell: self.bash.then_some(Shell::Bash),
                variables: self.variables,
                exported_variables: self.exported,
                ..Env::default()
            },
            phases,
            reports: self.reports,
            artifacts: self.artifacts,
            cache: Some(self.cache).filter(|cache| !cache.paths.is_empty()),
            ..Buildspec::default()
        };
        Job {
            identifier,
            name,
            depends_on,
            buildspec,
            comments,
            env: self.env,
            ignore_failure: self.ignore_failure,
            on_demand: self.on_demand,
            ..Job::default()
        }
    }

    fn header(&self, place: &str, name: &str) -> String {
        let mut header = format!("{name} ({place})");
        if self.env.image.is_none() {
            header.push_str("\nThe file names no image: Bitbucket takes atlassian/default-image:latest.");
        }
        for reason in &self.by_hand {
            header.push_str("\nTO DO: ");
            header.push_str(reason);
        }
        header
    }
}
