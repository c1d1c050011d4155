//! Why a build could not begin, in words for whoever started it.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use runspan_buildspec::{Diagnostic, Severity, parse_bytes, render};
use runspan_engine::build::Build;
use runspan_engine::lifecycle::{PhaseContext, Status};
use runspan_engine::project::SourceType;
use runspan_engine::request::{BuildRequest, BuildspecChoice};

use crate::console::colors;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// The text for stderr; `None` when the build did run, and its log says the rest.
pub(super) fn explain(build: &Build, request: &BuildRequest) -> Option<String> {
    let color = colors(io::stderr().is_terminal());
    let exit = Exit::of(build);
    if !matches!(exit, Exit::BadInput | Exit::Infrastructure) {
        return None;
    }
    let failed = build
        .phases
        .iter()
        .find(|phase| phase.phase_status.is_some_and(|status| status != Status::Succeeded))?;
    let context = failed.contexts.first().cloned().unwrap_or_default();
    if context.status_code == "YAML_FILE_ERROR"
        && let Some(text) = explain_buildspec(request, color)
    {
        return Some(text);
    }
    let PhaseContext { status_code, message } = context;
    let why = Failure::machine(format!("{}: {status_code}: {}", failed.phase_type.name(), message.trim()));
    let why = if status_code == "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE" {
        let image = &build.environment.image;
        why.help(format!("is `{image}` the right name? `docker images` lists the images of this machine"))
    } else {
        why
    };
    Some(why.render(color))
}

/// What is wrong with the buildspec, where it can be read here.
fn explain_buildspec(request: &BuildRequest, color: bool) -> Option<String> {
    let (name, bytes) = match local_buildspec(request)? {
        Ok(found) => found,
        Err((path, error)) => {
            let shown = path.display();
            let failure = if error.kind() == io::ErrorKind::NotFound {
                Failure::input(format!("there is no buildspec at {shown}")).help(instead_of(&path))
            } else {
                Failure::input(format!("the buildspec {shown} cannot be read")).because(&error)
            };
            return Some(failure.render(color));
        }
    };
    let parsed = parse_bytes(&bytes);
    let text = String::from_utf8_lossy(&bytes);
    let errors: Vec<_> =
        parsed.diagnostics.iter().filter(|found| found.severity() == Severity::Error).collect();
    (!errors.is_empty()).then(|| explain_errors(&errors, &name, &text, color))
}

/// What to do where a directory has no buildspec: it may have something that becomes one.
fn instead_of(buildspec: &Path) -> String {
    let beside = |name: &&&str| buildspec.with_file_name(name).is_file();
    match ["bitbucket-pipelines.yml", "Jenkinsfile"].iter().find(beside) {
        Some(name) => format!(
            "build {} itself: name it instead of its directory",
            buildspec.with_file_name(name).display()
        ),
        None => "write one, or name another with --buildspec FILE".into(),
    }
}

/// Diagnostics as `check` shows them, each with CodeBuild's own words.
fn explain_errors(errors: &[&Diagnostic], name: &str, text: &str, color: bool) -> String {
    let shown = errors.iter().map(|error| {
        let own = error.codebuild.as_ref().map_or_else(String::new, |own| format!("CodeBuild says: {own}\n"));
        format!("{}\n{own}", render(error, name, text, color).trim_end())
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// The buildspec of a request with a name for it; `None` when it lies in a source that is not on this machine.
#[expect(clippy::type_complexity, reason = "the path belongs to the error alone")]
pub(super) fn local_buildspec(
    request: &BuildRequest,
) -> Option<Result<(String, Vec<u8>), (PathBuf, io::Error)>> {
    let of_source = request.source.buildspec.as_deref().filter(|text| !text.is_empty());
    let choice = request.buildspec.clone().or_else(|| of_source.map(BuildspecChoice::from_text));
    let path = match choice {
        Some(BuildspecChoice::Inline(text)) => {
            return Some(Ok(("the buildspec's text".to_owned(), text.into_bytes())));
        }
        Some(BuildspecChoice::File(path)) => path,
        Some(BuildspecChoice::Path(path)) => in_source(request, &path)?,
        None => in_source(request, "buildspec.yml")?,
    };
    Some(match fs::read(&path) {
        Ok(bytes) => Ok((path.to_string_lossy().into_owned(), bytes)),
        Err(error) => Err((path, error)),
    })
}

fn in_source(request: &BuildRequest, path: &str) -> Option<PathBuf> {
    let root = Path::new(request.source.location.as_deref()?);
    (request.source.kind == SourceType::Directory && root.is_dir())
        .then(|| root.join(path.trim_start_matches('/')))
}
