//! CodeBuild's globs.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::FilesError;

/// One glob: `*`, `?` and `[..]` stay within a path component, `**` does not, `{a,b}` is either; a leading dot is
/// nothing special. A path without any of these stands for itself, and a directory for all that is in it.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
    // The directory that everything it matches is in; or, of a path, the path.
    root: PathBuf,
    rest: Option<Rest>,
}

/// What follows the literal components.
#[derive(Clone, Debug)]
struct Rest {
    whole: GlobMatcher,
    // One matcher for each directory level that is known; below those, anything goes if `deep`.
    levels: Vec<GlobMatcher>,
    deep: bool,
}

impl Glob {
    /// Parses a glob that is absolute or relative to `base`, which must be absolute.
    ///
    /// # Errors
    /// [`FilesError::Glob`], which names it.
    pub fn new(text: &str, base: &Path) -> Result<Self, FilesError> {
        let meta = text.find(['*', '?', '[', '{', '\\']).unwrap_or(text.len());
        let split =
            if meta == text.len() { meta } else { text[..meta].rfind('/').map_or(0, |slash| slash + 1) };
        let (literal, rest) = text.split_at(split);
        let root = normal(&base.join(literal));
        let rest = (!rest.is_empty()).then(|| Rest::new(text, rest)).transpose()?;
        Ok(Self { text: text.to_owned(), root, rest })
    }

    /// As it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a plain path.
    pub const fn is_path(&self) -> bool {
        self.rest.is_none()
    }

    /// The directory that everything it matches is in; of a plain path, the path itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it takes this absolute path.
    pub fn matches(&self, path: &Path) -> bool {
        match (path.strip_prefix(&self.root), &self.rest) {
            (Err(_), _) => false,
            (Ok(_), None) => true,
            (Ok(below), Some(rest)) => rest.matches(below),
        }
    }

    /// Whether something in this absolute directory could match.
    pub fn reaches(&self, directory: &Path) -> bool {
        let Ok(below) = directory.strip_prefix(&self.root) else {
            return self.root.starts_with(directory);
        };
        let Some(rest) = &self.rest else { return true };
        for (depth, component) in below.components().enumerate() {
            match rest.levels.get(depth) {
                Some(level) if !level.is_match(Path::new(&component)) => return false,
                Some(_) => {}
                None => return rest.deep,
            }
        }
        true
    }
}

impl Rest {
    fn new(text: &str, rest: &str) -> Result<Self, FilesError> {
        // A trailing slash asks for what is in a directory.
        let rest = if rest.ends_with('/') { format!("{rest}**") } else { rest.to_owned() };
        let components: Vec<&str> = rest.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if components.contains(&"..") {
            let reason = "`..` after a wildcard".to_owned();
            return Err(FilesError::Glob { glob: text.to_owned(), reason });
        }
        let whole = matcher(text, &components.join("/"))?;
        // Braces may hold slashes, so levels are known only up to the first brace.
        let known = components.iter().take_while(|part| !part.contains(['{', '\\']) && !part.contains("**"));
        let levels: Vec<_> = known.map(|part| matcher(text, part)).collect::<Result<_, _>>()?;
        let deep = levels.len() < components.len();
        let levels = if deep { levels } else { levels[..levels.len() - 1].to_vec() };
        Ok(Self { whole, levels, deep })
    }

    fn matches(&self, below: &Path) -> bool {
        // Counted because `[!a]` would match a slash, too.
        let depth = below.components().count();
        depth > 0 && (self.deep || depth == self.levels.len() + 1) && self.whole.is_match(below)
    }
}

fn matcher(text: &str, glob: &str) -> Result<GlobMatcher, FilesError> {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .empty_alternates(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| FilesError::Glob { glob: text.to_owned(), reason: error.kind().to_string() })
}

/// The path without `.`, `..` and doubled slashes, as text: links are not looked at.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(part) => out.push(part),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows: glob, then paths below `/src` it takes, then paths it does not.
    #[test]
    fn globs_mean_what_codebuild_says() {
        let rows: &[(&str, &[&str], &[&str])] = &[
            ("**/*", &["a", ".env", "a/b", ".git/config", "a/.b/c"], &[]),
            ("**", &["a", "a/b"], &[]),
            ("*", &["a", ".env"], &["a/b"]),
            ("target/a.jar", &["target/a.jar"], &["target/b.jar", "a.jar", "x/target/a.jar"]),
            ("dir/*", &["dir/a", "dir/.a"], &["dir/a/b", "dira", "dir"]),
            ("dir/**/*", &["dir/a", "dir/a/b", "dir/.a/.b"], &["dir", "other/a"]),
            ("dir/**", &["dir/a", "dir/a/b"], &["dir", "dirs/a"]),
            ("dir", &["dir", "dir/a", "dir/a/b"], &["dirs"]),
            ("dir/", &["dir", "dir/a"], &["dirs"]),
            ("di*/", &["dir/a", "dir/a/b"], &["dir"]),
            ("./dir//x.txt", &["dir/x.txt"], &["x.txt"]),
            ("./**/*.js", &["a.js", "b/a.js"], &["a.jsx"]),
            ("**/x/*.js", &["x/a.js", "b/c/x/a.js"], &["x/y/a.js", "ax/a.js"]),
            ("a?.txt", &["ab.txt"], &["a.txt", "a/.txt"]),
            ("a[0-9].txt", &["a1.txt"], &["ab.txt"]),
            ("a[!0-9].txt", &["ab.txt"], &["a1.txt", "a/.txt"]),
            ("{a,b/c}.txt", &["a.txt", "b/c.txt"], &["b.txt"]),
            ("**/.*/**/*", &[".git/config", "a/.b/c", "a/.b/c/d"], &["a/b", ".env"]),
            ("/src/dir/*", &["dir/a"], &["a"]),
            ("../src/dir/*", &["dir/a"], &["a"]),
            ("a\\*b", &["a*b"], &["axb"]),
        ];
        for (text, taken, left) in rows {
            let glob = Glob::new(text, Path::new("/src")).unwrap();
            for path in *taken {
                let path = Path::new("/src").join(path);
                assert!(glob.matches(&path), "{text} takes {}", path.display());
                for above in path.ancestors().skip(1) {
                    assert!(glob.reaches(above), "{text} reaches {}", above.display());
                }
            }
            for path in *left {
                assert!(!glob.matches(&Path::new("/src").join(path)), "{text} leaves {path}");
            }
        }
    }

    #[test]
    fn directories_where_nothing_can_match_are_not_entered() {
        let rows: &[(&str, &[&str])] = &[
            ("*.txt", &["a"]),
            ("dist/*.js", &["src", "dist/a"]),
            ("a*/x/*.js", &["b", "ab/y", "ab/x/z"]),
            ("a*/**/*.js", &["b"]),
        ];
        for (text, closed) in rows {
            let glob = Glob::new(text, Path::new("/src")).unwrap();
            for path in *closed {
                assert!(!glob.reaches(&Path::new("/src").join(path)), "{text} reaches {path}");
            }
        }
    }

    #[test]
    fn a_broken_glob_is_named() {
        for (text, part) in [("a[b", "[b"), ("x/{a", "alternate"), ("*/../b", "..")] {
            let error = Glob::new(text, Path::new("/")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid glob `{text}`: ")), "{error}");
            assert!(error.contains(part) || part == "[b", "{error}");
        }
    }
}
