//! The connection to one engine, and its errors in our words.

use std::{error::Error as _, io, path::Path, sync::Arc, time::Duration};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error};
use runspan_engine::ExecutorError;
use tokio::sync::OnceCell;

use crate::endpoint::{self, Endpoint, Environment};

/// How long an engine may take to say that it is there.
const GREETING: Duration = Duration::from_secs(10);
/// How long it may take to begin any other answer, in seconds.
const ANSWER: u64 = 120;

const START: &str = "start it (`sudo systemctl start docker`, or `systemctl --user start podman.socket`) \
                     or set DOCKER_HOST to one that runs";
const JOIN_GROUP: &str = "add yourself to its group (`sudo usermod -aG docker $USER`, then log in again) \
                          or run as root";

/// An engine that answered.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    pub(crate) docker: Docker,
    pub(crate) endpoint: Endpoint,
    about: Arc<OnceCell<About>>,
}

/// What an engine says of itself.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) product: Product,
    /// The engine's own version, as in `20.10.24`.
    pub(crate) version: String,
    /// The API version it speaks, as in `1.41`.
    pub(crate) api: String,
}

/// Who makes the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Docker,
    Podman,
}

impl Engine {
    /// Connects to the first of [`endpoint::candidates`] that answers.
    pub(crate) async fn find(environment: Environment<'_>) -> Result<Self, ExecutorError> {
        let nothing = |reason, remedy: &str| ExecutorError::Unreachable {
            engine: "container engine".into(),
            reason,
            remedy: remedy.into(),
        };
        let candidates = endpoint::candidates(environment)
            .map_err(|reason| nothing(reason, "`docker context ls` lists the known ones"))?;
        let mut refused = None;
        let mut absent = Vec::new();
        for candidate in candidates {
            match candidate.socket() {
                Some(path) if !Path::new(path).exists() => absent.push(path.to_owned()),
                _ => match Self::connect(candidate).await {
                    Ok(engine) => return Ok(engine),
                    Err(error) => refused = refused.or(Some(error)),
                },
            }
        }
        Err(refused
            .unwrap_or_else(|| nothing(format!("there is no socket at {}", absent.join(" or ")), START)))
    }

    /// Connects, and begins to ask what the engine is.
    pub(crate) async fn connect(endpoint: Endpoint) -> Result<Self, ExecutorError> {
        let docker = match endpoint.url.split_once("://") {
            Some(("unix", path)) => Docker::connect_with_unix(path, ANSWER, API_DEFAULT_VERSION),
            Some(("tcp" | "http", _)) => {
                Docker::connect_with_http(&endpoint.url, ANSWER, API_DEFAULT_VERSION)
            }
            _ => Err(Error::UnsupportedURISchemeError { uri: endpoint.url.clone() }),
        }
        .map_err(|error| unreachable(&endpoint, &error))?
        .with_request_modifier(url_safe_credentials);
        tokio::time::timeout(GREETING, docker.ping())
            .await
            .unwrap_or(Err(Error::RequestTimeoutError))
            .map_err(|error| unreachable(&endpoint, &error))?;
        let engine = Self { docker, endpoint, about: Arc::default() };
        // Docker starts other programs to say its version, so the first build does not wait for it.
        let asking = engine.clone();
        tokio::spawn(async move { asking.about().await.map(drop) });
        Ok(engine)
    }

    /// What the engine is. No request names an API version, so none waits for this.
    pub(crate) async fn about(&self) -> Result<&About, Error> {
        let ask = || async {
            let version = self.docker.version().await?;
            let podman = version.components.iter().flatten().any(|part| part.name.starts_with("Podman"));
            Ok(About {
                product: if podman { Product::Podman } else { Product::Docker },
                version: version.version.unwrap_or_default(),
                api: version.api_version.unwrap_or_default(),
            })
        };
        self.about.get_or_try_init(ask).await
    }

    /// What went wrong while `doing`.
    pub(crate) fn failure(&self, doing: &str, error: &Error) -> ExecutorError {
        if is_unreachable(error) {
            unreachable(&self.endpoint, error)
        } else {
            ExecutorError::Other { doing: doing.to_owned(), reason: words(error) }
        }
    }
}

impl std::fmt::Display for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Docker => "Docker",
            Self::Podman => "podman",
        })
    }
}

/// The engine reads this header as URL-safe base64 and ignores a login it cannot decode; bollard writes the
/// standard alphabet, which differs for passwords with `~`, `?` or `>` in some places.
fn url_safe_credentials(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("X-Registry-Auth")
        && let Ok(text) = value.to_str()
        && let Ok(safe) = text.replace('+', "-").replace('/', "_").parse()
    {
        *value = safe;
    }
    request
}

/// The engine's own words.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        other => chain(other),
    }
}

/// The status of a refusal.
pub(crate) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Whether the engine did not answer at all.
pub(crate) fn is_unreachable(error: &Error) -> bool {
    matches!(
        error,
        Error::SocketNotFoundError(_)
            | Error::UnsupportedURISchemeError { .. }
            | Error::RequestTimeoutError
            | Error::HyperLegacyError { .. }
            | Error::HyperResponseError { .. }
            | Error::IOError { .. }
    )
}

fn unreachable(endpoint: &Endpoint, error: &Error) -> ExecutorError {
    let (reason, remedy) = match (error, io_kind(error)) {
        (Error::SocketNotFoundError(_), _) | (_, Some(io::ErrorKind::NotFound)) => {
            ("there is no such socket".into(), START)
        }
        (_, Some(io::ErrorKind::PermissionDenied)) => ("permission denied".into(), JOIN_GROUP),
        (_, Some(io::ErrorKind::ConnectionRefused)) => ("nobody listens there".into(), START),
        (Error::RequestTimeoutError, _) => ("no answer in time".into(), "look at its log, or restart it"),
        (Error::UnsupportedURISchemeError { .. }, _) => {
            ("this kind of address is not supported".into(), "set DOCKER_HOST to a unix:// or tcp:// address")
        }
        _ => (words(error), START),
    };
    let Endpoint { url, named_by } = endpoint;
    ExecutorError::Unreachable {
        engine: format!("container engine at {url} ({named_by})"),
        reason,
        remedy: remedy.into(),
    }
}

/// The kind of the I/O error at the root of this one.
fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut kind = None;
    while let Some(error) = cause {
        kind = error.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        cause = error.source();
    }
    kind
}

/// An error and its causes, each said once.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
