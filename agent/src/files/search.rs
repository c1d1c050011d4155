//! `codebuild-glob-search`.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Glob, find};

/// `codebuild-glob-search GLOB...`: prints the files that the globs take, relative to the source directory, one a
/// line, sorted. Returns the exit status.
pub fn glob_search(args: &[String], source_dir: &Path, out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    if args.is_empty() {
        let _ = writeln!(err, "usage: codebuild-glob-search GLOB...");
        return 2;
    }
    let globs: Vec<_> = match args.iter().map(|text| Glob::new(text, source_dir)).collect() {
        Ok(globs) => globs,
        Err(error) => {
            let _ = writeln!(err, "codebuild-glob-search: {error}");
            return 1;
        }
    };
    for found in find(&globs) {
        let name = found.path.strip_prefix(source_dir).unwrap_or(&found.path);
        let line = [name.as_os_str().as_bytes(), b"\n"].concat();
        if out.write_all(&line).is_err() {
            return 1;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn run(args: &[&str], dir: &Path) -> (i32, String, String) {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = glob_search(&args, dir, &mut out, &mut err);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn files_are_listed_once_sorted_and_relative() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["tests/unit/test_b.py", "tests/test_a.py", "tests/util.py", "other/test_c.py"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let (code, out, err) = run(&["tests/**/test_*.py", "tests/test_a.py"], dir.path());
        assert_eq!((code, out.as_str(), err.as_str()), (0, "tests/test_a.py\ntests/unit/test_b.py\n", ""));
        assert_eq!(run(&["absent/*"], dir.path()), (0, String::new(), String::new()));
        assert_eq!(run(&[], dir.path()).0, 2);
        let (code, _, err) = run(&["{a"], dir.path());
        assert_eq!(code, 1);
        assert!(err.contains("invalid glob `{a`"), "{err}");
    }
}
