//! Frames on a serial line: unit, protocol data unit, checksum, and finding the awaited one among other bytes.

use crc::{CRC_16_MODBUS, Crc, Table};

use crate::identification::{self, Identification};
use crate::pdu::MAX_PDU;
use crate::serial_frame::Found;
use crate::{AnswerError, Request};

const CRC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_MODBUS);

/// A request as it travels on a serial line.
pub(crate) fn encode(unit: u8, request: &Request) -> Vec<u8> {
    let mut frame = Vec::with_capacity(MAX_PDU + 3);
    frame.push(unit);
    request.encode(&mut frame);
    self::frame(frame)
}

/// Unit and protocol data unit as a frame.
pub(crate) fn frame(mut frame: Vec<u8>) -> Vec<u8> {
    let sum = CRC.checksum(&frame);
    frame.extend_from_slice(&sum.to_le_bytes());
    frame
}

/// Looks for the answer to `request`; `own` is the request's frame where it must be taken off when heard.
///
/// Sound frames that are not the answer are passed over whole, so that nothing inside them is taken for a frame.
pub(crate) fn find(heard: &[u8], unit: u8, request: &Request, own: Option<&[u8]>) -> Found {
    let (mut at, mut other) = (0, None);
    while let Some(rest) = heard.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(own) = own
            && rest.starts_with(own)
        {
            return Found::Echo(at + own.len());
        }
        let Some(frame) = sound(rest) else {
            at += 1;
            continue;
        };
        let [sender, pdu @ .., _, _] = frame else { break };
        match request.accept(pdu) {
            _ if *sender != unit => other = Some(*sender),
            Err(AnswerError::Malformed(_)) => {}
            answer => return Found::Answer(answer),
        }
        at += frame.len();
    }
    if damaged(heard, unit, request) { Found::Damaged } else { Found::Nothing(other) }
}

/// Unit and protocol data unit of bytes that are one frame, whatever its function.
pub(crate) fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (frame, sum) = bytes.split_last_chunk::<2>()?;
    (frame.len() >= 2 && CRC.checksum(frame) == u16::from_le_bytes(*sum)).then_some(frame)
}

/// The frame that these bytes begin with: its length by its function, its checksum right.
fn sound(bytes: &[u8]) -> Option<&[u8]> {
    let length = match (bytes.get(1)?, bytes.get(2)?) {
        (1..=4 | 23, count) => usize::from(*count) + 5,
        (5 | 6 | 15 | 16, _) => 8,
        (22, _) => 10,
        (43, &identification::MEI) => Identification::frame_length(bytes)?,
        (0x80.., _) => 5,
        _ => return None,
    };
    let (frame, sum) = bytes.get(..length)?.split_last_chunk::<2>()?;
    (CRC.checksum(frame) == u16::from_le_bytes(*sum)).then(|| bytes.get(..length))?
}

fn damaged(heard: &[u8], unit: u8, request: &Request) -> bool {
    let shape = request.shape();
    let counted = matches!(request, Request::Read { .. } | Request::ReadWrite { .. });
    let count = shape.length.checked_sub(2).and_then(|n| u8::try_from(n).ok());
    heard.len() == shape.length + 3
        && heard.first() == Some(&unit)
        && heard.get(1) == Some(&shape.function)
        && (!counted || heard.get(2) == count.as_ref())
}
