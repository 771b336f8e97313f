//! A Modbus TCP device written by hand for these tests: bytes in, bytes out, nothing of the crate under test.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base::Scope;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How a unit behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It answers.
    Good,
    /// It says nothing.
    Hang,
    /// It closes the connection instead of answering.
    Cut,
    /// Its first answer carries another transaction id, and the right one follows.
    WrongId,
    /// It refuses with this exception.
    Exception(u8),
    /// It answers after this many milliseconds.
    Slow(u64),
    /// It sends what is no frame at all.
    Babble,
}

/// A request as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) unit: u8,
    pub(crate) function: u8,
    pub(crate) start: u16,
    pub(crate) count: u16,
}

#[derive(Clone)]
pub(crate) struct Plant {
    pub(crate) port: u16,
    connections: Arc<AtomicU32>,
    open: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
    asked: Arc<Mutex<Vec<Asked>>>,
    manners: Arc<Mutex<HashMap<u8, Manner>>>,
    registers: Arc<Mutex<HashMap<(u8, u16), u16>>>,
    scope: Scope,
}

impl Plant {
    pub(crate) async fn start(scope: &Scope) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plant = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            open: Arc::default(),
            most: Arc::default(),
            asked: Arc::default(),
            manners: Arc::default(),
            registers: Arc::default(),
            scope: scope.clone(),
        };
        let serving = plant.clone();
        let stop = scope.stop().clone();
        scope.spawn("plant", async move {
            while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
                serving.connections.fetch_add(1, Ordering::Relaxed);
                let (one, stop) = (serving.clone(), stop.clone());
                serving.scope.spawn("connection", async move {
                    let open = one.open.fetch_add(1, Ordering::Relaxed) + 1;
                    one.most.fetch_max(open, Ordering::Relaxed);
                    stop.run_until_cancelled(one.serve(stream)).await;
                    one.open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        plant
    }

    pub(crate) fn behave(&self, unit: u8, manner: Manner) {
        self.manners.lock().unwrap().insert(unit, manner);
    }

    pub(crate) fn set(&self, unit: u8, register: u16, value: u16) {
        self.registers.lock().unwrap().insert((unit, register), value);
    }

    pub(crate) fn get(&self, unit: u8, register: u16) -> u16 {
        self.registers.lock().unwrap().get(&(unit, register)).copied().unwrap_or(0)
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many connections were open at once.
    pub(crate) fn most_open(&self) -> u32 {
        self.most.load(Ordering::Relaxed)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    async fn serve(&self, mut stream: TcpStream) {
        loop {
            let mut header = [0; 7];
            if stream.read_exact(&mut header).await.is_err() {
                return;
            }
            let length = u16::from_be_bytes([header[4], header[5]]);
            let mut pdu = vec![0; usize::from(length) - 1];
            if stream.read_exact(&mut pdu).await.is_err() {
                return;
            }
            let unit = header[6];
            let word = |at: usize| u16::from_be_bytes([pdu[at], pdu[at + 1]]);
            let (function, start, count) = (pdu[0], word(1), word(3));
            let at = Instant::now();
            self.asked.lock().unwrap().push(Asked { at, unit, function, start, count });
            let manner = self.manners.lock().unwrap().get(&unit).copied().unwrap_or(Manner::Good);
            let answer = match manner {
                Manner::Hang => continue,
                Manner::Cut => return,
                Manner::Babble => {
                    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
                    continue;
                }
                Manner::Exception(code) => vec![function | 0x80, code],
                // One after the other, as a device with one core does; what has come meanwhile waits in the socket.
                Manner::Slow(millis) => {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    self.answer(unit, &pdu)
                }
                Manner::Good | Manner::WrongId => self.answer(unit, &pdu),
            };
            if manner == Manner::WrongId {
                let other = [header[0].wrapping_add(1), header[1]];
                stream.write_all(&frame(other, unit, &answer)).await.ok();
            }
            stream.write_all(&frame([header[0], header[1]], unit, &answer)).await.ok();
        }
    }

    fn answer(&self, unit: u8, pdu: &[u8]) -> Vec<u8> {
        let word = |at: usize| u16::from_be_bytes([pdu[at], pdu[at + 1]]);
        match pdu[0] {
            3 | 4 => {
                let mut answer = vec![pdu[0], u8::try_from(word(3) * 2).unwrap()];
                for register in word(1)..word(1) + word(3) {
                    answer.extend(self.get(unit, register).to_be_bytes());
                }
                answer
            }
            6 => {
                self.set(unit, word(1), word(3));
                pdu.to_vec()
            }
            16 => {
                for n in 0..word(3) {
                    self.set(unit, word(1) + n, word(6 + usize::from(n) * 2));
                }
                pdu[..5].to_vec()
            }
            other => vec![other | 0x80, 1],
        }
    }
}

fn frame(id: [u8; 2], unit: u8, pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).unwrap().to_be_bytes();
    [&id[..], &[0, 0], &length, &[unit], pdu].concat()
}
