//! The scripts that carry commands, and state from one to the next.
//!
//! A command's text always begins at line 4, as in CodeBuild, so that shells' messages name the same lines.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A word for the shell.
pub(crate) fn quote(text: impl AsRef<OsStr>) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in text.as_ref().as_bytes() {
        if byte == b'\'' {
            quoted.extend_from_slice(b"'\\''");
        } else {
            quoted.push(byte);
        }
    }
    quoted.push(b'\'');
    quoted
}

/// A line that exports a variable, or nothing for a name that a shell cannot hold.
pub(crate) fn export(name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Vec<u8> {
    let name = name.as_ref();
    if !is_shell_name(name) {
        return Vec::new();
    }
    [b"export ", name.as_bytes(), b"=", &quote(value), b"\n"].concat()
}

/// Whether a shell can hold a variable of this name.
pub(crate) fn is_shell_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    bytes.first().is_some_and(|byte| !byte.is_ascii_digit())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// The state files that a script reads, and writes when the command is through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateFiles<'a> {
    /// Variables, as the shell's `export -p` writes them.
    pub(crate) env: &'a Path,
    /// Working directory.
    pub(crate) dir: &'a Path,
}

/// A command in a build that carries state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carrying<'a> {
    /// Where state is kept.
    pub(crate) files: StateFiles<'a>,
    /// Where the command begins.
    pub(crate) directory: &'a OsStr,
    /// `CODEBUILD_BUILD_SUCCEEDING`, which the saved variables know too late.
    pub(crate) succeeding: bool,
}

/// Lines 1 to 3: where the command begins, and the variables it begins with.
///
/// The directory comes first, so that the saved `OLDPWD` holds and `cd -` works.
fn preamble(with: &Carrying) -> Vec<u8> {
    let mut script = [b"cd ", &quote(with.directory)[..], b"\nset -a\n. ", &quote(with.files.env)].concat();
    script.extend_from_slice(b"; CODEBUILD_BUILD_SUCCEEDING=");
    script.push(b'0' + u8::from(with.succeeding));
    script.push(b'\n');
    script
}

/// The script of a command that carries state: the one of AWS's published runner, with the directory written
/// in so that no image needs `cat`.
pub(crate) fn carrying(text: &str, with: &Carrying) -> Vec<u8> {
    let env = quote(with.files.env);
    let mut script = preamble(with);
    script.extend_from_slice(text.as_bytes());
    script.extend_from_slice(b"\nCODEBUILD_LAST_EXIT=$?\n");
    script.extend_from_slice(&[b"export -p > ", &env[..], b"\n"].concat());
    script.extend_from_slice(&[b"pwd > ", &quote(with.files.dir)[..], b"\n"].concat());
    script.extend_from_slice(b"exit $CODEBUILD_LAST_EXIT\n");
    script
}

/// The script of a command that carries nothing (buildspec 0.1).
pub(crate) fn plain(text: &str) -> Vec<u8> {
    ["\n\n\n", text, "\n"].concat().into_bytes()
}

/// A script that prints the variables as they were saved.
pub(crate) fn dump(files: &StateFiles, agent: &Path) -> Vec<u8> {
    [b"set -a\n. ", &quote(files.env)[..], b"\nexec ", &quote(agent), b" --print-environment\n"].concat()
}

/// A script that expands a text as between double quotes and prints it.
///
/// A here-document expands like double quotes, but lets the text hold quotes of its own.
pub(crate) fn expand(text: &str, with: &Carrying, agent: &Path) -> Vec<u8> {
    let mut end = String::from("RUNSPAN_END");
    while text.contains(&end) {
        end.push('_');
    }
    let mut script = preamble(with);
    script.extend_from_slice(&[&quote(agent)[..], b" --print-input <<", end.as_bytes(), b"\n"].concat());
    script.extend_from_slice(&[text.as_bytes(), b"\n", end.as_bytes(), b"\n"].concat());
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_begins_at_line_four() {
        let files = StateFiles { env: Path::new("/t/env.sh"), dir: Path::new("/t/dir.txt") };
        let with = Carrying { files, directory: OsStr::new("/it's\nhere"), succeeding: false };
        let script = String::from_utf8(carrying("echo hi", &with)).unwrap();
        // The quoted directory may itself hold line ends; nobody's does, but it must not break out.
        assert!(
            script.starts_with("cd '/it'\\''s\nhere'\nset -a\n. '/t/env.sh'; CODEBUILD_BUILD_SUCCEEDING=0")
        );
        let with = Carrying { directory: OsStr::new("/src"), ..with };
        let script = String::from_utf8(carrying("echo hi", &with)).unwrap();
        assert_eq!(script.lines().nth(3), Some("echo hi"));
        assert_eq!(String::from_utf8(plain("echo hi")).unwrap().lines().nth(3), Some("echo hi"));
    }

    #[test]
    fn names_that_a_shell_cannot_hold_are_left_out() {
        assert_eq!(export("A_1", "it's"), b"export A_1='it'\\''s'\n");
        for name in ["1A", "a.b", "BASH_FUNC_x%%", ""] {
            assert!(export(name, "x").is_empty(), "{name}");
        }
    }
}
