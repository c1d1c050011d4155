//! What can be done before there is a container: fetch the sources, read the buildspec, make the plan.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use runspan_buildspec::{Buildspec, Diagnostic, parse_bytes, render};

use crate::build::Build;
use crate::environment::SourceDirs;
use crate::lifecycle::PhaseOutcome;
use crate::plan::{Plan, plan};
use crate::request::{BuildRequest, BuildspecChoice};
use crate::source::{Fetched, fetch_all};

/// A larger buildspec is a mistake.
const MAX_BUILDSPEC_BYTES: u64 = 16 << 20;

/// Sources and plan of a build.
pub(super) struct Prepared {
    /// The text of the buildspec.
    pub(super) text: String,
    /// What will be done.
    pub(super) plan: Plan,
    /// Where the buildspec is, as the log says it.
    pub(super) yaml_location: String,
    /// What the user should know of the buildspec, rendered.
    pub(super) warnings: Vec<String>,
    /// The sources with their directories in the container, the primary one first.
    pub(super) sources: Vec<(String, Arc<Fetched>)>,
    /// Commit of the primary source.
    pub(super) resolved_version: Option<String>,
}

/// Why a build cannot begin: how DOWNLOAD_SOURCE ends, and more words for people.
pub(super) struct Unprepared {
    pub(super) outcome: PhaseOutcome,
    /// Diagnostics with the lines they are about.
    pub(super) details: String,
}

impl From<PhaseOutcome> for Unprepared {
    fn from(outcome: PhaseOutcome) -> Self {
        Self { outcome, details: String::new() }
    }
}

/// Fetches every source, then reads the primary one's buildspec.
pub(super) async fn prepare(
    request: BuildRequest,
    build: Build,
    dirs: SourceDirs,
) -> Result<Prepared, Unprepared> {
    tokio::task::spawn_blocking(move || prepare_now(&request, &build, &dirs)).await.unwrap_or_else(|error| {
        Err(PhaseOutcome::fault("INTERNAL_ERROR", format!("fetching the sources ended: {error}")).into())
    })
}

fn prepare_now(request: &BuildRequest, build: &Build, dirs: &SourceDirs) -> Result<Prepared, Unprepared> {
    let fetched =
        fetch_all(request).map_err(|error| PhaseOutcome::failed("CLIENT_ERROR", error.to_string()))?;
    let primary = Arc::clone(&fetched.primary);
    let (bytes, yaml_location) = read_buildspec(request, primary.root(), &dirs.primary)
        .map_err(|message| PhaseOutcome::failed("YAML_FILE_ERROR", message))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (plan, diagnostics) = plan_from(&text, request, build)?;
    let name = yaml_location.rsplit('/').next().unwrap_or("buildspec.yml");
    let warnings = diagnostics.iter().map(|diagnostic| render(diagnostic, name, &text, false)).collect();
    let mut sources = vec![(dirs.primary.clone(), primary)];
    sources.extend(dirs.secondary.iter().map(|(_, dir)| dir.clone()).zip(fetched.secondary));
    let resolved_version = fetched.resolved_version;
    Ok(Prepared { text, plan, yaml_location, warnings, sources, resolved_version })
}

/// The plan of a buildspec's text, with what is to be said of it.
pub(super) fn plan_from(
    text: &str,
    request: &BuildRequest,
    build: &Build,
) -> Result<(Plan, Vec<Diagnostic>), Unprepared> {
    let parsed = parse_bytes(text.as_bytes());
    let Some(buildspec): Option<Buildspec> = parsed.buildspec else {
        let first = parsed.diagnostics.iter().find(|diagnostic| diagnostic.status().is_some());
        let message = first.map(Diagnostic::codebuild_message).unwrap_or_default();
        let details = parsed
            .diagnostics
            .iter()
            .map(|diagnostic| render(diagnostic, "buildspec.yml", text, false))
            .collect::<Vec<_>>()
            .join("\n");
        return Err(Unprepared { outcome: PhaseOutcome::failed("YAML_FILE_ERROR", message), details });
    };
    let plan = plan(request, &build.project_name, &buildspec)
        .map_err(|error| PhaseOutcome::failed(error.status_code, error.message))?;
    Ok((plan, parsed.diagnostics))
}

/// The bytes of the buildspec, and its place as the log names it; the error is CodeBuild's own message.
fn read_buildspec(
    request: &BuildRequest,
    source: Option<&Path>,
    source_dir: &str,
) -> Result<(Vec<u8>, String), String> {
    let from_project = || request.source.buildspec.as_deref().filter(|text| !text.is_empty());
    let choice = request.buildspec.clone().or_else(|| from_project().map(BuildspecChoice::from_text));
    let readonly = || "/codebuild/readonly/buildspec.yml".to_owned();
    match choice {
        Some(BuildspecChoice::Inline(text)) => Ok((text.into_bytes(), readonly())),
        Some(BuildspecChoice::File(path)) => {
            let bytes = read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            Ok((bytes, readonly()))
        }
        chosen => {
            let (path, named) = match chosen {
                Some(BuildspecChoice::Path(path)) => (path, true),
                _ => ("buildspec.yml".to_owned(), false),
            };
            if path.starts_with("arn:") {
                return Err(format!(
                    "a buildspec in S3 ({path}) is not supported here; use a path or the text"
                ));
            }
            let location = format!("{source_dir}/{path}");
            let Some(root) = source else {
                return Err("a build without a source needs its buildspec as text".into());
            };
            match read(&root.join(path.trim_start_matches('/'))) {
                Ok(bytes) => Ok((bytes, location)),
                Err(error) if error.kind() == io::ErrorKind::NotFound && named => {
                    Err(format!("stat {location}: no such file or directory"))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err("YAML file does not exist".into())
                }
                Err(error) => Err(format!("cannot read {location}: {error}")),
            }
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length > MAX_BUILDSPEC_BYTES {
        return Err(io::Error::other(format!("{length} bytes are too many for a buildspec")));
    }
    fs::read(path)
}
