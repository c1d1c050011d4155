//! `LOCAL_SOURCE_CACHE`: a bare mirror of each repository, shared by builds of several processes.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::SourceError;
use super::git::{Fetch, Wanted};

/// Brings the mirror up to date, then fetches from it. A broken mirror is thrown away and costs one fetch from
/// the remote.
pub(super) fn fetch(fetch: &Fetch<'_>, dir: &Path, cache: &Path, wanted: &Wanted) -> Result<(), SourceError> {
    let mirror = Mirror::new(cache, &fetch.url)?;
    let through_mirror = mirror.update(fetch, wanted).and_then(|()| {
        let _reading = mirror.lock(File::lock_shared)?;
        let from = format!("file://{}", mirror.path.display());
        fetch.fetch(&fetch.git.local(), dir, &from, wanted)
    });
    match through_mirror {
        Err(SourceError::Git { .. } | SourceError::RepositoryNotFound { .. }) => {
            mirror.discard()?;
            fetch.fetch(&fetch.git, dir, &fetch.url, wanted)
        }
        // The remote has the last word.
        Err(SourceError::ReferenceNotFound { .. }) => fetch.fetch(&fetch.git, dir, &fetch.url, wanted),
        other => other,
    }
}

struct Mirror {
    path: PathBuf,
}

impl Mirror {
    fn new(cache: &Path, url: &str) -> Result<Self, SourceError> {
        let digest = Sha256::digest(url.as_bytes());
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        fs::create_dir_all(cache).map_err(|source| SourceError::Disk { path: cache.to_owned(), source })?;
        // Git wants absolute paths for repositories of this machine.
        let cache =
            cache.canonicalize().map_err(|source| SourceError::Disk { path: cache.into(), source })?;
        Ok(Self { path: cache.join(format!("{name}.git")) })
    }

    /// Fetches into the mirror, alone.
    fn update(&self, fetch: &Fetch<'_>, wanted: &Wanted) -> Result<(), SourceError> {
        let _alone = self.lock(File::lock)?;
        if !self.path.join("HEAD").exists() {
            fs::create_dir_all(&self.path).map_err(|source| self.disk(source))?;
            fetch.must(&self.path, &["init", "--quiet", "--bare", "--template=", "."])?;
            // Builds ask for commits that no branch holds any more.
            fetch.must(&self.path, &["config", "uploadpack.allowAnySHA1InWant", "true"])?;
        }
        let mut args = vec!["fetch", "--quiet", "--force", "--prune", "--no-tags", "--", &fetch.url];
        // The mirror keeps the remote's own names.
        let specs: Vec<String> = wanted.refspecs.iter().filter_map(|spec| same_name(spec)).collect();
        if wanted.everything || specs.is_empty() {
            args.extend(["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]);
        } else {
            args.retain(|arg| *arg != "--prune");
            args.extend(specs.iter().map(String::as_str));
        }
        fetch.must(&self.path, &args)?;
        if let Some(commit) = wanted.commit()
            && !fetch.has(&self.path, commit)?
        {
            // Some hosts give no single commits; then it is missed below, in CodeBuild's words.
            fetch.git.run(&self.path, &["fetch", "--quiet", "--no-tags", "--", &fetch.url, commit])?;
        }
        Ok(())
    }

    fn discard(&self) -> Result<(), SourceError> {
        let _alone = self.lock(File::lock)?;
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(self.disk(error)),
            _ => Ok(()),
        }
    }

    fn lock(&self, how: fn(&File) -> std::io::Result<()>) -> Result<File, SourceError> {
        let path = self.path.with_extension("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(|source| self.disk(source))?;
        how(&file).map_err(|source| self.disk(source))?;
        Ok(file)
    }

    fn disk(&self, source: std::io::Error) -> SourceError {
        SourceError::Disk { path: self.path.clone(), source }
    }
}

/// `+refs/pull/1/head:refs/pull/1/head` of `+refs/pull/1/head:refs/remotes/origin/pull/1/head`.
fn same_name(refspec: &str) -> Option<String> {
    let remote = refspec.strip_prefix('+')?.split_once(':')?.0;
    remote.starts_with("refs/").then(|| format!("+{remote}:{remote}"))
}
