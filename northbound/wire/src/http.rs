//! A tiny loopback HTTP/1.1 responder for health and metrics: GET and HEAD, nothing else.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base::{CancellationToken, Ending, Scope};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How many connections are served at once; the others wait in the listener's queue.
const CONNECTIONS: usize = 16;
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may live, keep-alive included.
const CONNECTION: Duration = Duration::from_secs(120);
/// The longest request head in bytes; hyper's least is 8192.
const HEAD_BYTES: usize = 8192;

/// An answer to a GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code, e.g. 200 or 503.
    pub status: u16,
    /// Media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// What answers: it gets the path without the query; `None` is 404.
pub type Handler = Arc<dyn Fn(&str) -> Option<Answer> + Send + Sync>;

/// A bound listener that does not serve yet.
#[derive(Debug)]
pub struct Http {
    listener: TcpListener,
    address: SocketAddr,
}

/// Why a listener could not be had.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is not this machine's own.
    #[error(
        "{0} is no loopback address; health and metrics are served to this machine only, put a proxy before it"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {address}; is the port in use?")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        source: io::Error,
    },
}

impl Http {
    /// Binds a loopback address; port 0 takes a free one.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn bind(address: SocketAddr) -> Result<Self, HttpError> {
        if !address.ip().is_loopback() {
            return Err(HttpError::NotLoopback(address));
        }
        let bind = |source| HttpError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Self { listener, address })
    }

    /// The address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until stopped.
    pub async fn serve(self, stop: CancellationToken, handler: Handler) {
        let (scope, mut ended) = Scope::new("http", &stop);
        let mut open = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(end) = ended.recv() => {
                    open -= 1;
                    if let Ending::Panicked(words) = end.how {
                        tracing::error!("answering an HTTP request panicked: {words}");
                    }
                }
                accepted = self.listener.accept(), if open < CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        open += 1;
                        scope.spawn("connection", connection(stream, stop.clone(), handler.clone()));
                    }
                    Err(error) => {
                        // Out of file descriptors: nothing helps but that others give some back.
                        tracing::warn!("accepting an HTTP connection failed: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        scope.join().await;
    }
}

async fn connection(stream: TcpStream, stop: CancellationToken, handler: Handler) {
    let service = service_fn(move |request| {
        let answer = respond(&request, &handler);
        async move { Ok::<_, Infallible>(answer) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => {}
        result = timeout(CONNECTION, serving) => if let Ok(Err(error)) = result {
            tracing::debug!("an HTTP client broke off: {error}");
        },
    }
}

fn respond(request: &Request<Incoming>, handler: &Handler) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = Response::new(Full::from("only GET and HEAD\n"));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let Some(answer) = handler(request.uri().path()) else {
        let mut response = Response::new(Full::from("not found\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = HeaderValue::from_str(answer.content_type) {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}
