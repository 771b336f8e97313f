//! Frames of Modbus ASCII: a colon, two hexadecimal digits per byte, an LRC, carriage return and line feed.
//!
//! The LRC is the sum of the bytes, negated: it finds every single wrong bit, but not every second one.

use crate::serial_frame::Found;
use crate::{AnswerError, Request};

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// A request as it travels.
pub(crate) fn encode(unit: u8, request: &Request) -> Vec<u8> {
    let mut bytes = vec![unit];
    request.encode(&mut bytes);
    frame(&bytes)
}

/// Unit and protocol data unit as a frame.
pub(crate) fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(2 * bytes.len() + 5);
    frame.push(b':');
    for byte in bytes.iter().copied().chain([lrc(bytes)]) {
        frame.extend([byte >> 4, byte & 15].map(digit_of));
    }
    frame.extend(*b"\r\n");
    frame
}

/// Looks for the answer to `request`; `own` is the request's frame where it must be taken off when heard.
pub(crate) fn find(heard: &[u8], unit: u8, request: &Request, own: Option<&[u8]>) -> Found {
    let (mut rest, mut at, mut other, mut damaged) = (heard, 0, None, false);
    while let Some(begin) = rest.iter().position(|byte| *byte == b':') {
        rest = rest.get(begin..).unwrap_or_default();
        at += begin;
        if let Some(own) = own
            && rest.starts_with(own)
        {
            return Found::Echo(at + own.len());
        }
        let inside = rest.get(1..).unwrap_or_default();
        // A second colon begins a frame anew: the first one was cut off.
        let Some(end) = inside.iter().position(|byte| matches!(byte, b':' | b'\n')) else {
            damaged = false;
            break;
        };
        let line = inside.get(..end).unwrap_or_default();
        if inside.get(end) == Some(&b'\n') {
            match sound(line).as_deref() {
                Some([sender, pdu @ ..]) => match request.accept(pdu) {
                    _ if *sender != unit => other = Some(*sender),
                    Err(AnswerError::Malformed(_)) => {}
                    answer => return Found::Answer(answer),
                },
                _ => damaged = true,
            }
        }
        rest = inside.get(end..).unwrap_or_default();
        at += 1 + end;
    }
    if damaged && other.is_none() { Found::Damaged } else { Found::Nothing(other) }
}

/// Unit and protocol data unit of what stands between colon and line feed; its checksum is right.
pub(crate) fn sound(line: &[u8]) -> Option<Vec<u8>> {
    let digits = line.strip_suffix(b"\r")?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let byte = |[high, low]: &[u8; 2]| Some(value(*high)? << 4 | value(*low)?);
    let mut bytes: Vec<u8> = pairs.iter().map(byte).collect::<Option<_>>()?;
    let sum = bytes.pop()?;
    (bytes.len() >= 2 && lrc(&bytes) == sum).then_some(bytes)
}

fn lrc(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}

fn digit_of(nibble: u8) -> u8 {
    DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Exception, Response, Table};

    fn read() -> Request {
        Request::Read { table: Table::Holding, start: 0x6B, count: 3 }
    }

    fn registers(found: &Found) -> Option<&[u8]> {
        match found {
            Found::Answer(Ok(Response::Registers(bytes))) => Some(bytes),
            _ => None,
        }
    }

    #[test]
    fn a_request_of_the_literature_is_built_digit_by_digit() {
        // The example "ASCII vs RTU" at bbs.21ic.com/icview-162927-1-1.html: registers 40108 to 40110 of unit 17.
        assert_eq!(encode(17, &read()), b":1103006B00037E\r\n");
    }

    #[test]
    fn what_is_not_the_answer_is_passed_over() {
        let answer = frame(&[17, 3, 6, 0xAE, 0x41, 0x56, 0x52, 0x43, 0x40]);
        let foreign = frame(&[18, 3, 6, 0, 0, 0, 0, 0, 0]);
        let heard = [b"\xFF:1103", &foreign[..], b"noise", &answer].concat();
        let found = find(&heard, 17, &read(), None);
        assert_eq!(registers(&found), Some(&[0xAE, 0x41, 0x56, 0x52, 0x43, 0x40][..]));
        assert_eq!(find(&foreign, 17, &read(), None), Found::Nothing(Some(18)));
        let cut = answer.get(..9).unwrap();
        assert_eq!(find(cut, 17, &read(), None), Found::Nothing(None));
        let small = answer.to_ascii_lowercase();
        assert!(registers(&find(&small, 17, &read(), None)).is_some(), "small letters are digits");
        let refused = frame(&[17, 0x83, 2]);
        let refusal = Err(AnswerError::Exception(Exception::IllegalAddress));
        assert_eq!(find(&refused, 17, &read(), None), Found::Answer(refusal));
    }

    #[test]
    fn the_own_request_is_taken_off() {
        let own = encode(17, &read());
        let heard = [b"x", &own[..], b":11"].concat();
        assert_eq!(find(&heard, 17, &read(), Some(&own)), Found::Echo(1 + own.len()));
    }

    proptest! {
        #[test]
        fn a_frame_is_understood_and_one_wrong_bit_is_noticed(
            bytes in proptest::collection::vec(any::<u8>(), 2..254),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let frame = frame(&bytes);
            let line = frame.strip_prefix(b":").unwrap().strip_suffix(b"\n").unwrap();
            prop_assert_eq!(sound(line), Some(bytes));
            let mut wrong = line.to_vec();
            let at = at.index(wrong.len());
            wrong[at] ^= 1 << bit;
            let same_digit = wrong[at].eq_ignore_ascii_case(&line[at]);
            prop_assert!(same_digit || sound(&wrong).is_none(), "{:?}", wrong);
        }
    }
}
