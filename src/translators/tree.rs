//! The files around a file that is translated: local actions, reusable workflows, imported pipelines.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::FileFormat;

/// A larger file is none that is referred to.
const MOST: u64 = 1 << 20;

/// Where paths in a file are meant from, and how far they may lead.
pub(crate) struct Tree {
    root: PathBuf,
    within: PathBuf,
}

impl Tree {
    /// The repository of a file.
    pub(crate) fn around(path: &Path, format: FileFormat) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let directory = path.parent().unwrap_or(Path::new("/"));
        let root = match format {
            FileFormat::Workflow if directory.ends_with(".github/workflows") => {
                directory.ancestors().nth(2).unwrap_or(directory)
            }
            _ => directory,
        };
        // Pipelines are imported from repositories that lie beside this one.
        let within = match format {
            FileFormat::Pipelines => root.parent().unwrap_or(root),
            FileFormat::Workflow | FileFormat::Jenkinsfile => root,
        };
        Self { root: root.to_owned(), within: within.to_owned() }
    }

    /// The directory of the repository.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The text of a file; `None` where there is none, and outside.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let path = self.root.join(path.trim_start_matches('/')).canonicalize().ok()?;
        if !path.starts_with(&self.within) || !path.is_file() {
            return None;
        }
        let mut text = String::new();
        fs::File::open(path).ok()?.take(MOST).read_to_string(&mut text).ok()?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_beside_is_read() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
            path
        };
        let workflow = write("app/.github/workflows/ci.yml");
        write("app/act/action.yml");
        write("other/bitbucket-pipelines.yml");
        let tree = Tree::around(&workflow, FileFormat::Workflow);
        assert_eq!(tree.read("act/action.yml").as_deref(), Some("app/act/action.yml"));
        assert_eq!(tree.read("./act/action.yml").as_deref(), Some("app/act/action.yml"));
        assert_eq!(tree.read("../other/bitbucket-pipelines.yml"), None);
        assert_eq!(tree.read("act"), None);
        let pipelines = write("app/bitbucket-pipelines.yml");
        let tree = Tree::around(&pipelines, FileFormat::Pipelines);
        assert!(tree.read("../other/bitbucket-pipelines.yml").is_some());
        assert_eq!(tree.read("../../etc/passwd"), None);
    }
}
