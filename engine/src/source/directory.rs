//! Directories of this machine, read only.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use runspan_archive::{SendFile, Sent, TarWriter};
use rustix::fs::OFlags;
use walkdir::WalkDir;

use super::SourceError;
use super::git::without_login;

const MOST_WARNINGS: usize = 50;

/// What was sent of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streamed {
    /// Files, links included.
    pub files: u64,
    /// What was left out or changed meanwhile, one line each.
    pub warnings: Vec<String>,
}

/// Where a git checkout comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// URL of the remote `origin`, without a login.
    pub url: Option<String>,
    /// The commit that is checked out.
    pub head: Option<String>,
}

/// Sends all that is in a directory, `.git` and ignored files included, sorted by name.
pub(super) fn send(root: Option<&Path>, to: &mut dyn SendFile) -> Result<Streamed, SourceError> {
    let mut streamed = Streamed::default();
    let mut tar = TarWriter::new(to);
    if let Some(root) = root {
        for entry in WalkDir::new(root).min_depth(1).sort_by_file_name() {
            let (entry, metadata) = match entry.and_then(|entry| Ok((entry.metadata()?, entry))) {
                Ok((metadata, entry)) => (entry, metadata),
                Err(error) => {
                    streamed.warnings.push(format!("skipped: {error}"));
                    continue;
                }
            };
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap_or(path);
            send_one(&mut tar, path, name, &metadata, &mut streamed).map_err(SourceError::Send)?;
        }
    }
    tar.finish().map_err(SourceError::Send)?;
    if let Some(more) = streamed.warnings.len().checked_sub(MOST_WARNINGS).filter(|more| *more > 0) {
        streamed.warnings.truncate(MOST_WARNINGS);
        streamed.warnings.push(format!("… and {more} more"));
    }
    Ok(streamed)
}

fn send_one(
    tar: &mut TarWriter<impl SendFile>,
    path: &Path,
    name: &Path,
    metadata: &Metadata,
    streamed: &mut Streamed,
) -> io::Result<()> {
    if metadata.is_dir() {
        return tar.directory(name, metadata);
    }
    let skipped = |error: io::Error| format!("skipped {}: {error}", path.display());
    if metadata.is_symlink() {
        match fs::read_link(path) {
            Ok(target) => tar.symlink(name, metadata, &target)?,
            Err(error) => {
                streamed.warnings.push(skipped(error));
                return Ok(());
            }
        }
    } else if metadata.is_file() {
        match open_file(path) {
            Ok((file, metadata)) => {
                if tar.file(name, &metadata, &file)? == Sent::Shrunk {
                    streamed.warnings.push(format!("{} became shorter while it was read", path.display()));
                }
            }
            Err(error) => {
                streamed.warnings.push(skipped(error));
                return Ok(());
            }
        }
    } else {
        streamed.warnings.push(format!("skipped {}: neither file, directory nor link", path.display()));
        return Ok(());
    }
    streamed.files += 1;
    Ok(())
}

/// Opens a regular file; a link or pipe that has taken its place meanwhile is not followed and does not block.
fn open_file(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(io::Error::other("no longer a file")) }
}

/// Remote and commit of the checkout that a directory is in, if it is in one.
pub(super) fn origin(path: &Path) -> Option<Origin> {
    // Git need not be started to say that there is nothing.
    if !path.ancestors().any(|directory| directory.join(".git").exists()) {
        return None;
    }
    let ask = |args: &[&str]| {
        Command::new("git")
            .args(["-c", "core.fsmonitor=false", "-C"])
            .arg(path)
            .args(args)
            .env("LC_ALL", "C")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()
    };
    let answer = |asked: Option<Child>| {
        let output = asked?.wait_with_output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    // Side by side, as a build waits for the answers.
    let (is_one, url, head) = (
        ask(&["rev-parse", "--git-dir"]),
        ask(&["config", "--get", "remote.origin.url"]),
        ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]),
    );
    let (is_one, url, head) = (answer(is_one), answer(url), answer(head));
    is_one?;
    Some(Origin { url: url.map(|url| without_login(&url).0), head })
}

/// A warning where `.git` only points to somewhere that the build will not have.
pub(super) fn outside_git_dir(path: &Path) -> Option<String> {
    let git = path.join(".git");
    git.is_file().then(|| {
        format!("{} points outside of the source, so git commands in the build will fail", git.display())
    })
}
