//! Frames as a device sees them, for those who play one: requests come in, answers go out.

use crate::tap::{Whole, frames};
use crate::{SerialFraming, ascii_frame, rtu_frame, tcp};

/// What has been received so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A request, and how many bytes it took.
    Request(Whole, usize),
    /// The beginning of one.
    Part,
    /// So many bytes that are none.
    Noise(usize),
}

/// What these bytes begin with.
#[must_use]
pub fn request(framing: Option<SerialFraming>, bytes: &[u8]) -> Received {
    let length = match framing {
        None => tcp_length(bytes),
        Some(SerialFraming::Rtu) => rtu_length(bytes),
        Some(SerialFraming::Ascii) => ascii_length(bytes),
    };
    let length = match length {
        Ok(Some(length)) => length,
        Ok(None) => return Received::Part,
        Err(noise) => return Received::Noise(noise),
    };
    let Some(frame) = bytes.get(..length) else { return Received::Part };
    match frames(framing, frame).pop() {
        Some(whole) => Received::Request(whole, length),
        None => Received::Noise(1),
    }
}

/// The frame of an answer to that request.
#[must_use]
pub fn answer(framing: Option<SerialFraming>, asked: &Whole, pdu: &[u8]) -> Vec<u8> {
    let inside = [&[asked.unit], pdu].concat();
    match framing {
        None => tcp::encode(asked.id.unwrap_or(0), &inside),
        Some(SerialFraming::Rtu) => rtu_frame::frame(inside),
        Some(SerialFraming::Ascii) => ascii_frame::frame(&inside),
    }
}

/// The length of a frame, where so much is there; `Err`: how many bytes are none.
type Length = Result<Option<usize>, usize>;

fn tcp_length(bytes: &[u8]) -> Length {
    let Some([_, _, protocol_high, protocol_low, high, low]) = bytes.first_chunk::<6>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    // Nothing tells where the next frame begins: whoever sends this speaks something else.
    let sound = (*protocol_high, *protocol_low) == (0, 0) && (2..=254).contains(&length);
    if sound { Ok(Some(6 + length)) } else { Err(bytes.len()) }
}

/// The lengths of requests are fixed by their function (MODBUS Application Protocol V1.1b3, section 6).
fn rtu_length(bytes: &[u8]) -> Length {
    let Some(function) = bytes.get(1) else { return Ok(None) };
    let counted = |at: usize, more: usize| bytes.get(at).map(|n| usize::from(*n) + more);
    match function {
        1..=6 => Ok(Some(8)),
        7 | 11 | 12 | 17 => Ok(Some(4)),
        8 => Ok(Some(8)),
        15 | 16 => Ok(counted(6, 9)),
        22 => Ok(Some(10)),
        23 => Ok(counted(10, 13)),
        43 => Ok(Some(7)),
        _ => Err(1),
    }
}

fn ascii_length(bytes: &[u8]) -> Length {
    match bytes.iter().position(|byte| *byte == b':') {
        Some(0) => {}
        Some(noise) => return Err(noise),
        None if bytes.is_empty() => return Ok(None),
        None => return Err(bytes.len()),
    }
    let inside = bytes.get(1..).unwrap_or_default();
    match inside.iter().position(|byte| matches!(byte, b':' | b'\n')) {
        Some(end) if inside.get(end) == Some(&b'\n') => Ok(Some(end + 2)),
        Some(cut_off) => Err(cut_off + 1),
        None => Ok(None),
    }
}

/// Takes arbitrary bytes for requests; must never panic, and must come to an end.
pub fn fuzz_one(data: &[u8]) {
    for framing in [None, Some(SerialFraming::Rtu), Some(SerialFraming::Ascii)] {
        let mut rest = data;
        loop {
            let used = match request(framing, rest) {
                Received::Request(asked, used) => {
                    let frame = answer(framing, &asked, &asked.pdu);
                    assert_eq!(frames(framing, &frame), [asked]);
                    used
                }
                Received::Noise(used) => used,
                Received::Part => break,
            };
            assert!(used > 0);
            rest = rest.get(used..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: [u8; 12] = [0, 5, 0, 0, 0, 6, 1, 3, 0, 7, 0, 2];
    // The textbook's request and its ASCII form.
    const RTU: [u8; 8] = [0x11, 3, 0, 0x6B, 0, 3, 0x76, 0x87];
    const ASCII: &[u8] = b":1103006B00037E\r\n";

    fn all() -> [(Option<SerialFraming>, &'static [u8]); 3] {
        [(None, &TCP), (Some(SerialFraming::Rtu), &RTU), (Some(SerialFraming::Ascii), ASCII)]
    }

    #[test]
    fn a_request_is_found_when_all_of_it_is_there() {
        for (framing, bytes) in all() {
            for end in 0..bytes.len() {
                assert_eq!(request(framing, &bytes[..end]), Received::Part, "{framing:?} {end}");
            }
            let two = [bytes, bytes].concat();
            let Received::Request(asked, used) = request(framing, &two) else { panic!() };
            assert_eq!((used, asked.pdu[0], asked.pdu.len()), (bytes.len(), 3, 5));
        }
    }

    #[test]
    fn after_noise_the_next_request_is_found() {
        for (framing, bytes) in &all()[1..] {
            let noisy = [&[0x99, 0, 0xFE, 3], *bytes].concat();
            let mut rest = &noisy[..];
            let asked = loop {
                match request(*framing, rest) {
                    Received::Noise(used) => rest = &rest[used..],
                    Received::Request(asked, _) => break asked,
                    Received::Part => panic!("{framing:?}: {rest:02x?}"),
                }
            };
            assert_eq!(asked.unit, 17);
        }
        assert_eq!(request(None, b"GET / HTTP/1.1\r\n"), Received::Noise(16));
    }

    #[test]
    fn answers_are_framed_as_their_requests_were() {
        let asked = Whole { id: Some(5), unit: 0x11, pdu: vec![] };
        let pdu = [3, 6, 0xAE, 0x41, 0x56, 0x52, 0x43, 0x40];
        let rtu = answer(Some(SerialFraming::Rtu), &asked, &pdu);
        assert_eq!(rtu, [&[0x11], &pdu[..], &[0x49, 0xAD]].concat());
        let ascii = answer(Some(SerialFraming::Ascii), &asked, &pdu);
        assert_eq!(ascii, b":110306AE4156524340CC\r\n");
        assert_eq!(answer(None, &asked, &pdu), [&[0, 5, 0, 0, 0, 9, 0x11], &pdu[..]].concat());
    }
}
