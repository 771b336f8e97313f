//! Opening a connection of Modbus TCP inside TLS.

use std::error::Error;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::open::OpenError;
use crate::spec::TlsSpec;
use crate::tcp_line;

/// Connects and shakes hands. The files are read each time, so that renewed certificates are used.
pub(crate) async fn connect(
    to: &TlsSpec,
    patience: Duration,
) -> Result<TlsStream<TcpStream>, OpenError> {
    let (host, port) = (&to.host, to.port);
    let failed = |why: String| OpenError::Later(format!("TLS with {host}:{port}: {why}").into());
    let client = tls::Client::new(&to.settings).map_err(|error| failed(chain(&error)))?;
    let name = client.server_name(host).map_err(|error| failed(chain(&error)))?;
    let stream = tcp_line::connect(host, port, patience).await?;
    let shaking = TlsConnector::from(client.config()).connect(name, stream);
    match tokio::time::timeout(patience, shaking).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(failed(tls::advice(&error))),
        Err(_) => Err(failed(format!("no handshake within {} ms", patience.as_millis()))),
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
