//! Packets that a broker sends, borrowed from the bytes they came in.

use super::properties::{Found, Reader};
use crate::mqtt::{ProtocolError, Version};

/// A complete packet in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Frame {
    /// Type and flags.
    pub(in crate::mqtt) first: u8,
    /// Where the body begins.
    pub(in crate::mqtt) start: usize,
    /// Where the next packet begins.
    pub(in crate::mqtt) end: usize,
}

/// Finds the first packet of `bytes`; `None` means that some of it has not arrived yet.
pub(in crate::mqtt) fn frame(bytes: &[u8], limit: usize) -> Result<Option<Frame>, ProtocolError> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let mut length = 0;
    for (index, &byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let start = index + 2;
            let end = start + length;
            if end > limit {
                return Err(ProtocolError::TooLarge { size: end, limit });
            }
            return Ok((bytes.len() >= end).then_some(Frame { first, start, end }));
        }
    }
    if rest.len() < 4 { Ok(None) } else { Err(ProtocolError::Length) }
}

/// A packet from a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) enum Packet<'a> {
    ConnAck { session_present: bool, code: u8, properties: Found<'a> },
    Publish(Publish<'a>),
    PubAck { packet: u16, code: u8, properties: Found<'a> },
    SubAck { packet: u16, codes: &'a [u8] },
    UnsubAck { packet: u16 },
    PingResp,
    Disconnect { code: u8, properties: Found<'a> },
}

/// A PUBLISH packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mqtt) struct Publish<'a> {
    pub(in crate::mqtt) topic: &'a str,
    pub(in crate::mqtt) qos: u8,
    pub(in crate::mqtt) retain: bool,
    pub(in crate::mqtt) duplicate: bool,
    pub(in crate::mqtt) packet: Option<u16>,
    pub(in crate::mqtt) properties: Found<'a>,
    pub(in crate::mqtt) payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Decodes a packet with the first byte `first` and this body.
    pub(in crate::mqtt) fn decode(
        version: Version,
        first: u8,
        body: &'a [u8],
    ) -> Result<Self, ProtocolError> {
        let kind = first >> 4;
        if kind != 3 && first & 0x0F != 0 {
            return Err(ProtocolError::Flags(first));
        }
        let mut reader = Reader::new(body, kind);
        let r = &mut reader;
        let v5 = version == Version::V5;
        let packet = match kind {
            // A broker that does not speak version 5 refuses it in words of version 3.1.1, without properties.
            2 => Self::ConnAck {
                session_present: r.u8()? & 1 == 1,
                code: r.u8()?,
                properties: optional(r, v5)?,
            },
            3 => return publish(v5, first, reader).map(Self::Publish),
            4 => Self::PubAck {
                packet: r.packet_id()?,
                code: if v5 && !r.is_empty() { r.u8()? } else { 0 },
                properties: optional(r, v5)?,
            },
            9 => {
                let packet = r.packet_id()?;
                if v5 {
                    Found::read(r)?;
                }
                return Ok(Self::SubAck { packet, codes: reader.rest() });
            }
            11 => {
                let packet = r.packet_id()?;
                if v5 {
                    Found::read(r)?;
                    return Ok(Self::UnsubAck { packet });
                }
                Self::UnsubAck { packet }
            }
            13 => Self::PingResp,
            14 if v5 => Self::Disconnect {
                code: if r.is_empty() { 0 } else { r.u8()? },
                properties: optional(r, v5)?,
            },
            kind => return Err(ProtocolError::Unexpected(kind)),
        };
        if reader.is_empty() { Ok(packet) } else { Err(ProtocolError::Trailing(kind)) }
    }
}

/// Properties that may be left out where the packet ends before them.
fn optional<'a>(reader: &mut Reader<'a>, v5: bool) -> Result<Found<'a>, ProtocolError> {
    if v5 && !reader.is_empty() { Found::read(reader) } else { Ok(Found::default()) }
}

fn publish(v5: bool, first: u8, mut reader: Reader<'_>) -> Result<Publish<'_>, ProtocolError> {
    let qos = first >> 1 & 3;
    if qos > 1 {
        return Err(ProtocolError::Qos(qos));
    }
    let topic = reader.text()?;
    let packet = if qos == 1 { Some(reader.packet_id()?) } else { None };
    let properties = if v5 { Found::read(&mut reader)? } else { Found::default() };
    if properties.topic_alias.is_some() {
        // We allow none: our CONNECT leaves the topic alias maximum at 0.
        return Err(ProtocolError::Property(35));
    }
    Ok(Publish {
        topic,
        qos,
        retain: first & 1 == 1,
        duplicate: first & 8 == 8,
        packet,
        properties,
        payload: reader.rest(),
    })
}
