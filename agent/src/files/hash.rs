//! `codebuild-hash-files`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{FilesError, Glob, find};

/// `codebuild-hash-files GLOB...`: one SHA-256 over the files that the globs take under the source directory.
///
/// It is the digest of the files' digests, one after the other in the order of their paths, so names do not
/// count; an empty line when there are no files. Returns the exit status.
pub fn hash_files(args: &[String], source_dir: &Path, out: &mut dyn Write, err: &mut dyn Write) -> i32 {
    if args.is_empty() {
        let _ = writeln!(err, "usage: codebuild-hash-files GLOB...");
        return 2;
    }
    match hash(args, source_dir) {
        Ok(Some(digest)) => i32::from(writeln!(out, "{digest}").is_err()),
        Ok(None) => {
            let _ = writeln!(err, "codebuild-hash-files: no file matches {}", args.join(" "));
            i32::from(writeln!(out).is_err())
        }
        Err(error) => {
            let _ = writeln!(err, "codebuild-hash-files: {error}");
            1
        }
    }
}

fn hash(args: &[String], source_dir: &Path) -> Result<Option<String>, FilesError> {
    let globs: Vec<_> = args.iter().map(|text| Glob::new(text, source_dir)).collect::<Result<_, _>>()?;
    let mut all = Sha256::new();
    let mut any = false;
    for found in find(&globs) {
        let path = found.path;
        if !path.is_file() {
            continue;
        }
        let digest = file_digest(&path).map_err(|source| FilesError::Read { path, source })?;
        all.update(digest);
        any = true;
    }
    Ok(any.then(|| hex(&all.finalize())))
}

/// GitHub's `hashFiles`: the digest of the files' digests, of the files in `workspace` that the patterns take; nothing
/// when there are none. A pattern that begins with `!` leaves out what those before it took.
///
/// # Errors
/// A pattern that is none, or a file that cannot be read.
pub fn hash_of(patterns: &[String], workspace: &Path) -> Result<String, FilesError> {
    let mut rules = Vec::new();
    let mut wanted = Vec::new();
    for pattern in patterns.iter().flat_map(|text| text.lines()).map(str::trim) {
        let (takes, pattern) = match pattern.strip_prefix('!') {
            Some(rest) => (false, rest.trim_start()),
            None => (true, pattern),
        };
        if pattern.is_empty() || pattern.starts_with('#') {
            continue;
        }
        if pattern.starts_with("--") {
            if pattern == "--follow-symbolic-links" {
                continue;
            }
            return Err(FilesError::Glob {
                glob: pattern.to_owned(),
                reason: "the only option is `--follow-symbolic-links`".into(),
            });
        }
        // A directory stands for all that is in it.
        for text in [pattern.to_owned(), format!("{}/**", pattern.trim_end_matches('/'))] {
            let glob = Glob::new(&text, workspace)?;
            wanted.extend(takes.then(|| glob.clone()));
            rules.push((takes, glob));
        }
    }
    let mut all = Sha256::new();
    let mut any = false;
    for found in find(&wanted) {
        let path = found.path;
        let taken = rules.iter().rev().find(|(_, glob)| glob.matches(&path)).is_some_and(|(takes, _)| *takes);
        if !taken || !path.starts_with(workspace) || !path.is_file() {
            continue;
        }
        all.update(file_digest(&path).map_err(|source| FilesError::Read { path, source })?);
        any = true;
    }
    Ok(if any { hex(&all.finalize()) } else { String::new() })
}

fn file_digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(digest.finalize().into()),
            Ok(read) => digest.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn run(args: &[&str], dir: &Path) -> (i32, String, String) {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = hash_files(&args, dir, &mut out, &mut err);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn the_digest_is_that_of_the_digests() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/package-lock.json"), "two").unwrap();
        fs::write(dir.path().join("a.lock"), "one").unwrap();
        let shell = "for f in a.lock b/package-lock.json; do sha256sum $f | cut -c1-64 | tr -d '\\n'; done \
                     | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' \
                     | sha256sum | cut -c1-64";
        let expected = Command::new("sh").args(["-c", shell]).current_dir(dir.path()).output().unwrap();
        let (code, out, err) = run(&["**/package-lock.json", "*.lock"], dir.path());
        assert_eq!((code, err.as_str()), (0, ""));
        assert_eq!(out, String::from_utf8(expected.stdout).unwrap());
        assert_eq!(run(&["*.lock", "**/package-lock.json"], dir.path()).1, out, "order of the globs");
        assert_eq!(run(&["*.lock", "a.lock", "**/package-lock.json"], dir.path()).1, out, "taken twice");
    }

    #[test]
    fn nothing_found_is_an_empty_line_and_a_note() {
        let dir = tempfile::tempdir().unwrap();
        let (code, out, err) = run(&["yarn.lock"], dir.path());
        assert_eq!((code, out.as_str()), (0, "\n"));
        assert!(err.contains("no file matches yarn.lock"), "{err}");
    }

    #[test]
    fn patterns_of_github_may_leave_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        file("a.lock", "one");
        file("b/c.lock", "two");
        file("b/d/e.lock", "three");
        let digest = |patterns: &[&str]| {
            hash_of(&patterns.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), dir.path()).unwrap()
        };
        let of = |texts: &[&str]| {
            let mut all = Sha256::new();
            texts.iter().for_each(|text| all.update(Sha256::digest(text)));
            hex(&all.finalize())
        };
        assert_eq!(digest(&["**/*.lock"]), of(&["one", "two", "three"]));
        assert_eq!(digest(&["b"]), of(&["two", "three"]));
        assert_eq!(digest(&["**/*.lock", "!b/**"]), of(&["one"]));
        assert_eq!(digest(&["**/*.lock\n!b/d"]), of(&["one", "two"]));
        assert_eq!(digest(&["!a.lock", "a.lock"]), of(&["one"]));
        assert_eq!(digest(&["none"]), "");
        assert_eq!(digest(&["/etc/passwd"]), "");
        assert!(hash_of(&["--nope".into()], dir.path()).is_err());
    }

    #[test]
    fn a_broken_glob_is_named() {
        let (code, out, err) = run(&["a[b"], Path::new("/"));
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.contains("invalid glob `a[b`"), "{err}");
    }
}
