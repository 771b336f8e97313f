//! `replay`: the devices of a recorded line, as a server of Modbus over TCP in any framing.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use adapter_modbus::SerialFraming;
use adapter_modbus::serving::{Received, answer, request};
use base::{CancellationToken, Scope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::commands::{Exit, Said};
use super::paint::Screen;
use super::recording::Recording;
use crate::cli::ReplayWay;

/// How long the rest of a request may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// Serves until interrupted.
pub fn replay(
    screen: &mut Screen,
    file: &Path,
    listen: SocketAddr,
    way: ReplayWay,
) -> Result<Exit, Said> {
    let framing = match way {
        ReplayWay::Tcp => None,
        ReplayWay::Rtu => Some(SerialFraming::Rtu),
        ReplayWay::Ascii => Some(SerialFraming::Ascii),
    };
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
                serve(stream, framing, &recording).await.ok();
            });
        }
    })
}

async fn serve(
    mut stream: TcpStream,
    framing: Option<SerialFraming>,
    recording: &Mutex<Recording>,
) -> io::Result<()> {
    let (mut heard, mut piece) = (Vec::new(), [0; 512]);
    loop {
        let more = stream.read(&mut piece);
        let read = match tokio::time::timeout(PATIENCE, more).await {
            Ok(read) => read?,
            // What began a request and did not go on was none.
            Err(_) => {
                heard.clear();
                continue;
            }
        };
        if read == 0 {
            return Ok(());
        }
        heard.extend_from_slice(piece.get(..read).unwrap_or_default());
        loop {
            let used = match request(framing, &heard) {
                Received::Part => break,
                Received::Noise(used) => used,
                Received::Request(asked, used) => {
                    let answered = {
                        let mut all = recording.lock().unwrap_or_else(PoisonError::into_inner);
                        all.answer(asked.unit, &asked.pdu)
                    };
                    if let Some(pdu) = answered {
                        stream.write_all(&answer(framing, &asked, &pdu)).await?;
                    }
                    used
                }
            };
            heard.drain(..used.min(heard.len()));
        }
    }
}
