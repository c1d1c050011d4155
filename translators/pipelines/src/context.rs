//! What a translation needs to know beside the file.

/// Reads a file of the tree, or of a repository beside it, by its path.
type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a translation needs to know beside the file.
pub struct Context<'a> {
    /// Which pipeline of the file becomes the jobs.
    pub selection: Selection,
    /// Gives the text of a file that is imported; `None` where there is none.
    pub read: Read<'a>,
}

impl Default for Context<'_> {
    fn default() -> Self {
        Self { selection: Selection::default(), read: &|_| None }
    }
}

/// Which pipeline of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// `default`, or what comes nearest to it.
    #[default]
    Default,
    /// By its place, as in `branches.main` or `custom.deploy`; or the one with a step of this name.
    Named(String),
    /// That of a push to this branch.
    Branch(String),
    /// That of a push of this tag.
    Tag(String),
    /// That of a pull request from this branch.
    PullRequest(String),
}
