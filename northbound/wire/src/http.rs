//! A tiny loopback HTTP/1.1 responder for health and metrics: GET and HEAD, nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use base::CancellationToken;

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
    listener: tokio::net::TcpListener,
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
        source: std::io::Error,
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
        let listener = tokio::net::TcpListener::bind(address).await.map_err(bind)?;
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
        stop.cancelled().await;
        drop((self.listener, handler));
    }
}
