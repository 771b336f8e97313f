//! A serial bus with units on it, written by hand for these tests: the far end of a pseudo terminal.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base::{CancellationToken, Scope};
use rustix::pty::OpenptFlags;
use tokio::io::unix::AsyncFd;

/// What went over the bus, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) at: Instant,
    pub(crate) request: bool,
    pub(crate) bytes: Vec<u8>,
}

/// Units answer with `unit * 1000 + register`, or what was written there.
#[derive(Clone)]
pub(crate) struct Bus {
    frames: Arc<Mutex<Vec<Frame>>>,
    dead: Arc<Mutex<HashSet<u8>>>,
    late: Arc<Mutex<HashMap<u8, Duration>>>,
    written: Arc<Mutex<HashMap<(u8, u16), u16>>>,
    unplug: CancellationToken,
}

impl Bus {
    /// Plugs a bus in: `path` leads to it.
    pub(crate) fn plug(scope: &Scope, path: &Path) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let far = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&far).unwrap();
        rustix::pty::unlockpt(&far).unwrap();
        let name = rustix::pty::ptsname(&far, Vec::new()).unwrap();
        let name = PathBuf::from(name.to_str().unwrap());
        std::fs::remove_file(path).ok();
        std::os::unix::fs::symlink(name, path).unwrap();
        rustix::io::ioctl_fionbio(&far, true).unwrap();
        let bus = Self {
            frames: Arc::default(),
            dead: Arc::default(),
            late: Arc::default(),
            written: Arc::default(),
            unplug: scope.stop().child_token(),
        };
        let (units, unplug) = (bus.clone(), bus.unplug.clone());
        scope.spawn("bus", async move {
            #[expect(
                deprecated,
                reason = "its successor is unsafe; this descriptor is owned and stays open"
            )]
            let far = AsyncFd::new(far).unwrap();
            unplug.run_until_cancelled(units.serve(&far)).await;
        });
        bus
    }

    pub(crate) fn unplug(&self) {
        self.unplug.cancel();
    }

    pub(crate) fn kill(&self, unit: u8) {
        self.dead.lock().unwrap().insert(unit);
    }

    /// The next answer of this unit comes so late.
    pub(crate) fn delay(&self, unit: u8, by: Duration) {
        self.late.lock().unwrap().insert(unit, by);
    }

    pub(crate) fn frames(&self) -> Vec<Frame> {
        self.frames.lock().unwrap().clone()
    }

    async fn serve(&self, far: &AsyncFd<OwnedFd>) {
        let mut heard = Vec::new();
        loop {
            let mut bytes = [0; 256];
            let read = far.async_io(tokio::io::Interest::READABLE, |fd| {
                rustix::io::read(fd, &mut bytes).map_err(io::Error::from)
            });
            let Ok(n) = read.await else {
                // Nobody has opened the near end yet, or not again.
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            let at = Instant::now();
            heard.extend_from_slice(&bytes[..n]);
            if heard.len() < 8 || (heard[1] == 16 && heard.len() < 9 + usize::from(heard[6])) {
                continue;
            }
            let request = std::mem::take(&mut heard);
            self.note(at, true, &request);
            let Some(answer) = self.answer(&request) else { continue };
            let late = self.late.lock().unwrap().remove(&request[0]);
            tokio::time::sleep(late.unwrap_or(Duration::from_millis(3))).await;
            self.note(Instant::now(), false, &answer);
            rustix::io::write(far.get_ref(), &answer).ok();
        }
    }

    fn note(&self, at: Instant, request: bool, bytes: &[u8]) {
        self.frames.lock().unwrap().push(Frame { at, request, bytes: bytes.to_vec() });
    }

    fn answer(&self, request: &[u8]) -> Option<Vec<u8>> {
        let (body, sum) = request.split_at(request.len() - 2);
        let word = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        let (unit, function) = (body[0], body[1]);
        if crc(body) != u16::from_le_bytes([sum[0], sum[1]])
            || self.dead.lock().unwrap().contains(&unit)
        {
            return None;
        }
        let mut written = self.written.lock().unwrap();
        let mut answer = match function {
            3 => {
                let mut answer = vec![unit, 3, u8::try_from(word(4) * 2).unwrap()];
                for register in word(2)..word(2) + word(4) {
                    let own = u16::from(unit) * 1000 + register;
                    let value = written.get(&(unit, register)).copied().unwrap_or(own);
                    answer.extend(value.to_be_bytes());
                }
                answer
            }
            6 => {
                written.insert((unit, word(2)), word(4));
                body.to_vec()
            }
            other => vec![unit, other | 0x80, 1],
        };
        answer.extend(crc(&answer).to_le_bytes());
        Some(answer)
    }
}

/// The checksum of the serial line specification, bit by bit.
fn crc(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFF_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
        }
    }
    crc
}
