//! Packets that we send, appended to the outgoing buffer. Nothing here allocates but the buffer's own growth.

use crate::mqtt::{Filter, MqttOptions, Properties, Publication, Qos, Version};

/// The longest packet of the protocol: first byte, four bytes of length, 268,435,455 bytes.
pub(in crate::mqtt) const LONGEST: usize = 5 + 268_435_455;

/// Whether a text or binary field has no place in its two bytes of length.
pub(in crate::mqtt) fn too_long(field: &[u8]) -> bool {
    field.len() > usize::from(u16::MAX)
}

/// CONNECT. The options are checked before.
pub(in crate::mqtt) fn connect(out: &mut Vec<u8>, options: &MqttOptions) {
    packet(out, 0x10, |out| {
        text(out, "MQTT");
        out.push(if options.version == Version::V5 { 5 } else { 4 });
        out.push(flags(options));
        out.extend(seconds16(options.keep_alive).to_be_bytes());
        if options.version == Version::V5 {
            out.push(5 + 3 + 5);
            number(out, 17, session_expiry(options));
            out.push(33);
            out.extend(options.receive_window.max(1).to_be_bytes());
            number(out, 39, options.max_packet);
        }
        text(out, &options.client_id);
        if let Some(will) = &options.will {
            if options.version == Version::V5 {
                let content_type = will.content_type.as_deref();
                out.extend(varint(5 + content_type.map_or(0, |text| 3 + text.len())));
                number(out, 24, u32::try_from(will.delay.as_secs()).unwrap_or(u32::MAX));
                optional_text(out, 3, content_type);
            }
            text(out, &will.topic);
            binary(out, &will.payload);
        }
        if let Some(username) = &options.username {
            text(out, username);
        }
        if let Some(password) = &options.password {
            binary(out, password);
        }
    });
}

/// The session expiry that we ask for, in seconds; version 3.1.1 has none.
pub(in crate::mqtt) fn session_expiry(options: &MqttOptions) -> u32 {
    match options.version {
        Version::V311 => 0,
        Version::V5 => u32::try_from(options.session_expiry.as_secs()).unwrap_or(u32::MAX),
    }
}

fn flags(options: &MqttOptions) -> u8 {
    let mut flags = 0;
    if options.username.is_some() {
        flags |= 0x80;
    }
    if options.password.is_some() {
        flags |= 0x40;
    }
    if let Some(will) = &options.will {
        flags |= 0x04 | (will.qos as u8) << 3 | u8::from(will.retain) << 5;
    }
    if options.clean {
        flags |= 0x02;
    }
    flags
}

/// Whole seconds, rounded up so that half a second does not mean none.
pub(in crate::mqtt) fn seconds16(time: std::time::Duration) -> u16 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    u16::try_from(seconds).unwrap_or(u16::MAX)
}

/// PUBLISH; the packet id counts at QoS 1 only. Returns the packet's size.
pub(in crate::mqtt) fn publish(
    out: &mut Vec<u8>,
    version: Version,
    publication: &Publication<'_>,
    id: u16,
    payload: impl FnOnce(&mut Vec<u8>),
) -> usize {
    let first = 0x30 | (publication.qos as u8) << 1 | u8::from(publication.retain);
    packet(out, first, |out| {
        text(out, publication.topic);
        if publication.qos == Qos::AtLeastOnce {
            out.extend(id.to_be_bytes());
        }
        if version == Version::V5 {
            properties(out, &publication.properties);
        }
        payload(out);
    })
}

fn properties(out: &mut Vec<u8>, properties: &Properties<'_>) {
    let Properties { utf8, message_expiry, content_type, response_topic, correlation_data, user } =
        properties;
    let field = |length: Option<usize>| length.map_or(0, |length| 3 + length);
    let length = if *utf8 { 2 } else { 0 }
        + message_expiry.map_or(0, |_| 5)
        + field(content_type.map(str::len))
        + field(response_topic.map(str::len))
        + field(correlation_data.map(<[u8]>::len))
        + user.iter().map(|(name, value)| 5 + name.len() + value.len()).sum::<usize>();
    out.extend(varint(length));
    if *utf8 {
        out.extend([1, 1]);
    }
    if let Some(seconds) = *message_expiry {
        number(out, 2, seconds);
    }
    optional_text(out, 3, *content_type);
    optional_text(out, 8, *response_topic);
    if let Some(data) = correlation_data {
        out.push(9);
        binary(out, data);
    }
    for (name, value) in *user {
        out.push(38);
        text(out, name);
        text(out, value);
    }
}

/// PUBACK with success, which is the short form in both versions.
pub(in crate::mqtt) fn puback(out: &mut Vec<u8>, id: u16) {
    let [high, low] = id.to_be_bytes();
    out.extend([0x40, 2, high, low]);
}

/// SUBSCRIBE.
pub(in crate::mqtt) fn subscribe(
    out: &mut Vec<u8>,
    version: Version,
    id: u16,
    filters: &[Filter<'_>],
) {
    packet(out, 0x82, |out| {
        out.extend(id.to_be_bytes());
        if version == Version::V5 {
            out.push(0);
        }
        for filter in filters {
            text(out, filter.topic);
            // Retain handling 2: none at the subscription. Retain as published: what was published to be kept says so
            // also to those who are there at that moment (5.0 §3.8.3.1).
            let options = match (version, filter.retained) {
                (Version::V311, _) => 0,
                (Version::V5, true) => 1 << 3,
                (Version::V5, false) => 1 << 3 | 2 << 4,
            };
            out.push(filter.qos as u8 | options);
        }
    });
}

/// UNSUBSCRIBE.
pub(in crate::mqtt) fn unsubscribe(out: &mut Vec<u8>, version: Version, id: u16, filters: &[&str]) {
    packet(out, 0xA2, |out| {
        out.extend(id.to_be_bytes());
        if version == Version::V5 {
            out.push(0);
        }
        for filter in filters {
            text(out, filter);
        }
    });
}

/// PINGREQ.
pub(in crate::mqtt) fn ping(out: &mut Vec<u8>) {
    out.extend([0xC0, 0]);
}

/// DISCONNECT, normal: the broker drops the will.
pub(in crate::mqtt) fn disconnect(out: &mut Vec<u8>) {
    out.extend([0xE0, 0]);
}

/// Appends a packet whose length is known only once its body is there: two bytes are kept free for the length, which
/// fits most, and the body moves where they do not. Returns the packet's size.
fn packet(out: &mut Vec<u8>, first: u8, body: impl FnOnce(&mut Vec<u8>)) -> usize {
    const KEPT: usize = 2;
    let start = out.len();
    out.extend([first, 0, 0]);
    let from = out.len();
    body(out);
    let end = out.len();
    let length = varint(end - from);
    let digits = length.count();
    let to = start + 1 + digits;
    if digits > KEPT {
        out.resize(end + digits - KEPT, 0);
    }
    if digits != KEPT {
        out.copy_within(from..end, to);
        out.truncate(to + end - from);
    }
    for (place, digit) in out.iter_mut().skip(start + 1).zip(length) {
        *place = digit;
    }
    out.len() - start
}

/// A variable byte integer (5.0 §1.5.5) of at most four bytes; what does not fit is refused by its size.
#[derive(Clone, Copy)]
struct Varint {
    digits: [u8; 4],
    next: usize,
    count: usize,
}

impl Varint {
    fn count(self) -> usize {
        self.count
    }
}

impl Iterator for Varint {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let digit = *self.digits.get(self.next).filter(|_| self.next < self.count)?;
        self.next += 1;
        Some(digit)
    }
}

fn varint(mut value: usize) -> Varint {
    let mut varint = Varint { digits: [0; 4], next: 0, count: 0 };
    for digit in &mut varint.digits {
        *digit = (value & 0x7F) as u8;
        value >>= 7;
        varint.count += 1;
        if value == 0 {
            break;
        }
        *digit |= 0x80;
    }
    varint
}

fn text(out: &mut Vec<u8>, text: &str) {
    binary(out, text.as_bytes());
}

/// A binary field. Callers refuse what is [`too_long`]; here it would be cut.
fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend_from_slice(bytes.get(..length.into()).unwrap_or(bytes));
}

fn optional_text(out: &mut Vec<u8>, id: u8, value: Option<&str>) {
    if let Some(value) = value {
        out.push(id);
        text(out, value);
    }
}

fn number(out: &mut Vec<u8>, id: u8, value: u32) {
    out.push(id);
    out.extend(value.to_be_bytes());
}
