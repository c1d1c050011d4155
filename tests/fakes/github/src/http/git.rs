//! git's own protocol, by git's own server.

use std::process::Stdio;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header},
    response::IntoResponse,
    routing::get,
};
use tokio::{io::AsyncWriteExt, process::Command};

use super::{caller::Authorization, codeload::readable};
use crate::server::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/{owner}/{name}/info/refs", get(serve))
        .route("/{owner}/{name}/git-upload-pack", axum::routing::post(serve))
        .layer(DefaultBodyLimit::disable())
}

async fn serve(
    State(app): State<App>,
    Path((owner, name)): Path<(String, String)>,
    caller: Authorization,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<axum::body::Body> {
    let name = format!("{owner}/{}", name.strip_suffix(".git").unwrap_or(&name));
    let Ok(repository) = readable(&app, &name, &caller) else {
        // git asks again with a password only after this.
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")];
        return (StatusCode::UNAUTHORIZED, ask, "Repository not found").into_response();
    };
    let service = uri.path().rsplit_once(&owner).map_or("", |(_, rest)| rest);
    let service = if service.ends_with("info/refs") { "/info/refs" } else { "/git-upload-pack" };
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let spawned = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &repository.directory)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env(
            "GIT_PROTOCOL",
            headers.get("git-protocol").and_then(|value| value.to_str().ok()).unwrap_or_default(),
        )
        .env("PATH_INFO", service)
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", method.as_str())
        .env("CONTENT_TYPE", text(header::CONTENT_TYPE))
        .env("HTTP_CONTENT_ENCODING", text(header::CONTENT_ENCODING))
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let output = match spawned {
        Ok(mut child) => {
            let stdin = child.stdin.take();
            let feed = async move {
                if let Some(mut stdin) = stdin {
                    // A server that has read enough closes its end.
                    drop(stdin.write_all(&body).await);
                }
            };
            let ((), output) = tokio::join!(feed, child.wait_with_output());
            output
        }
        Err(error) => Err(error),
    };
    match output {
        Ok(output) => answer(&output.stdout),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The answer of a CGI program.
fn answer(output: &[u8]) -> Response<axum::body::Body> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(end) = end else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut response = output[end + 4..].to_vec().into_response();
    response.headers_mut().clear();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            *response.status_mut() =
                code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or_default();
        } else if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
