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
