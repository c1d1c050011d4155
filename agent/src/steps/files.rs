//! The files that a step writes to: `GITHUB_ENV` and its like.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::error::AgentError;
use crate::users::User;

/// A larger file fails the step.
const MOST_BYTES: u64 = 4 << 20;
/// A larger summary is not taken, as GitHub has it.
const MOST_SUMMARY: u64 = 1 << 20;

/// Variable and the beginning of the file's name.
const FILES: [(&str, &str); 5] = [
    ("GITHUB_ENV", "set_env"),
    ("GITHUB_PATH", "add_path"),
    ("GITHUB_OUTPUT", "set_output"),
    ("GITHUB_STATE", "save_state"),
    ("GITHUB_STEP_SUMMARY", "step_summary"),
];

/// The files of one step.
#[derive(Debug)]
pub(crate) struct StepFiles(Vec<(&'static str, PathBuf)>);

/// What a step wrote.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// `GITHUB_ENV`.
    pub(crate) environment: Vec<(String, String)>,
    /// `GITHUB_PATH`.
    pub(crate) path: Vec<String>,
    /// `GITHUB_OUTPUT`.
    pub(crate) outputs: Vec<(String, String)>,
    /// `GITHUB_STATE`.
    pub(crate) state: Vec<(String, String)>,
    /// `GITHUB_STEP_SUMMARY`.
    pub(crate) summary: Option<String>,
    /// What cannot be read, each of which fails the step.
    pub(crate) faults: Vec<String>,
}

impl StepFiles {
    /// Makes them empty, for this user.
    pub(crate) fn create(dir: &Path, request: u64, user: Option<&User>) -> Result<Self, AgentError> {
        let make = |(variable, name): (&'static str, &str)| {
            let path = dir.join(format!("{name}_{request}"));
            write_new(&path, b"", 0o600, user).map_err(AgentError::file("make", &path))?;
            Ok((variable, path))
        };
        FILES.into_iter().map(make).collect::<Result<_, _>>().map(Self)
    }

    /// Variables that name them.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.0.iter().map(|(variable, path)| (*variable, path.as_path()))
    }

    /// Reads and removes them.
    pub(crate) fn take(self) -> Written {
        let mut written = Written::default();
        for (variable, path) in self.0 {
            let summary = variable == "GITHUB_STEP_SUMMARY";
            let read = read(&path, if summary { MOST_SUMMARY } else { MOST_BYTES });
            // The step may have removed it already.
            let _ = std::fs::remove_file(&path);
            let text = match read {
                Ok(text) => text,
                Err(Unreadable::TooLarge(size)) if summary => {
                    let kilobytes = size / 1024;
                    written.faults.push(format!(
                        "$GITHUB_STEP_SUMMARY upload aborted, supports content up to a size of 1024k, got {kilobytes}k"
                    ));
                    continue;
                }
                Err(Unreadable::TooLarge(size)) => {
                    written
                        .faults
                        .push(format!("${variable} has {size} bytes; at most {MOST_BYTES} are taken"));
                    continue;
                }
                Err(Unreadable::Io(error)) => {
                    written.faults.push(format!("${variable} cannot be read: {error}"));
                    continue;
                }
            };
            let mut pairs = |into: fn(&mut Written) -> &mut Vec<(String, String)>| match parse(&text) {
                Ok(pairs) => into(&mut written).extend(pairs),
                Err(fault) => {
                    written
                        .faults
                        .push(format!("Unable to process file command '{}': {fault}", command(variable)));
                }
            };
            match variable {
                "GITHUB_ENV" => pairs(|written| &mut written.environment),
                "GITHUB_OUTPUT" => pairs(|written| &mut written.outputs),
                "GITHUB_STATE" => pairs(|written| &mut written.state),
                "GITHUB_PATH" => {
                    written.path.extend(text.lines().filter(|line| !line.is_empty()).map(str::to_owned));
                }
                _ => written.summary = Some(text).filter(|text| !text.trim().is_empty()),
            }
        }
        written
    }
}

/// The file's name in GitHub's messages.
fn command(variable: &str) -> &'static str {
    match variable {
        "GITHUB_ENV" => "env",
        "GITHUB_OUTPUT" => "output",
        _ => "state",
    }
}

/// Makes a file that nobody made before, for this user.
pub(super) fn write_new(path: &Path, bytes: &[u8], mode: u32, user: Option<&User>) -> io::Result<()> {
    use io::Write as _;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    if let Some(user) = user {
        fchown(&file, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    }
    file.write_all(bytes)
}

enum Unreadable {
    TooLarge(u64),
    Io(io::Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn read(path: &Path, limit: u64) -> Result<String, Unreadable> {
    // A step may have put a pipe or a link in its place.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file: File = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        opened => opened?,
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(Unreadable::Io(io::Error::other("it is no plain file any more")));
    }
    if meta.len() > limit {
        return Err(Unreadable::TooLarge(meta.len()));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// `NAME=value`, or `NAME<<END`, lines and `END`.
fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, ended) = take_line(&mut rest);
        if line.is_empty() {
            continue;
        }
        match (line.find('='), line.find("<<")) {
            (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                pairs.push((line[..equals].to_owned(), line[equals + 1..].to_owned()));
            }
            (_, Some(heredoc)) => {
                let (name, end) = (&line[..heredoc], &line[heredoc + 2..]);
                if name.is_empty() || end.is_empty() {
                    return Err(format!(
                        "Invalid format '{line}'. Name must not be empty and delimiter must not be empty"
                    ));
                }
                if !ended {
                    return Err("Invalid value. EOF marker missing new line.".into());
                }
                pairs.push((name.to_owned(), heredoc_value(&mut rest, end)?));
            }
            _ => return Err(format!("Invalid format '{line}'")),
        }
    }
    Ok(pairs)
}

fn heredoc_value(rest: &mut &str, end: &str) -> Result<String, String> {
    let start = *rest;
    loop {
        let before = rest.len();
        if before == 0 {
            return Err(format!("Invalid value. Matching delimiter not found '{end}'"));
        }
        let (line, ended) = take_line(rest);
        if line == end {
            let value = &start[..start.len() - before];
            return Ok(value.strip_suffix('\n').unwrap_or(value).to_owned());
        }
        if !ended {
            return Err(format!("Invalid value. Matching delimiter not found '{end}'"));
        }
    }
}

/// The next line, and whether it had an end.
fn take_line<'a>(rest: &mut &'a str) -> (&'a str, bool) {
    match rest.split_once('\n') {
        Some((line, after)) => {
            *rest = after;
            (line, true)
        }
        None => (std::mem::take(rest), false),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
        parse(text)
    }

    fn ok(expected: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        Ok(expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn both_forms_are_read() {
        for (text, expected) in [
            ("", ok(&[])),
            ("\n\nA=b=c\nB=\n", ok(&[("A", "b=c"), ("B", "")])),
            ("A=x<<y", ok(&[("A", "x<<y")])),
            ("A<<E\none\n\ntwo\nE\nB=1", ok(&[("A", "one\n\ntwo"), ("B", "1")])),
            ("A<<E\nE\n", ok(&[("A", "")])),
            ("A<<E\n E\nE", ok(&[("A", " E")])),
            ("A<<E\nx=1\r\nE\n", ok(&[("A", "x=1\r")])),
            ("=v", ok(&[("", "v")])),
        ] {
            assert_eq!(pairs(text), expected, "{text:?}");
        }
    }

    #[test]
    fn faults_are_named_as_github_names_them() {
        for (text, fault) in [
            ("word", "Invalid format 'word'"),
            ("A=1\nword", "Invalid format 'word'"),
            ("<<E\nE", "Invalid format '<<E'. Name must not be empty and delimiter must not be empty"),
            ("A<<\nx", "Invalid format 'A<<'. Name must not be empty and delimiter must not be empty"),
            ("A<<E\nx\n", "Invalid value. Matching delimiter not found 'E'"),
            ("A<<E\nx", "Invalid value. Matching delimiter not found 'E'"),
            ("A<<E", "Invalid value. EOF marker missing new line."),
        ] {
            assert_eq!(pairs(text), Err(fault.to_owned()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            pairs in prop::collection::vec(("[A-Za-z_.-]{1,8}", "[ -~äß\\n]{0,40}"), 0..6),
            noise in "\\PC{0,60}",
        ) {
            let mut text = String::new();
            for (name, value) in &pairs {
                text.push_str(&format!("{name}<<END-0f3a\n{value}\nEND-0f3a\n"));
            }
            prop_assert_eq!(parse(&text), Ok(pairs));
            // Whatever a step writes, nothing panics.
            drop(parse(&noise));
        }
    }

    #[test]
    fn what_a_step_does_to_its_files_is_its_own_fault() {
        let dir = tempfile::tempdir().unwrap();
        let files = StepFiles::create(dir.path(), 7, None).unwrap();
        let path =
            |name: &str| files.variables().find(|(variable, _)| *variable == name).unwrap().1.to_owned();
        std::fs::write(path("GITHUB_ENV"), "\u{feff}A=1\n").unwrap();
        std::fs::remove_file(path("GITHUB_OUTPUT")).unwrap();
        std::fs::remove_file(path("GITHUB_STATE")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path("GITHUB_STATE")).unwrap();
        std::fs::write(path("GITHUB_PATH"), "/a\n\n/b\n").unwrap();
        std::fs::File::create(path("GITHUB_STEP_SUMMARY")).unwrap().set_len(2 << 20).unwrap();
        let written = files.take();
        assert_eq!(written.environment, [("A".to_owned(), "1".to_owned())]);
        assert_eq!(written.path, ["/a", "/b"]);
        assert_eq!(written.faults.len(), 2, "{:?}", written.faults);
        assert!(written.faults[1].contains("got 2048k"), "{:?}", written.faults);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
