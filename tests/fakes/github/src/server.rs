//! The process: listening, serving, and the faults in between.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderValue, Request, Response, StatusCode, header},
    response::IntoResponse,
};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tower::ServiceExt;

use crate::{
    faults::{Effect, Fault, strike},
    http,
    model::{Entry, GitHub, Settings},
};

/// Calls that are remembered.
const CALLS: usize = 200_000;

/// What all calls share.
pub(crate) struct Shared {
    github: Mutex<GitHub>,
    faults: Mutex<Vec<Fault>>,
    changed: watch::Sender<()>,
    pub(crate) base: String,
}

pub(crate) type App = Arc<Shared>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that failed while it looked must not hide what it wanted to say.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn read<T>(&self, look: impl FnOnce(&GitHub) -> T) -> T {
        look(&lock(&self.github))
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut GitHub) -> T) -> T {
        let changed = change(&mut lock(&self.github));
        self.changed.send_replace(());
        changed
    }

    /// As [`Shared::change`], without waking those who wait for one.
    pub(crate) fn quietly<T>(&self, change: impl FnOnce(&mut GitHub) -> T) -> T {
        change(&mut lock(&self.github))
    }

    pub(crate) fn notify(&self) {
        self.changed.send_replace(());
    }

    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn inject(&self, fault: Fault) {
        lock(&self.faults).push(fault);
    }

    pub(crate) fn clear_faults(&self) {
        lock(&self.faults).clear();
    }
}

/// A running GitHub. It ends when this is dropped.
pub struct FakeGitHub {
    app: App,
    tasks: Vec<JoinHandle<()>>,
    _storage: TempDir,
}

impl FakeGitHub {
    /// Starts on a free port of the loopback.
    ///
    /// # Errors
    /// No port can be had, or no folder for the repositories.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)), None, settings).await
    }

    /// Starts on an address. `public` is how others reach it, when that is not the address itself.
    ///
    /// # Errors
    /// The address is taken, or there is no folder for the repositories.
    pub async fn listen(address: SocketAddr, public: Option<&str>, settings: Settings) -> io::Result<Self> {
        let storage = tempfile::Builder::new().prefix("fake-github-").tempdir()?;
        let listener = TcpListener::bind(address).await?;
        let base = match public {
            Some(public) => public.trim_end_matches('/').to_owned(),
            None => format!("http://{}", listener.local_addr()?),
        };
        let app = Arc::new(Shared {
            github: Mutex::new(GitHub::new(settings, &base, storage.path())),
            faults: Mutex::new(Vec::new()),
            changed: watch::Sender::new(()),
            base,
        });
        let router = http::router(Arc::clone(&app));
        let tasks = vec![
            tokio::spawn(accept(listener, Arc::clone(&app), router)),
            tokio::spawn(age(Arc::clone(&app))),
        ];
        Ok(Self { app, tasks, _storage: storage })
    }

    /// Its address, without a slash at the end. Repositories are below it, the API at `/api/v3`.
    pub fn url(&self) -> &str {
        &self.app.base
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&GitHub) -> T) -> T {
        self.app.read(look)
    }

    /// Changes the state.
    pub fn change<T>(&self, change: impl FnOnce(&mut GitHub) -> T) -> T {
        self.app.change(change)
    }

    /// Puts a fault before the calls to come.
    pub fn inject(&self, fault: Fault) {
        self.app.inject(fault);
    }

    /// Takes away the faults that have not struck yet.
    pub fn heal(&self) {
        self.app.clear_faults();
    }

    /// Waits until the state has something to give; nothing when it has not in time.
    pub async fn wait_for<T>(&self, within: Duration, look: impl Fn(&GitHub) -> Option<T>) -> Option<T> {
        let end = Instant::now() + within;
        let mut changes = self.app.watch();
        loop {
            changes.borrow_and_update();
            if let Some(found) = self.app.read(&look) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            // Time alone changes things too.
            drop(tokio::time::timeout(left.min(Duration::from_millis(200)), changes.changed()).await);
        }
    }
}

impl Drop for FakeGitHub {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Lets locks and limits run out.
async fn age(app: App) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        app.quietly(GitHub::tick);
    }
}

async fn accept(listener: TcpListener, app: App, router: Router) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        drop(stream.set_nodelay(true));
        let (app, router) = (Arc::clone(&app), router.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| serve(Arc::clone(&app), router.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            // A connection that breaks is the caller's to notice.
            drop(connection.await);
        });
    }
}

/// The connection is to be closed.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut on purpose")]
struct Cut;

async fn serve(app: App, router: Router, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let method = request.method().to_string();
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let effect = strike(&mut lock(&app.faults), &method, &path);
    let number = app.quietly(|github| {
        let fault = effect.as_ref().map(|effect| format!("{effect:?}"));
        if github.calls.len() < CALLS {
            github.calls.push(Entry { at: github.now(), method, path, status: None, fault });
            return Some(github.calls.len() - 1);
        }
        None
    });
    let answer = answer(router, request.map(Body::new), effect).await;
    let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
    app.quietly(|github| {
        if let Some(entry) = number.and_then(|number| github.calls.get_mut(number)) {
            entry.status = status;
        }
    });
    answer
}

async fn answer(
    router: Router,
    request: Request<Body>,
    effect: Option<Effect>,
) -> Result<Response<Body>, Cut> {
    let status = |code: u16| StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let Some(effect) = effect else { return call(router, request).await };
    match effect {
        Effect::Status(code) => Ok(status(code).into_response()),
        Effect::Answer(code, body) => Ok((status(code), axum::Json(body)).into_response()),
        Effect::StatusAfter(code) => {
            call(router, request).await?;
            Ok(status(code).into_response())
        }
        Effect::Close => Err(Cut),
        Effect::CutRequest(bytes) => {
            let mut body = request.into_body();
            let mut read = 0;
            while read < bytes {
                match body.frame().await {
                    Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
                    _ => break,
                }
            }
            Err(Cut)
        }
        Effect::LoseAnswer => {
            call(router, request).await?;
            Err(Cut)
        }
        Effect::CutAnswer(bytes) => {
            let (mut parts, body) = call(router, request).await?.into_parts();
            let whole = body.collect().await.map_err(|_| Cut)?.to_bytes();
            let kept = whole.slice(..bytes.min(whole.len()));
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len() + 1));
            let cut = async {
                // What was said before must have left, or it would be cut as well.
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(Cut)
            };
            let pieces = stream::iter([Ok(kept)]).chain(stream::once(cut));
            Ok(Response::from_parts(parts, Body::from_stream(pieces)))
        }
        Effect::Stall(time) => {
            tokio::time::sleep(time).await;
            call(router, request).await
        }
        Effect::Twice => {
            let (parts, body) = request.into_parts();
            let bytes = body.collect().await.map_err(|_| Cut)?.to_bytes();
            call(router.clone(), Request::from_parts(parts.clone(), Body::from(bytes.clone()))).await?;
            call(router, Request::from_parts(parts, Body::from(bytes))).await
        }
    }
}

async fn call(router: Router, request: Request<Body>) -> Result<Response<Body>, Cut> {
    router.oneshot(request).await.map_err(|never| match never {})
}
