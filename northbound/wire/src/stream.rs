//! A connected byte stream: TCP, or TLS over it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::socket::Socket;

/// Bytes to and from a broker.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Stream {
    /// Connects to the first address that answers, without delay for small packets. Each has its share of the time
    /// until `until`: one that swallows everything (an IPv6 address without a way there) does not hide the next.
    pub(crate) async fn tcp(
        addresses: &[std::net::SocketAddr],
        until: Instant,
    ) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for (left, address) in (1..=addresses.len()).rev().zip(addresses) {
            let share = until.saturating_duration_since(Instant::now())
                / u32::try_from(left).unwrap_or(u32::MAX);
            let connected = timeout(share, TcpStream::connect(address)).await;
            match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Puts TLS over a connection.
    pub(crate) async fn tls(tcp: TcpStream, tls: &tls::Client, host: &str) -> io::Result<Self> {
        let name =
            tls.server_name(host).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        let stream = TlsConnector::from(tls.config()).connect(name, Socket::new(tcp)).await?;
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Over a connection as it is.
    pub(crate) fn plain(tcp: TcpStream) -> Self {
        Self::Tcp(Socket::new(tcp))
    }

    /// Has the kernel confirm at once what was just read. mosquitto leaves Nagle's algorithm on: without this its
    /// acknowledgements wait 40 ms for each other (measured: 2,900 publications/s where 256 are in flight).
    pub(crate) fn confirm(&self) {
        let socket = match self {
            Self::Tcp(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        };
        if let Some(tcp) = socket.watched() {
            // Only speed depends on it.
            tcp.set_quickack(true).ok();
        }
    }

    /// Whether what arrives wakes the thread; see [`Socket::watch`].
    pub(crate) fn watch(&mut self, watch: bool) -> io::Result<()> {
        self.socket().watch(watch)
    }

    pub(crate) fn is_watched(&mut self) -> bool {
        self.socket().is_watched()
    }

    fn socket(&mut self) -> &mut Socket {
        match self {
            Self::Tcp(socket) => socket,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_first_address_that_answers_is_taken_and_small_packets_leave_at_once() {
        let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = listener.local_addr().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let stream = Stream::tcp(&[dead, alive], until).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        assert!(stream.nodelay().unwrap());
        assert!(Stream::tcp(&[dead], until).await.is_err());
        assert!(Stream::tcp(&[], until).await.is_err());
    }

    #[tokio::test]
    async fn an_address_that_swallows_everything_does_not_hide_the_next() {
        // Nobody accepts, and the queue is full: the kernel drops what comes.
        let hole = tokio::net::TcpSocket::new_v4().unwrap();
        hole.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let queue = hole.listen(1).unwrap();
        let hole = queue.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(hole)).await {
            waiting.push(stream.unwrap());
            assert!(waiting.len() < 100, "the queue never fills");
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = listener.local_addr().unwrap();
        let until = Instant::now() + Duration::from_secs(2);
        let stream = Stream::tcp(&[hole, alive], until).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        assert!(Instant::now() >= until - Duration::from_millis(1100), "it had its share");
    }
}
