//! One walk for many globs.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Glob;

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
}

/// A path that a glob took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Absolute, without `.` and `..`.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// The first of the globs that took it.
    pub glob: usize,
}

/// What a walk yields.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// In the order of their paths.
    pub(super) found: Vec<Found>,
    /// For each glob, whether it took anything.
    pub(super) matched: Vec<bool>,
    /// What could not be looked at, one line each.
    pub(super) warnings: Vec<String>,
    /// Whether time ran out.
    pub(super) cut: bool,
}

/// What a walk is after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Files and links.
    #[default]
    Files,
    /// Directories only.
    Directories,
    /// Everything; a directory that matches is taken whole.
    Trees,
}

/// Files that the globs take, links among them, in the order of their paths.
///
/// Directories are entered only where a glob could match below, and linked ones only where a glob names them.
pub fn find(globs: &[Glob]) -> Vec<Found> {
    walk(globs, Wanted::Files, None).found
}

/// Walks until the deadline and returns what there is by then.
pub(super) fn walk(globs: &[Glob], wanted: Wanted, deadline: Option<Instant>) -> Walk {
    let mut walker = Walker { globs, wanted, deadline, out: Walk::default(), steps: 0 };
    walker.out.matched = vec![false; globs.len()];
    let mut roots: Vec<&Path> = globs.iter().map(Glob::root).collect();
    roots.sort_unstable();
    // A root inside another is reached from there.
    roots.dedup_by(|inner, outer| {
        inner == outer || globs.iter().any(|glob| glob.root() == *outer && descends(glob, outer, inner))
    });
    for root in roots {
        match fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => {
                let whole = walker.wanted_directory(root);
                walker.directory(root, whole);
            }
            _ => {
                if let Ok(metadata) = fs::symlink_metadata(root) {
                    walker.leaf(root.to_owned(), &metadata);
                }
            }
        }
    }
    let mut out = walker.out;
    out.found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    out.found.dedup_by(|a, b| a.path == b.path);
    out
}

/// Whether the walk of a glob from `outer` comes by `inner`, links aside.
fn descends(glob: &Glob, outer: &Path, inner: &Path) -> bool {
    inner.starts_with(outer)
        && inner.ancestors().take_while(|path| *path != outer).all(|path| {
            glob.reaches(path) && fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
        })
}

struct Walker<'a> {
    globs: &'a [Glob],
    wanted: Wanted,
    deadline: Option<Instant>,
    out: Walk,
    steps: u32,
}

impl Walker<'_> {
    /// Looks at all that is in a directory; `whole` is the glob that took the directory itself.
    fn directory(&mut self, path: &Path, whole: Option<usize>) {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => {
                self.out.warnings.push(format!("cannot read directory {}: {error}", path.display()));
                return;
            }
        };
        for entry in entries.flatten() {
            if self.late() {
                return;
            }
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                let whole = self.wanted_directory(&path).or_else(|| self.add_whole(&path, whole));
                if whole.is_some() || self.globs.iter().any(|glob| glob.reaches(&path)) {
                    self.directory(&path, whole);
                }
            } else if self.wanted != Wanted::Directories
                && let Some(glob) = self.take(&path).or(whole)
            {
                match kind {
                    _ if kind.is_file() => self.out.found.push(Found { path, kind: Kind::File, glob }),
                    _ if kind.is_symlink() => {
                        self.linked(&path);
                        self.out.found.push(Found { path, kind: Kind::Link, glob });
                    }
                    _ => self.special(&path),
                }
            } else if kind.is_symlink() {
                self.linked(&path);
            }
        }
    }

    /// Notes a directory that is wanted itself; returns its glob where all that is in it is wanted, too.
    fn wanted_directory(&mut self, path: &Path) -> Option<usize> {
        if self.wanted == Wanted::Files {
            return None;
        }
        let glob = self.take(path)?;
        self.out.found.push(Found { path: path.to_owned(), kind: Kind::Directory, glob });
        (self.wanted == Wanted::Trees).then_some(glob)
    }

    /// Notes a directory inside one that is taken whole.
    fn add_whole(&mut self, path: &Path, whole: Option<usize>) -> Option<usize> {
        let glob = whole?;
        self.out.found.push(Found { path: path.to_owned(), kind: Kind::Directory, glob });
        whole
    }

    /// Enters a linked directory only on the way to what a glob names, so that no loop is walked.
    fn linked(&mut self, path: &Path) {
        if self.globs.iter().any(|glob| glob.root().starts_with(path))
            && fs::metadata(path).is_ok_and(|metadata| metadata.is_dir())
        {
            self.directory(path, None);
        }
    }

    /// Takes a root that is not a directory.
    fn leaf(&mut self, path: PathBuf, metadata: &Metadata) {
        if self.wanted == Wanted::Directories {
            return;
        }
        if !metadata.is_file() && !metadata.is_symlink() {
            return self.special(&path);
        }
        let kind = if metadata.is_file() { Kind::File } else { Kind::Link };
        if let Some(glob) = self.take(&path) {
            self.out.found.push(Found { path, kind, glob });
        }
    }

    fn special(&mut self, path: &Path) {
        self.out.warnings.push(format!("skipped {}: neither file, directory nor link", path.display()));
    }

    /// The first glob that takes this path; each that does is marked.
    fn take(&mut self, path: &Path) -> Option<usize> {
        let mut first = None;
        for (index, glob) in self.globs.iter().enumerate() {
            if (first.is_none() || !self.out.matched[index]) && glob.matches(path) {
                self.out.matched[index] = true;
                first = first.or(Some(index));
            }
        }
        first
    }

    fn late(&mut self) -> bool {
        self.steps += 1;
        if self.steps.is_multiple_of(64) && self.deadline.is_some_and(|end| Instant::now() >= end) {
            self.out.cut = true;
        }
        self.out.cut
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    fn globs(texts: &[&str], base: &Path) -> Vec<Glob> {
        texts.iter().map(|text| Glob::new(text, base).unwrap()).collect()
    }

    fn shown(found: &[Found], base: &Path) -> Vec<String> {
        found.iter().map(|found| found.path.strip_prefix(base).unwrap().display().to_string()).collect()
    }

    #[test]
    fn many_globs_one_walk_each_path_once() {
        let dir = tree(&["a/b/x.js", "a/b/y.txt", "a/x.js", "c/d/z.js", "c/z.js"]);
        symlink("../c", dir.path().join("a/link")).unwrap();
        let globs = globs(&["a/*.js", "a/b/*", "**/x.js", "a/link/d/*", "none"], dir.path());
        let walked = walk(&globs, Wanted::Files, None);
        assert_eq!(shown(&walked.found, dir.path()), ["a/b/x.js", "a/b/y.txt", "a/link/d/z.js", "a/x.js"]);
        assert_eq!(walked.matched, [true, true, true, true, false]);
        assert!(walked.warnings.is_empty());
    }

    #[test]
    fn trees_hold_directories_and_all_below_them() {
        let dir = tree(&["a/b/c", "a/d", "e/f"]);
        fs::create_dir(dir.path().join("a/empty")).unwrap();
        let found = |texts: &[&str]| {
            let walked = walk(&globs(texts, dir.path()), Wanted::Trees, None);
            assert!(walked.matched.iter().all(|matched| *matched), "{texts:?}");
            shown(&walked.found, dir.path())
        };
        assert_eq!(found(&["a"]), ["a", "a/b", "a/b/c", "a/d", "a/empty"]);
        assert_eq!(found(&["a/*"]), ["a/b", "a/b/c", "a/d", "a/empty"]);
        assert_eq!(found(&["a/**/*", "e"]), ["a/b", "a/b/c", "a/d", "a/empty", "e", "e/f"]);
    }

    #[test]
    fn a_deadline_ends_the_walk_with_what_there_is() {
        let names: Vec<String> = (0..500).map(|n| format!("d{}/{n}", n % 7)).collect();
        let dir = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let walked = walk(&globs(&["**/*"], dir.path()), Wanted::Files, Some(Instant::now()));
        assert!(walked.cut && !walked.found.is_empty() && walked.found.len() < 500, "{}", walked.found.len());
    }
}
