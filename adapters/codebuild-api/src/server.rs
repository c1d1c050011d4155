//! HTTP: bounded in size, time and number.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::api::Api;
use crate::error::ApiError;
use crate::protocol;
use crate::signature::verify;

/// Bytes of a request's body. The largest that makes sense is a project with a long buildspec.
const MAX_BODY: usize = 1 << 20;
/// Connections at once; others wait.
const MAX_CONNECTIONS: usize = 256;
/// The head of a request, and the time between two of one connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Requests that run when the service ends.
const GRACE: Duration = Duration::from_secs(5);
/// After an error of the socket, as when no file descriptors are left.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that the API is to be had at.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// Listens there.
    ///
    /// # Errors
    /// When the address is not this machine's, or is taken.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await? })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Answers until told to end; requests that run by then are answered still.
pub async fn serve(server: Server, api: Arc<Api>, end: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    tokio::pin!(end);
    loop {
        let accepted = async {
            // Nobody closes it.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            server.listener.accept().await.map(|(stream, _)| (stream, place))
        };
        tokio::select! {
            accepted = accepted => match accepted {
                Ok((stream, place)) => {
                    // Answers are short; nothing is to be waited for.
                    let _slower = stream.set_nodelay(true);
                    let api = Arc::clone(&api);
                    let service = service_fn(move |request| answer(Arc::clone(&api), request));
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEAD_TIMEOUT)
                        .serve_connection(TokioIo::new(stream), service);
                    let connection = graceful.watch(connection);
                    tokio::spawn(async move {
                        // A client that goes away concerns nobody.
                        let _gone = connection.await;
                        drop(place);
                    });
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            () = &mut end => break,
        }
    }
    let _late = timeout(GRACE, graceful.shutdown()).await;
}

async fn answer(api: Arc<Api>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let read = match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::new(
            "RequestEntityTooLarge",
            format!("The request's body is larger than {MAX_BODY} bytes."),
        )
        .with_status(StatusCode::PAYLOAD_TOO_LARGE)),
        Ok(Err(error)) => Err(ApiError::new("SerializationException", error.to_string())),
        Err(_) => Err(ApiError::new("RequestTimeout", "The request's body did not arrive in time.")
            .with_status(StatusCode::REQUEST_TIMEOUT)),
    };
    let body = match read {
        Ok(body) => body,
        Err(error) => {
            // What is left of the body is nobody's next request.
            let mut response = protocol::response(Err(error));
            response.headers_mut().insert(CONNECTION, hyper::header::HeaderValue::from_static("close"));
            return Ok(response);
        }
    };
    let work = move || {
        let key = verify(&parts, &body, Timestamp::now(), |id| api.keys.find(id))?;
        let (service, operation) = protocol::operation(&parts)?;
        api.answer(&key.name, service, operation, protocol::input(&body)?)
    };
    // It waits for the disk.
    let answer = tokio::task::spawn_blocking(work).await;
    Ok(protocol::response(answer.unwrap_or_else(|error| Err(ApiError::failure(error.to_string())))))
}
