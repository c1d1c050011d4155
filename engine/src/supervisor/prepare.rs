//! What can be done before there is a container: fetch the sources, read the buildspec, make the plan.

use std::fs;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runspan_archive::Limits;
use runspan_buildspec::{Buildspec, Diagnostic, parse_bytes, render};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use tempfile::TempPath;

use super::outside::{Downloaded, Outside};
use crate::batch::Batchspec;
use crate::build::Build;
use crate::environment::SourceDirs;
use crate::lifecycle::PhaseOutcome;
use crate::plan::{Plan, plan};
use crate::ports::{Place, Ports};
use crate::project::{CacheMode, ProjectSource, SourceType};
use crate::request::{BuildRequest, BuildspecChoice};
use crate::source::{self, Context, Fetched, Git, Source};

/// A larger buildspec is a mistake.
const MAX_BUILDSPEC_BYTES: u64 = 16 << 20;
/// Git may take so long for all it does for one source.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3600);
/// A zip file with more is a bomb.
const MAX_SOURCE_ENTRIES: u64 = 10_000_000;
/// A zip file with more, unpacked, is a bomb.
const MAX_SOURCE_BYTES: u64 = 128 << 30;

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
    /// Where a directory that is a git checkout comes from.
    pub(super) origin_url: Option<String>,
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
    ports: &Ports,
) -> Result<Prepared, Unprepared> {
    let outside = Outside::of(ports);
    tokio::task::spawn_blocking(move || prepare_now(&request, &build, &dirs, &outside)).await.unwrap_or_else(
        |error| {
            Err(PhaseOutcome::fault("INTERNAL_ERROR", format!("fetching the sources ended: {error}")).into())
        },
    )
}

fn prepare_now(
    request: &BuildRequest,
    build: &Build,
    dirs: &SourceDirs,
    outside: &Outside,
) -> Result<Prepared, Unprepared> {
    let failed = |error: String| PhaseOutcome::failed("CLIENT_ERROR", error);
    let primary =
        fetch(request, &request.source, request.source_version.as_deref(), outside).map_err(failed)?;
    let primary = Arc::new(primary);
    let mut sources = vec![(dirs.primary.clone(), Arc::clone(&primary))];
    for ((secondary, version), (_, dir)) in request.secondary_sources.iter().zip(&dirs.secondary) {
        let fetched = fetch(request, secondary, version.as_deref(), outside).map_err(failed)?;
        sources.push((dir.clone(), Arc::new(fetched)));
    }
    let (bytes, yaml_location) = read_buildspec(request, primary.path(), &dirs.primary, outside)
        .map_err(|message| PhaseOutcome::failed("YAML_FILE_ERROR", message))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (plan, diagnostics) = plan_from(&text, request, build)?;
    let name = yaml_location.rsplit('/').next().unwrap_or("buildspec.yml");
    let mut warnings: Vec<String> =
        diagnostics.iter().map(|diagnostic| render(diagnostic, name, &text, false)).collect();
    warnings.extend(sources.iter().flat_map(|(_, source)| source.warnings.iter().cloned()));
    // A directory that is a checkout has a commit too, though its tree may differ from it.
    let head = || primary.origin.as_ref().and_then(|origin| origin.head.clone());
    let revision = || request.source_revision.clone();
    let resolved_version = primary.resolved_version.clone().or_else(revision).or_else(head);
    let origin_url = primary.origin.as_ref().and_then(|origin| origin.url.clone());
    Ok(Prepared { text, plan, yaml_location, warnings, sources, origin_url, resolved_version })
}

/// Fetches the primary source and reads its buildspec; the error is in words for the batch's record.
pub(crate) async fn batchspec(request: BuildRequest, ports: &Ports) -> Result<Batchspec, String> {
    let outside = Outside::of(ports);
    let read = move || {
        let primary = fetch(&request, &request.source, request.source_version.as_deref(), &outside)?;
        let (bytes, name) = read_buildspec(&request, primary.path(), "", &outside)?;
        Batchspec::read(&bytes, &name)
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(error.to_string()))
}

/// Fetches one source of the request.
fn fetch(
    request: &BuildRequest,
    from: &ProjectSource,
    version: Option<&str>,
    outside: &Outside,
) -> Result<Fetched, String> {
    let location = from.location.clone().unwrap_or_default();
    // Removed when it has been unpacked.
    let downloaded: TempPath;
    let wanted = match from.kind {
        SourceType::NoSource => Source::None,
        SourceType::S3 => match outside.download(request, from, version)? {
            Downloaded::Folder(folder) => return Ok(Fetched::made(folder)),
            Downloaded::Zip(file) => {
                downloaded = file;
                Source::Zip(downloaded.to_path_buf())
            }
        },
        kind if kind.is_git() => Source::Git(Git {
            version: version.unwrap_or_default().to_owned(),
            depth: from.git_clone_depth.and_then(NonZeroU32::new),
            submodules: from.git_submodules_config.is_some_and(|config| config.fetch_submodules),
            login: outside.login(request, from, &location)?,
            url: location,
            insecure_ssl: from.insecure_ssl.unwrap_or_default(),
        }),
        _ if location.ends_with(".zip") => Source::Zip(location.into()),
        _ => Source::Directory(location.into()),
    };
    let keeps_history = request.project.cache.modes.contains(&CacheMode::LocalSourceCache);
    let source_cache = request.cache_dir.join("git");
    source::fetch(
        &wanted,
        &Context {
            identifier: from.source_identifier.as_deref(),
            work_dir: &request.cache_dir.join("sources"),
            source_cache: keeps_history.then_some(source_cache.as_path()),
            timeout: FETCH_TIMEOUT,
            allow_file_protocol: request.grants.local_repositories,
            user_logins: request.grants.local_repositories,
            limits: Limits { entries: MAX_SOURCE_ENTRIES, bytes: MAX_SOURCE_BYTES },
        },
    )
    .map_err(|error| error.to_string())
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
    outside: &Outside,
) -> Result<(Vec<u8>, String), String> {
    let from_project = || request.source.buildspec.as_deref().filter(|text| !text.is_empty());
    let choice = request.buildspec.clone().or_else(|| from_project().map(BuildspecChoice::from_text));
    let readonly = || "/codebuild/readonly/buildspec.yml".to_owned();
    match choice {
        Some(BuildspecChoice::Inline(text)) => Ok((text.into_bytes(), readonly())),
        Some(BuildspecChoice::File(path)) => {
            let bytes = fs::File::open(&path)
                .and_then(read)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            Ok((bytes, readonly()))
        }
        chosen => {
            let (path, named) = match chosen {
                Some(BuildspecChoice::Path(path)) => (path, true),
                _ => ("buildspec.yml".to_owned(), false),
            };
            if path.starts_with("arn:") {
                let file = outside.get(&Place::parse(&path), &request.cache_dir.join("sources"))?;
                let bytes =
                    fs::File::open(&file).and_then(read).map_err(|error| format!("{path}: {error}"))?;
                return Ok((bytes, readonly()));
            }
            let location = format!("{source_dir}/{path}");
            let Some(root) = source else {
                return Err("a build without a source needs its buildspec as text".into());
            };
            // In a tree that others made, a link could name any file of this machine.
            let opened = match request.source.kind {
                SourceType::Directory => fs::File::open(root.join(path.trim_start_matches('/'))),
                _ => open_beneath(root, path.trim_start_matches('/')),
            };
            match opened.and_then(read) {
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

fn read(file: fs::File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BUILDSPEC_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BUILDSPEC_BYTES {
        return Err(io::Error::other(format!(
            "more than {MAX_BUILDSPEC_BYTES} bytes are too many for a buildspec"
        )));
    }
    Ok(bytes)
}

/// Opens a file of a tree without ever leaving the tree.
fn open_beneath(root: &Path, path: &str) -> io::Result<fs::File> {
    let root = fs::File::open(root)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(&root, path, flags, Mode::empty(), resolve)?.into())
}
