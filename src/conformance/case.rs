//! The case files.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use walkdir::WalkDir;

use super::pattern::{Block, Pattern};

/// One behaviour, with the build that shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// `area/name`, from the place of the file.
    #[serde(skip)]
    pub(super) id: String,
    /// The file.
    #[serde(skip)]
    pub(super) path: PathBuf,
    /// The section of the fact sheet, a space, and the behaviour in words.
    pub(super) fact: String,
    /// How well the behaviour is known.
    pub(super) evidence: Evidence,
    /// Where and why we differ from CodeBuild.
    pub(super) differs: Option<String>,
    /// The image that is needed.
    #[serde(default)]
    pub(super) image: Image,
    /// The source tree: path to content, or `-> target` for a symbolic link.
    #[serde(default)]
    pub(super) files: IndexMap<String, String>,
    /// Commit the source tree to a git repository.
    #[serde(default)]
    pub(super) git: bool,
    /// `buildspec.yml` of the source tree.
    pub(super) buildspec: Option<String>,
    /// Secondary sources: name to tree.
    #[serde(default)]
    pub(super) sources: IndexMap<String, IndexMap<String, String>>,
    /// The runs, one after the other; a plain one when absent.
    #[serde(default)]
    pub(super) run: Vec<Run>,
    /// What the last run must give.
    pub(super) expect: Expect,
}

/// One `runspan run`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Run {
    /// More arguments. `{dir}` is the case's directory, `{image}` the image.
    pub(super) args: Vec<String>,
    /// `--env` of the build.
    pub(super) env: IndexMap<String, String>,
    /// Environment of `runspan` itself.
    pub(super) host_env: IndexMap<String, String>,
    /// `--project`, in the shape of CodeBuild's project. `{unique}` is different for every trial.
    pub(super) project: Option<serde_json::Value>,
    /// Files of the source tree written before this run.
    pub(super) files: IndexMap<String, String>,
    /// Another image than the case's.
    pub(super) image: Option<String>,
    /// Print the plain log in place of events: then only `exit`, the log and `artifacts` can be expected.
    pub(super) plain: bool,
    /// Interrupt the run when its output holds this text.
    pub(super) interrupt_at: Option<String>,
    /// What this run must give; the case's `expect` holds for the last run.
    pub(super) expect: Option<Expect>,
}

/// What a run must give. What is not named is not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Expect {
    /// Exit status.
    pub(super) exit: i32,
    /// `buildStatus`, or `buildBatchStatus`.
    pub(super) status: Option<String>,
    /// Phase to status.
    #[serde(default)]
    pub(super) phases: IndexMap<String, String>,
    /// Phases that must not have been entered.
    #[serde(default)]
    pub(super) phases_absent: Vec<String>,
    /// Parts of the log, in this order.
    #[serde(default)]
    pub(super) log: Vec<Block>,
    /// Parts of the log, in any order.
    #[serde(default)]
    pub(super) log_any_order: Vec<Block>,
    /// Parts that must not be in the log.
    #[serde(default)]
    pub(super) not_log: Vec<Block>,
    /// Lines of the log or of stderr.
    #[serde(default)]
    pub(super) output: Vec<Pattern>,
    /// Phase to its first context.
    #[serde(default)]
    pub(super) contexts: IndexMap<String, Context>,
    /// Every exported variable.
    pub(super) exported: Option<IndexMap<String, Pattern>>,
    /// Variables, which the case echoes as `NAME=value`.
    #[serde(default)]
    pub(super) variables: IndexMap<String, Pattern>,
    /// Content of artifacts, by path under the artifact directory; `x.zip!/path` inside an archive.
    #[serde(default)]
    pub(super) artifacts: IndexMap<String, Pattern>,
    /// Every path under the artifact directory.
    pub(super) listing: Option<Vec<String>>,
    /// Report group to a part of its report.
    #[serde(default)]
    pub(super) reports: IndexMap<String, serde_json::Value>,
    /// Part of the build record.
    pub(super) build: Option<serde_json::Value>,
    /// The members of a batch.
    pub(super) batch: Option<Batch>,
}

/// A context of a phase.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Context {
    /// `statusCode`.
    pub(super) status_code: String,
    /// `message`.
    pub(super) message: Pattern,
}

/// What became of the members of a batch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Batch {
    /// Identifier to status; null for a member that was never started.
    pub(super) groups: IndexMap<String, Option<String>>,
    /// Status to the number of members that have it.
    pub(super) members: IndexMap<String, usize>,
}

/// How well a behaviour is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Evidence {
    /// The user guide of 2022.
    D22,
    /// The user guide of 2025 and 2026.
    D26,
    /// The service model.
    M,
    /// Public source code.
    S,
    /// Published build logs.
    L,
    /// Tried.
    T,
    /// Public issues.
    I,
    /// Not confirmed: decided here.
    #[default]
    #[serde(rename = "?")]
    Open,
}

impl fmt::Display for Evidence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => formatter.write_str("?"),
            known => write!(formatter, "{known:?}"),
        }
    }
}

/// The image a case needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Image {
    /// Any that has `sh` and the usual small tools, such as busybox.
    #[default]
    Any,
    /// One with bash.
    Bash,
    /// Debian with bash and git.
    Debian,
}

impl fmt::Display for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Any => "any",
            Self::Bash => "bash",
            Self::Debian => "debian",
        })
    }
}

/// Why the cases could not be read.
#[derive(Debug)]
pub(super) enum LoadError {
    /// A file or directory cannot be read.
    Read(PathBuf, io::Error),
    /// A file is not a case.
    Parse(PathBuf, Box<serde_saphyr::Error>),
    /// A case has no area directory or no name.
    Place(PathBuf),
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(formatter, "cannot read {}: {error}", path.display()),
            Self::Parse(path, error) => write!(formatter, "{} is not a case: {error}", path.display()),
            Self::Place(path) => write!(formatter, "{}: a case lies in <area>/<name>.yml", path.display()),
        }
    }
}

/// Reads the cases of files and directories, in the order of their paths.
pub(super) fn load(paths: &[PathBuf]) -> Result<Vec<Case>, LoadError> {
    let mut cases = Vec::new();
    for root in paths {
        for entry in WalkDir::new(root).sort_by_file_name() {
            let entry = entry.map_err(|error| LoadError::Read(root.clone(), error.into()))?;
            if entry.file_type().is_file()
                && entry.path().extension().is_some_and(|extension| extension == "yml")
            {
                cases.push(read(entry.path())?);
            }
        }
    }
    Ok(cases)
}

fn read(path: &Path) -> Result<Case, LoadError> {
    let text = fs::read_to_string(path).map_err(|error| LoadError::Read(path.to_owned(), error))?;
    let mut case: Case =
        serde_saphyr::from_str(&text).map_err(|error| LoadError::Parse(path.to_owned(), Box::new(error)))?;
    let part = |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).map(str::to_owned);
    let area = part(path.parent().and_then(Path::file_name));
    let (Some(area), Some(name)) = (area, part(path.file_stem())) else {
        return Err(LoadError::Place(path.to_owned()));
    };
    case.id = format!("{area}/{name}");
    case.path = path.to_owned();
    Ok(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("area/name.yml");
        fs::create_dir(dir.path().join("area")).unwrap();
        fs::write(&path, "fact: 1 x\nevidence: '?'\nexpect: { exit: 0, exitt: 1 }\n").unwrap();
        let error = load(&[path]).unwrap_err().to_string();
        assert!(error.contains("area/name.yml") && error.contains("exitt"), "{error}");
    }

    #[test]
    fn a_case_is_named_after_its_place() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("area")).unwrap();
        fs::write(dir.path().join("area/name.yml"), "fact: 1 x\nevidence: D22\nexpect: { exit: 1 }\n")
            .unwrap();
        let cases = load(&[dir.path().to_owned()]).unwrap();
        assert_eq!(cases[0].id, "area/name");
        assert_eq!(cases[0].evidence.to_string(), "D22");
        assert_eq!(cases[0].expect.exit, 1);
    }
}
