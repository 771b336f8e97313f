//! A TCP connection that the runtime watches, or does not.
//!
//! A watched socket wakes the thread for whatever arrives, also when no task waits for it: the runtime registers
//! reading and writing together, edge-triggered. A socket that is not watched wakes nobody; its owner looks by itself.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connected TCP socket.
#[derive(Debug)]
pub(crate) struct Socket(Watch);

#[derive(Debug)]
enum Watch {
    Watched(TcpStream),
    Alone(std::net::TcpStream),
    /// Changing from one to the other failed.
    Gone,
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self(Watch::Watched(tcp))
    }

    /// Has the runtime watch it, or no longer. While it is not watched, `Pending` means "nothing now" and wakes nobody.
    pub(crate) fn watch(&mut self, watch: bool) -> io::Result<()> {
        if watch == self.is_watched() {
            return Ok(());
        }
        self.0 = match std::mem::replace(&mut self.0, Watch::Gone) {
            Watch::Watched(tcp) => Watch::Alone(tcp.into_std()?),
            Watch::Alone(tcp) => Watch::Watched(TcpStream::from_std(tcp)?),
            Watch::Gone => return Err(gone()),
        };
        Ok(())
    }

    pub(crate) fn is_watched(&self) -> bool {
        matches!(self.0, Watch::Watched(_))
    }

    /// The socket while it is watched.
    pub(crate) fn watched(&self) -> Option<&TcpStream> {
        match &self.0 {
            Watch::Watched(tcp) => Some(tcp),
            Watch::Alone(_) | Watch::Gone => None,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Watch::Watched(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Watch::Alone(tcp) => tried(|| tcp.read(buffer.initialize_unfilled())).map_ok(|n| {
                buffer.advance(n);
            }),
            Watch::Gone => Poll::Ready(Err(gone())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Watch::Watched(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Watch::Alone(tcp) => tried(|| tcp.write(bytes)),
            Watch::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Watch::Watched(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Watch::Alone(tcp) => Poll::Ready(tcp.shutdown(std::net::Shutdown::Write)),
            Watch::Gone => Poll::Ready(Err(gone())),
        }
    }
}

/// Tries until a signal no longer interrupts; `Pending` where the socket would block.
fn tried<T>(mut io: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
    loop {
        match io() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            result => return Poll::Ready(result),
        }
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn bytes_pass_whether_it_is_watched_or_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let mut socket = Socket::new(near);
        for watch in [true, false, false, true] {
            socket.watch(watch).unwrap();
            assert_eq!((socket.is_watched(), socket.watched().is_some()), (watch, watch));
            socket.write_all(b"to").await.unwrap();
            let mut there = [0; 2];
            far.read_exact(&mut there).await.unwrap();
            far.write_all(b"fro").await.unwrap();
            let mut here = [0; 3];
            let read = tokio::time::timeout(Duration::from_secs(1), async {
                let mut at = 0;
                while at < 3 {
                    let mut buffer = ReadBuf::new(&mut here[at..]);
                    let polled = std::future::poll_fn(|cx| {
                        Poll::Ready(Pin::new(&mut socket).poll_read(cx, &mut buffer))
                    });
                    match polled.await {
                        Poll::Ready(read) => read.unwrap(),
                        Poll::Pending => tokio::time::sleep(Duration::from_millis(1)).await,
                    }
                    at += buffer.filled().len();
                }
            });
            read.await.unwrap();
            assert_eq!((&there, &here), (b"to", b"fro"));
        }
        socket.shutdown().await.unwrap();
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
