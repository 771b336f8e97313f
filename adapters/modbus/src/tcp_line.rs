//! Opening a TCP connection.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::open::OpenError;

/// Connects. Answers are small and wanted at once: no delay.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    patience: Duration,
) -> Result<TcpStream, OpenError> {
    let connecting = tokio::time::timeout(patience, TcpStream::connect((host, port)));
    let failed =
        |why: String| OpenError::Later(format!("connecting to {host}:{port}: {why}").into());
    match connecting.await {
        Ok(Ok(stream)) => {
            stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
            Ok(stream)
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no answer within {} ms", patience.as_millis()))),
    }
}
