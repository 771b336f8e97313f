//! Fields and properties of received packets.

use crate::mqtt::ProtocolError;

/// Takes fields off the front of a packet's body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// The packet type, for errors.
    kind: u8,
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8], kind: u8) -> Self {
        Self { rest, kind }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], ProtocolError> {
        let (taken, rest) =
            self.rest.split_at_checked(n).ok_or(ProtocolError::Truncated(self.kind))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let (taken, rest) =
            self.rest.split_first_chunk().ok_or(ProtocolError::Truncated(self.kind))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, ProtocolError> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, ProtocolError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, ProtocolError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A variable byte integer (5.0 §1.5.5).
    fn varint(&mut self) -> Result<u32, ProtocolError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtocolError::Length)
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], ProtocolError> {
        let length = self.u16()?;
        self.take(length.into())
    }

    pub(super) fn text(&mut self) -> Result<&'a str, ProtocolError> {
        std::str::from_utf8(self.binary()?).map_err(|_| ProtocolError::Text)
    }

    /// A packet id, which is never zero.
    pub(super) fn packet_id(&mut self) -> Result<u16, ProtocolError> {
        self.u16().and_then(|id| if id == 0 { Err(ProtocolError::PacketId) } else { Ok(id) })
    }
}

/// The value of one property.
enum Value<'a> {
    Number(u32),
    Text(&'a str),
    Bytes(&'a [u8]),
    Pair(&'a str, &'a str),
}

/// One property (5.0 §2.2.2.2).
fn property<'a>(reader: &mut Reader<'a>) -> Result<(u8, Value<'a>), ProtocolError> {
    let id = reader.u8()?;
    let value = match id {
        1 | 23 | 25 | 36 | 37 | 40 | 41 | 42 => Value::Number(reader.u8()?.into()),
        19 | 33 | 34 | 35 => Value::Number(reader.u16()?.into()),
        2 | 17 | 24 | 39 => Value::Number(reader.u32()?),
        11 => Value::Number(reader.varint()?),
        3 | 8 | 18 | 21 | 26 | 28 | 31 => Value::Text(reader.text()?),
        9 | 22 => Value::Bytes(reader.binary()?),
        38 => Value::Pair(reader.text()?, reader.text()?),
        id => return Err(ProtocolError::Property(id)),
    };
    Ok((id, value))
}

/// The properties of a received packet that concern us. Which packet carries which is not enforced: a property out
/// of place is not looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::mqtt) struct Found<'a> {
    pub(in crate::mqtt) session_expiry: Option<u32>,
    pub(in crate::mqtt) receive_maximum: Option<u32>,
    pub(in crate::mqtt) max_packet: Option<u32>,
    pub(in crate::mqtt) max_qos: Option<u32>,
    pub(in crate::mqtt) retain_available: Option<u32>,
    pub(in crate::mqtt) keep_alive: Option<u32>,
    pub(in crate::mqtt) topic_alias: Option<u32>,
    pub(in crate::mqtt) message_expiry: Option<u32>,
    pub(in crate::mqtt) assigned_client_id: Option<&'a str>,
    pub(in crate::mqtt) words: Option<&'a str>,
    pub(in crate::mqtt) server: Option<&'a str>,
    pub(in crate::mqtt) content_type: Option<&'a str>,
    pub(in crate::mqtt) response_topic: Option<&'a str>,
    pub(in crate::mqtt) correlation_data: Option<&'a [u8]>,
    raw: &'a [u8],
}

impl<'a> Found<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, ProtocolError> {
        let length = reader.varint()?;
        let raw = reader.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        let mut found = Self { raw, ..Self::default() };
        let mut reader = Reader::new(raw, reader.kind);
        while !reader.is_empty() {
            match property(&mut reader)? {
                (2, Value::Number(n)) => found.message_expiry = Some(n),
                (17, Value::Number(n)) => found.session_expiry = Some(n),
                (19, Value::Number(n)) => found.keep_alive = Some(n),
                (33 | 39, Value::Number(0)) => return Err(ProtocolError::PropertyValue(33)),
                (33, Value::Number(n)) => found.receive_maximum = Some(n),
                (35, Value::Number(n)) => found.topic_alias = Some(n),
                (36, Value::Number(n)) => found.max_qos = Some(n),
                (37, Value::Number(n)) => found.retain_available = Some(n),
                (39, Value::Number(n)) => found.max_packet = Some(n),
                (3, Value::Text(text)) => found.content_type = Some(text),
                (8, Value::Text(text)) => found.response_topic = Some(text),
                (18, Value::Text(text)) => found.assigned_client_id = Some(text),
                (28, Value::Text(text)) => found.server = Some(text),
                (31, Value::Text(text)) => found.words = Some(text),
                (9, Value::Bytes(bytes)) => found.correlation_data = Some(bytes),
                _ => {}
            }
        }
        Ok(found)
    }

    /// The user properties, in order.
    pub(in crate::mqtt) fn user(&self) -> Vec<(String, String)> {
        let mut reader = Reader::new(self.raw, 0);
        let mut pairs = Vec::new();
        while let Ok((_, value)) = property(&mut reader) {
            if let Value::Pair(name, value) = value {
                pairs.push((name.into(), value.into()));
            }
        }
        pairs
    }
}
