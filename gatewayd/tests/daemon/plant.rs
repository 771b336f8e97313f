//! A Modbus TCP device whose bytes are written by hand, so that it shares no mistake with our codec.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base::{CancellationToken, Scope, Thread};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A meter: holding register 0 is its power in tenths of a watt, 1 a setpoint.
pub(crate) struct Meter {
    port: u16,
    registers: Arc<Mutex<[u16; 8]>>,
    connections: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Meter {
    /// Starts it on a free port.
    pub(crate) async fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let registers = Arc::new(Mutex::new([2305, 7, 0, 0, 0, 0, 0, 0]));
        let connections = Arc::new(AtomicUsize::new(0));
        let stop = CancellationToken::new();
        let (served, count, until) = (registers.clone(), connections.clone(), stop.clone());
        Thread::start("meter", move || async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let (scope, _) = Scope::new("meter", &until);
            while let Some(Ok((stream, _))) = until.run_until_cancelled(listener.accept()).await {
                count.fetch_add(1, Ordering::Relaxed);
                let (served, stop) = (served.clone(), until.clone());
                scope.spawn("connection", async move {
                    stop.run_until_cancelled(serve(stream, &served)).await;
                });
            }
            scope.join().await;
        })
        .unwrap();
        Self { port, registers, connections, stop }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn register(&self, at: usize) -> u16 {
        self.registers.lock().unwrap()[at]
    }

    pub(crate) fn set(&self, at: usize, value: u16) {
        self.registers.lock().unwrap()[at] = value;
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Answers read holding registers (3), write single (6) and write multiple (16), as MODBUS Application Protocol
/// V1.1b3 lays out their bytes.
async fn serve(mut stream: TcpStream, registers: &Mutex<[u16; 8]>) -> Option<()> {
    loop {
        let mut head = [0; 7];
        stream.read_exact(&mut head).await.ok()?;
        let mut pdu = vec![0; usize::from(head[5]) - 1];
        stream.read_exact(&mut pdu).await.ok()?;
        let answer = answer(&pdu, &mut registers.lock().unwrap());
        let length = u8::try_from(answer.len() + 1).unwrap();
        let mut frame = vec![head[0], head[1], 0, 0, 0, length, head[6]];
        frame.extend(answer);
        stream.write_all(&frame).await.ok()?;
    }
}

fn answer(pdu: &[u8], registers: &mut [u16; 8]) -> Vec<u8> {
    let at = usize::from(pdu[2]);
    match pdu[0] {
        3 if at + usize::from(pdu[4]) <= registers.len() => {
            let mut answer = vec![3, 2 * pdu[4]];
            for register in &registers[at..at + usize::from(pdu[4])] {
                answer.extend([(register >> 8) as u8, (register & 0xff) as u8]);
            }
            answer
        }
        6 => {
            registers[at] = u16::from(pdu[3]) << 8 | u16::from(pdu[4]);
            pdu.to_vec()
        }
        16 => {
            for i in 0..usize::from(pdu[4]) {
                registers[at + i] = u16::from(pdu[6 + 2 * i]) << 8 | u16::from(pdu[7 + 2 * i]);
            }
            pdu[..5].to_vec()
        }
        other => vec![other | 0x80, 2],
    }
}
