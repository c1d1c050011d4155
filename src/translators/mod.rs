//! From files of other systems to buildspecs: which translator reads what.

mod chosen;
mod format;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use runspan_buildspec::Translation;
use runspan_pipelines::Selection;

pub(crate) use chosen::{Chosen, choose, selection};
pub(crate) use format::FileFormat;
pub(crate) use tree::Tree;

use crate::failure::Failure;

/// A file of another system.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// As the user named it.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) format: FileFormat,
    pub(crate) text: String,
}

impl SourceFile {
    /// Reads a file; `None` when it is none that a translator reads.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let failed = |error| Failure::input(format!("{} cannot be read", path.display())).because(&error);
        Ok(Self::of(path, &fs::read(path).map_err(failed)?))
    }

    /// A file that holds these bytes.
    pub(crate) fn of(path: &Path, bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let name = path.to_string_lossy().into_owned();
        FileFormat::of(path, &text).map(|format| Self { name, path: path.to_owned(), format, text })
    }

    /// Translates it; the selection is of its pipelines, where it has several.
    pub(crate) fn translate(&self, selection: &Selection) -> Translation {
        let tree = Tree::around(&self.path, self.format);
        self.translate_in(&tree, selection)
    }

    /// Translates it as a part of this tree.
    pub(crate) fn translate_in(&self, tree: &Tree, selection: &Selection) -> Translation {
        let read = |path: &str| tree.read(path);
        match self.format {
            FileFormat::Pipelines => {
                let context = runspan_pipelines::Context { selection: selection.clone(), read: &read };
                runspan_pipelines::translate(&self.text, &context)
            }
            FileFormat::Workflow => {
                runspan_actions::translate(&self.text, &runspan_actions::Context { read: &read })
            }
            FileFormat::Jenkinsfile => {
                runspan_jenkinsfile::translate(&self.text, &runspan_jenkinsfile::Context::default())
            }
        }
    }
}
