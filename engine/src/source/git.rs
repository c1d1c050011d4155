//! Git repositories, checked out as CodeBuild does: detached, at exactly the version that was asked for.

use std::num::NonZeroU32;
use std::path::Path;

pub use runspan_agent_protocol::GitLogin;

use super::git_command::{GitCommand, Ran, split_login};
use super::version::Version;
use super::{Context, SourceError, mirror, work_dir};

const EVERYTHING: [&str; 2] = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];

/// A git source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Git {
    /// URL to clone; a login in it is used but not kept.
    pub url: String,
    /// `sourceVersion`; empty for the default branch.
    pub version: String,
    /// `gitCloneDepth`; the whole history when absent.
    pub depth: Option<NonZeroU32>,
    /// `fetchSubmodules`.
    pub submodules: bool,
    /// Login for the host of the URL.
    pub login: Option<GitLogin>,
    /// `insecureSsl`.
    pub insecure_ssl: bool,
}

/// Clones and checks out; returns the checkout and its commit.
pub(super) fn fetch(source: &Git, context: &Context<'_>) -> Result<(tempfile::TempDir, String), SourceError> {
    let (url, login) = without_login(&source.url);
    check_location(&url, context.allow_file_protocol)?;
    let mut git = GitCommand::new(context);
    if source.insecure_ssl {
        git = git.insecure_ssl();
    }
    if let Some(login) = source.login.clone().or(login) {
        git = git.login(&url, login);
    }
    let fetch = Fetch { git, url, source, whose: whose(context) };
    let dir = work_dir(context)?;
    let commit = fetch.check_out(dir.path(), context.source_cache)?;
    Ok((dir, commit))
}

/// The URL, and the login that was in it.
pub(super) fn without_login(url: &str) -> (String, Option<GitLogin>) {
    split_login(url)
}

fn whose(context: &Context<'_>) -> String {
    match context.identifier {
        None => "primary source".to_owned(),
        Some(id) => format!("secondary source {id}"),
    }
}

fn check_location(url: &str, allow_file: bool) -> Result<(), SourceError> {
    let refuse = |reason| Err(SourceError::Location { location: url.to_owned(), reason });
    if url.starts_with('-') || url.contains(|c: char| c.is_ascii_control()) {
        return refuse("it is no URL");
    }
    match url.split_once("://") {
        Some(("https" | "http" | "ssh", rest)) if !rest.is_empty() && !rest.starts_with('-') => Ok(()),
        Some(("file", _)) if allow_file => Ok(()),
        Some(("file", _)) => refuse("repositories of this machine are off"),
        Some(_) => refuse("use https, http or ssh"),
        None if url.starts_with('/') && allow_file => Ok(()),
        // `git@host:owner/repository`.
        None if !url.contains("::") && url.find(':').is_some_and(|colon| !url[..colon].contains('/')) => {
            Ok(())
        }
        None => refuse("use https, http or ssh"),
    }
}

/// One fetch under way.
pub(super) struct Fetch<'a> {
    pub(super) git: GitCommand,
    pub(super) url: String,
    pub(super) source: &'a Git,
    pub(super) whose: String,
}

/// What to fetch, and what to check out then.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Everything, or just `refspecs`.
    pub(super) everything: bool,
    pub(super) refspecs: Vec<String>,
    /// Checked out, and fetched by itself where the refs do not bring it.
    commit: Option<String>,
    /// Checked out when there is no such commit: a local name.
    reference: Option<String>,
}

impl Wanted {
    pub(super) fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }
}

impl Fetch<'_> {
    fn check_out(&self, dir: &Path, cache: Option<&Path>) -> Result<String, SourceError> {
        let wanted = self.resolve(dir)?;
        self.must(dir, &["init", "--quiet", "--template=", "."])?;
        self.must(dir, &["remote", "add", "origin", "--", &self.url])?;
        match cache {
            Some(cache) => mirror::fetch(self, dir, cache, &wanted)?,
            None => self.fetch(&self.git, dir, &self.url, &wanted)?,
        }
        let commit = self.commit(dir, &wanted)?;
        self.must(dir, &["checkout", "--quiet", "--detach", &commit, "--"])?;
        if self.source.submodules {
            let depth = self.source.depth.map(|depth| format!("--depth={depth}"));
            let mut args = vec!["submodule", "--quiet", "update", "--init", "--recursive"];
            args.extend(depth.as_deref());
            self.must(dir, &args)?;
        }
        Ok(commit)
    }

    /// Asks the remote what the version means there.
    fn resolve(&self, dir: &Path) -> Result<Wanted, SourceError> {
        let shallow = self.source.depth.is_some();
        let (candidates, commit, everything) = match Version::parse(&self.source.version) {
            None => return Err(self.reference_not_found()),
            Some(Version::Commit(commit)) => {
                // Refs may be unreadable or absent though the commit can be had.
                return Ok(Wanted {
                    everything: !shallow,
                    refspecs: Vec::new(),
                    commit: Some(commit),
                    reference: None,
                });
            }
            Some(Version::Head) => (vec!["HEAD".to_owned()], None, !shallow),
            Some(Version::Name(name)) => {
                (vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")], None, !shallow)
            }
            Some(Version::Reference { name, commit }) => (vec![name], commit, false),
        };
        let mut args = vec!["ls-remote", "--quiet", "--symref", "--", &self.url];
        args.extend(candidates.iter().map(String::as_str));
        let listed = self.must(dir, &args)?.stdout;
        let remote = candidates.iter().find_map(|candidate| {
            let listed_as = |line: &str| {
                let (value, name) = line.split_once('\t')?;
                (name == candidate).then(|| value.strip_prefix("ref: ").unwrap_or(name).to_owned())
            };
            listed.lines().find_map(listed_as)
        });
        // A detached HEAD has no name of its own.
        let remote = remote.ok_or_else(|| self.reference_not_found())?;
        let local = match (remote.strip_prefix("refs/heads/"), remote.strip_prefix("refs/")) {
            (Some(branch), _) => format!("refs/remotes/origin/{branch}"),
            (None, Some(rest)) if rest.starts_with("tags/") => remote.clone(),
            (None, Some(rest)) => format!("refs/remotes/origin/{rest}"),
            (None, None) => "refs/remotes/origin/HEAD".to_owned(),
        };
        let refspecs = vec![format!("+{remote}:{local}")];
        Ok(Wanted { everything, refspecs, commit, reference: Some(local) })
    }

    /// Fetches what is wanted from the remote, or from a mirror of it.
    pub(super) fn fetch(
        &self,
        git: &GitCommand,
        dir: &Path,
        from: &str,
        wanted: &Wanted,
    ) -> Result<(), SourceError> {
        let depth = self.source.depth.map(|depth| format!("--depth={depth}"));
        let fetch = |depth: Option<&str>, refspecs: &[&str]| {
            let mut args = vec!["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--force"];
            args.extend(depth);
            args.extend(["--", from]);
            args.extend(refspecs);
            git.run(dir, &args)
        };
        let mut refspecs: Vec<&str> = wanted.refspecs.iter().map(String::as_str).collect();
        if wanted.everything {
            // What is wanted is mostly among everything, and git refuses to fetch two refs to one name.
            refspecs.retain(|spec| !spec.starts_with("+refs/heads/") && !spec.starts_with("+refs/tags/"));
            refspecs.extend(EVERYTHING);
        }
        if !refspecs.is_empty() {
            self.good(fetch(depth.as_deref(), &refspecs)?)?;
        }
        if let Some(commit) = &wanted.commit
            && !self.has(dir, commit)?
            && !fetch(depth.as_deref(), &[commit])?.success
        {
            // The host does not give single commits; then the whole history may hold it.
            self.good(fetch(None, &EVERYTHING)?)?;
            let shallow = git.run(dir, &["rev-parse", "--is-shallow-repository"])?;
            if !self.has(dir, commit)? && shallow.stdout.trim() == "true" {
                self.good(fetch(Some("--unshallow"), &EVERYTHING)?)?;
            }
        }
        Ok(())
    }

    fn commit(&self, dir: &Path, wanted: &Wanted) -> Result<String, SourceError> {
        let name = wanted.commit.as_ref().or(wanted.reference.as_ref());
        let name = format!("{}^{{commit}}", name.ok_or_else(|| self.reference_not_found())?);
        let ran = self.git.run(dir, &["rev-parse", "--verify", "--quiet", "--end-of-options", &name])?;
        let commit = ran.stdout.lines().last().unwrap_or_default().to_owned();
        if ran.success && !commit.is_empty() { Ok(commit) } else { Err(self.reference_not_found()) }
    }

    pub(super) fn has(&self, dir: &Path, commit: &str) -> Result<bool, SourceError> {
        Ok(self.git.run(dir, &["cat-file", "-e", &format!("{commit}^{{commit}}")])?.success)
    }

    pub(super) fn must(&self, dir: &Path, args: &[&str]) -> Result<Ran, SourceError> {
        self.good(self.git.run(dir, args)?)
    }

    pub(super) fn good(&self, ran: Ran) -> Result<Ran, SourceError> {
        if ran.success { Ok(ran) } else { Err(self.failure(&ran.stderr)) }
    }

    fn reference_not_found(&self) -> SourceError {
        SourceError::ReferenceNotFound { whose: self.whose.clone(), version: self.source.version.clone() }
    }

    /// Git's words in CodeBuild's.
    fn failure(&self, stderr: &str) -> SourceError {
        let (whose, version) = (self.whose.clone(), self.source.version.clone());
        let says = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
        let refused = says(&["Authentication failed", "returned error: 401", "returned error: 403"]);
        if says(&["could not read Username", "could not read Password", "terminal prompts disabled"])
            || says(&["Permission denied (publickey"])
            || refused && self.source.login.is_none() && split_login(&self.source.url).1.is_none()
        {
            SourceError::AuthenticationRequired { whose, version }
        } else if refused {
            SourceError::AuthorizationFailed { whose, version }
        } else if says(&["couldn't find remote ref", "not our ref", "unadvertised object"]) {
            SourceError::ReferenceNotFound { whose, version }
        } else if says(&["not found", "does not appear to be a git repository", "does not exist"]) {
            SourceError::RepositoryNotFound { whose, version }
        } else {
            let line = |line: &&str| line.starts_with("fatal: ") || line.starts_with("error: ");
            let first = stderr.lines().find(line).or_else(|| stderr.lines().last()).unwrap_or("git failed");
            SourceError::Git { message: first.trim_start_matches("fatal: ").to_owned() }
        }
    }
}
