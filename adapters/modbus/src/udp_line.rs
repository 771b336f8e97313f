//! Modbus over UDP: a socket that hears one peer, with the looks of a stream. One read gives one datagram.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UdpSocket, lookup_host};

use crate::open::OpenError;

/// A socket that hears only one peer.
pub(crate) struct Datagrams(UdpSocket);

/// Makes a socket for the first address of the host. Whether somebody is there shows when it is asked.
pub(crate) async fn bind(
    host: &str,
    port: u16,
    patience: Duration,
) -> Result<Datagrams, OpenError> {
    let failed =
        |why: String| OpenError::Later(format!("a UDP socket for {host}:{port}: {why}").into());
    let binding = tokio::time::timeout(patience, socket(host, port));
    match binding.await {
        Ok(Ok(socket)) => Ok(Datagrams(socket)),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no address within {} ms", patience.as_millis()))),
    }
}

async fn socket(host: &str, port: u16) -> io::Result<UdpSocket> {
    let peer = lookup_host((host, port)).await?.next();
    let peer = peer.ok_or_else(|| io::Error::other("the name has no address"))?;
    let own: SocketAddr = match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await?;
    // From now on the kernel drops what others send.
    socket.connect(peer).await?;
    Ok(socket)
}

impl AsyncRead for Datagrams {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            ready!(self.0.poll_recv(cx, buffer))?;
            // A datagram without content is not the end of anything.
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Datagrams {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
