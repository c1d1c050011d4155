//! The source of a build: fetched on the host, sent to the agent as one tar stream.
//!
//! Everything here blocks; call it where blocking is allowed.

mod directory;
mod error;
mod git;
mod git_command;
mod mirror;
mod version;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runspan_archive::{Limits, Options, SendFile, unpack_zip};

pub use directory::{Origin, Streamed};
pub use error::SourceError;
pub use git::{Git, GitLogin};

/// Where a build's source comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// `NO_SOURCE`.
    None,
    /// A directory of this machine; never written to.
    Directory(PathBuf),
    /// A git repository.
    Git(Git),
    /// A zip file of this machine, as S3 and CodePipeline have.
    Zip(PathBuf),
}

/// What fetching needs to know beyond the source.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Identifier of a secondary source; the primary source has none.
    pub identifier: Option<&'a str>,
    /// Directory for what is fetched, made where absent.
    pub work_dir: &'a Path,
    /// Directory of `LOCAL_SOURCE_CACHE`, shared by builds, when that is on.
    pub source_cache: Option<&'a Path>,
    /// How long git may take for all it does.
    pub timeout: Duration,
    /// Whether git may read repositories of this machine.
    pub allow_file_protocol: bool,
    /// Whether git may use the keys and logins of the user who runs this; not for sources that others choose.
    pub user_logins: bool,
    /// What is too much for a zip file.
    pub limits: Limits,
}

/// A fetched source; what was made for it goes when this goes.
#[derive(Debug)]
pub struct Fetched {
    tree: Tree,
    /// CodeBuild's `resolvedSourceVersion`: the commit, of a git source.
    pub resolved_version: Option<String>,
    /// Of a directory that is in a git checkout.
    pub origin: Option<Origin>,
    /// What the user should know, one line each.
    pub warnings: Vec<String>,
}

#[derive(Debug)]
enum Tree {
    Nothing,
    Borrowed(PathBuf),
    Made(tempfile::TempDir),
}

impl Fetched {
    /// A directory that was made for it.
    pub(crate) fn made(dir: tempfile::TempDir) -> Self {
        Self { tree: Tree::Made(dir), resolved_version: None, origin: None, warnings: Vec::new() }
    }

    /// The root of the source on this machine.
    pub fn path(&self) -> Option<&Path> {
        match &self.tree {
            Tree::Nothing => None,
            Tree::Borrowed(path) => Some(path),
            Tree::Made(dir) => Some(dir.path()),
        }
    }
}

/// Fetches a source.
///
/// # Errors
/// [`SourceError`], in CodeBuild's words where it has any.
pub fn fetch(source: &Source, context: &Context<'_>) -> Result<Fetched, SourceError> {
    let fetched = |tree| Fetched { tree, resolved_version: None, origin: None, warnings: Vec::new() };
    match source {
        Source::None => Ok(fetched(Tree::Nothing)),
        Source::Directory(path) => {
            if !path.is_dir() {
                return Err(SourceError::NoDirectory { path: path.clone() });
            }
            let origin = directory::origin(path);
            let warnings = directory::outside_git_dir(path).into_iter().collect();
            Ok(Fetched { origin, warnings, ..fetched(Tree::Borrowed(path.clone())) })
        }
        Source::Git(git) => {
            let (dir, commit) = git::fetch(git, context)?;
            Ok(Fetched { resolved_version: Some(commit), ..fetched(Tree::Made(dir)) })
        }
        Source::Zip(path) => {
            let dir = work_dir(context)?;
            let file = File::open(path).map_err(|source| SourceError::Disk { path: path.clone(), source })?;
            let options = Options { limits: context.limits, ..Options::default() };
            unpack_zip(file, dir.path(), options)
                .map_err(|source| SourceError::Zip { path: path.clone(), source })?;
            Ok(fetched(Tree::Made(dir)))
        }
    }
}

/// Sends a fetched source as a tar stream with names relative to its root.
///
/// # Errors
/// [`SourceError::Send`] when the stream fails. What cannot be read is a warning.
pub fn send(fetched: &Fetched, to: &mut dyn SendFile) -> Result<Streamed, SourceError> {
    directory::send(fetched.path(), to)
}

fn work_dir(context: &Context<'_>) -> Result<tempfile::TempDir, SourceError> {
    let fail = |source| SourceError::Disk { path: context.work_dir.to_owned(), source };
    std::fs::create_dir_all(context.work_dir).map_err(fail)?;
    tempfile::Builder::new().prefix("source-").tempdir_in(context.work_dir).map_err(fail)
}
