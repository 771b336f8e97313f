//! A device and a broker, each in a thread of its own, whose allocations are not counted.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many stream messages the broker got.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

/// A Modbus TCP device of which every register changes at every read, for one connection.
pub(crate) fn plant(listener: &TcpListener) {
    let mut stream = accept(listener);
    let mut request = [0; 12];
    let mut reads = 0_u16;
    while stream.read_exact(&mut request).is_ok() {
        reads = reads.wrapping_add(1);
        let count = u16::from_be_bytes([request[10], request[11]]);
        let mut answer = request[..2].to_vec();
        answer.extend([0, 0]);
        answer.extend((2 * count + 3).to_be_bytes());
        answer.extend([request[6], request[7], u8::try_from(2 * count).unwrap()]);
        answer.extend((0..count).flat_map(|n| (reads ^ n).to_be_bytes()));
        stream.write_all(&answer).unwrap();
    }
}

/// A broker that acknowledges what it gets (MQTT 3.1.1), for one connection.
pub(crate) fn broker(listener: &TcpListener, messages: &Counter) {
    let mut stream = accept(listener);
    while let Some((kind, body)) = packet(&mut stream) {
        match kind >> 4 {
            1 => stream.write_all(&[0x20, 2, 0, 0]).unwrap(),
            3 => {
                let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                if body[..end].ends_with(b"/stream") {
                    messages.0.fetch_add(1, Ordering::Relaxed);
                }
                // The gateway may have said goodbye already.
                stream.write_all(&[0x40, 2, body[end], body[end + 1]]).ok();
            }
            12 => stream.write_all(&[0xD0, 0]).unwrap(),
            _ => {}
        }
    }
}

fn packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte).ok()?;
    let kind = byte[0];
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        stream.read_exact(&mut byte).ok()?;
        length |= usize::from(byte[0] & 127) << shift;
        shift += 7;
        if byte[0] < 128 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((kind, body))
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}
