//! `replay`: the devices of a recorded line, as a Modbus TCP server.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base::{CancellationToken, Scope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::commands::{Exit, Said};
use super::paint::Screen;
use super::recording::Recording;

/// Serves until interrupted.
pub fn replay(screen: &mut Screen, file: &Path, listen: SocketAddr) -> Result<Exit, Said> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Said::new(format!("cannot read {}: {error}", file.display())))?;
    let recording = Recording::parse(&text).map_err(|words| {
        Said::new(format!("{}: {words}", file.display()))
            .help("record one: gatewayctl record LINE FILE")
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| Said::new(format!("cannot listen at {listen}: {error}")))?;
        let (address, known) = (listener.local_addr()?, recording.requests());
        let file = file.display();
        screen.line(&format!(
            "replaying {file} at {address}: {known} requests are known; end it with Ctrl-C"
        ))?;
        let recording = Arc::new(Mutex::new(recording));
        let (scope, mut endings) = Scope::new("replay", &CancellationToken::new());
        loop {
            let (stream, _) = listener.accept().await?;
            while endings.try_recv().is_ok() {}
            let recording = recording.clone();
            scope.spawn("connection", async move {
                // Whoever hangs up has seen enough.
                serve(stream, &recording).await.ok();
            });
        }
    })
}

async fn serve(mut stream: TcpStream, recording: &Mutex<Recording>) -> io::Result<()> {
    loop {
        let mut head = [0; 7];
        stream.read_exact(&mut head).await?;
        let [id_high, id_low, _, _, high, low, unit] = head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(length) = length.checked_sub(1).filter(|length| *length <= 253) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut pdu = vec![0; length];
        stream.read_exact(&mut pdu).await?;
        let answer = recording.lock().unwrap_or_else(PoisonError::into_inner).answer(unit, &pdu);
        let Some(answer) = answer else { continue };
        let [high, low] = u16::try_from(answer.len() + 1).unwrap_or(u16::MAX).to_be_bytes();
        let frame = [&[id_high, id_low, 0, 0, high, low, unit], &answer[..]].concat();
        stream.write_all(&frame).await?;
    }
}
