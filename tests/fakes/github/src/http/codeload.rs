//! Archives of repositories.

use axum::{
    Router,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};

use super::{caller::Authorization, refusals::RestRefusal};
use crate::{
    model::{Identity, Refused, Repository, TokenKind},
    server::App,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/codeload/{owner}/{name}/{format}/{*reference}", get(archive))
        .route("/{owner}/{name}/archive/{*file}", get(archive_file))
}

/// A repository that the caller may read. A private one is not there for others.
pub(super) fn readable(app: &App, name: &str, caller: &Authorization) -> Result<Repository, Refused> {
    let missing = || Refused::NotFound("Not Found".to_owned());
    let repository =
        app.read(|github| github.repositories.get(&name.to_lowercase()).cloned()).ok_or_else(missing)?;
    if !repository.private {
        return Ok(repository);
    }
    let owner = repository.name.split('/').next().unwrap_or_default();
    let allowed = match caller.identity(app).map_err(|_| missing())? {
        Identity::Token(TokenKind::Person) => true,
        Identity::Token(TokenKind::Installation(account)) => account.eq_ignore_ascii_case(owner),
        Identity::Token(TokenKind::Workflow(job)) => app.read(|github| {
            let run = github.jobs.get(&job).and_then(|job| github.runs.get(&job.run));
            run.is_some_and(|run| run.repository.eq_ignore_ascii_case(&repository.name))
        }),
        Identity::Token(_) | Identity::App(_) => false,
    };
    if allowed { Ok(repository) } else { Err(missing()) }
}

async fn archive(
    State(app): State<App>,
    Path((owner, name, format, reference)): Path<(String, String, String, String)>,
    caller: Authorization,
) -> Result<Response, RestRefusal> {
    serve(&app, &format!("{owner}/{name}"), &format, &reference, &caller)
}

async fn archive_file(
    State(app): State<App>,
    Path((owner, name, file)): Path<(String, String, String)>,
    caller: Authorization,
) -> Result<Response, RestRefusal> {
    let (reference, format) = match (file.strip_suffix(".tar.gz"), file.strip_suffix(".zip")) {
        (Some(reference), _) => (reference, "tar.gz"),
        (_, Some(reference)) => (reference, "zip"),
        _ => return Err(Refused::NotFound("Not Found".to_owned()).into()),
    };
    serve(&app, &format!("{owner}/{name}"), format, reference, &caller)
}

fn serve(
    app: &App,
    name: &str,
    format: &str,
    reference: &str,
    caller: &Authorization,
) -> Result<Response, RestRefusal> {
    let missing = || Refused::NotFound("Not Found".to_owned());
    let repository = readable(app, name, caller)?;
    let (format, content_type) = match format {
        "tar.gz" | "legacy.tar.gz" => ("tar.gz", "application/x-gzip"),
        "zip" | "legacy.zip" => ("zip", "application/zip"),
        _ => return Err(missing().into()),
    };
    let commit = repository.resolve(reference).ok_or_else(missing)?;
    let bytes = repository.archive(&commit, format).map_err(|error| Refused::NotFound(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, content_type)], bytes).into_response())
}
