//! What is built: from an argument to a source and its buildspec.

use std::fs;
use std::path::{Path, PathBuf};

use runspan_engine::ports::Place;
use runspan_engine::project::{ProjectSource, SourceType};

use crate::failure::Failure;
use crate::translators::SourceFile;

/// The source that an argument names: a URL for git, or a directory or zip file of this machine.
pub(super) fn source(text: &str) -> Result<ProjectSource, Failure> {
    let kind = match git_host(text) {
        Some(host) => match host.trim_start_matches("www.") {
            "bitbucket.org" => SourceType::Bitbucket,
            "gitlab.com" => SourceType::Gitlab,
            host if host.starts_with("git-codecommit.") => SourceType::Codecommit,
            _ => SourceType::Github,
        },
        None if text.starts_with("s3://") || text.starts_with("arn:") => {
            let place = Place::parse(text);
            let location = Some(format!("{}/{}", place.bucket, place.key));
            return Ok(ProjectSource { kind: SourceType::S3, location, ..ProjectSource::default() });
        }
        None => return local(Path::new(text)),
    };
    Ok(ProjectSource { kind, location: Some(text.to_owned()), ..ProjectSource::default() })
}

/// A directory or zip file of this machine.
pub(super) fn local(path: &Path) -> Result<ProjectSource, Failure> {
    let found = path.canonicalize().map_err(|error| {
        Failure::input(format!("the source {} cannot be used", path.display())).because(&error)
    })?;
    if !found.is_dir() && !is_zip(&found) {
        return Err(Failure::input(format!(
            "the source {} is neither a directory nor a zip file",
            path.display()
        )));
    }
    Ok(ProjectSource {
        kind: SourceType::Directory,
        location: Some(found.to_string_lossy().into_owned()),
        ..ProjectSource::default()
    })
}

/// The host of a URL that git understands; empty for `file://`.
fn git_host(text: &str) -> Option<&str> {
    let host = |rest: &'static str| {
        text.strip_prefix(rest).map(|rest| {
            let authority = rest.split('/').next().unwrap_or_default();
            authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default()
        })
    };
    ["https://", "http://", "ssh://", "git://", "file://"].into_iter().find_map(host).or_else(|| {
        // As in git@host:path.
        let (before, _) = text.split_once(':')?;
        let (user, host) = before.split_once('@')?;
        (!user.contains('/') && !host.contains('/')).then_some(host)
    })
}

fn is_zip(path: &Path) -> bool {
    let mut head = [0; 4];
    fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head))
        .is_ok_and(|()| head == *b"PK\x03\x04" || head == *b"PK\x05\x06")
}

/// What the one argument of `run` names.
#[derive(Debug)]
pub(super) enum Target {
    /// A source directory.
    Directory(PathBuf),
    /// A buildspec; its directory is the source unless another is named.
    Buildspec(PathBuf),
    /// A workflow, a Jenkinsfile or a bitbucket-pipelines.yml; its repository is the source unless another is named.
    Foreign(SourceFile),
}

impl Target {
    /// Looks at what is there.
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let found = path
            .canonicalize()
            .map_err(|error| Failure::input(format!("{shown} cannot be built")).because(&error))?;
        if found.is_dir() {
            return Ok(Self::Directory(found));
        }
        if is_zip(&found) {
            return Err(Failure::input(format!("{shown} is a zip file"))
                .help(format!("to build what is in it, say --source {shown}")));
        }
        // Whether the rest is a good buildspec is for the build to say.
        Ok(match SourceFile::read(&found)? {
            Some(file) => Self::Foreign(SourceFile { name: shown.to_string(), ..file }),
            None => Self::Buildspec(found),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_their_host() {
        for (text, kind) in [
            ("https://github.com/a/b.git", SourceType::Github),
            ("https://me:x@bitbucket.org/a/b", SourceType::Bitbucket),
            ("git@gitlab.com:a/b.git", SourceType::Gitlab),
            ("https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/x", SourceType::Codecommit),
            ("ssh://git@host:22/a", SourceType::Github),
            ("file:///srv/a.git", SourceType::Github),
        ] {
            let found = source(text).unwrap();
            assert_eq!((found.kind, found.location.as_deref()), (kind, Some(text)));
        }
        let object = source("s3://bucket/key.zip").unwrap();
        assert_eq!((object.kind, object.location.as_deref()), (SourceType::S3, Some("bucket/key.zip")));
        assert!(source("/nowhere/at/all").is_err());
    }

    #[test]
    fn a_directory_and_a_zip_are_sources_and_another_file_is_not() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(local(place.path()).unwrap().kind, SourceType::Directory);
        let file = place.path().join("a.zip");
        fs::write(&file, b"PK\x03\x04rest").unwrap();
        assert!(local(&file).unwrap().location.unwrap().ends_with("/a.zip"));
        fs::write(&file, b"text").unwrap();
        assert!(local(&file).is_err());
    }
}
